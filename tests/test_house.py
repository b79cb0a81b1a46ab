"""The house's rules, held: layers, notebooks, pipelines, docs, names, and what no tracked file may say."""

import ast
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from configparser import ConfigParser
from functools import cache
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from beejan.core.sources import load_sources

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("land", "conform", "resolve", "understand", "model")
FLOOR = {"core": 0, **dict.fromkeys(STAGES, 1), "operate": 2, "govern": 2, "serve": 3, "scale": 3, "commands": 4}
FLOOR["cli"] = 5


def none(found: Iterable[str]) -> None:
    """Fail with the whole list, a line each."""
    found = sorted(found)
    assert not found, "\n".join([f"{len(found)} found", *found])


@cache
def cells(notebook: Path) -> list[tuple[str, str, dict]]:
    """The cells of a notebook: kind, source, everything."""
    return [
        (c["cell_type"], "".join(c["source"]), c) for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    ]


@cache
def modules() -> dict[Path, ast.Module]:
    """The exported modules, parsed."""
    found = sorted(p for p in ROOT.glob("beejan/**/*.py") if p.name not in ("__init__.py", "_modidx.py"))
    return {p: ast.parse(p.read_text(encoding="utf-8")) for p in found}


def name_of(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts)


def is_export(source: str) -> bool:
    return re.match(r"#\| *exports?\b", source) is not None


def only_imports(source: str) -> bool:
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(source).body)


NOTEBOOKS = sorted(ROOT.glob("nbs/*.ipynb"))
PIPELINES = sorted(ROOT.glob("pipelines/*.ipynb"))


@cache
def tracked() -> tuple[Path, ...]:
    """What git tracks; in an unpacked archive, everything but hidden folders."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return tuple(p for n in listed.split("\0") if n and (p := ROOT / n).is_file())
    return tuple(
        p for p in ROOT.rglob("*") if p.is_file() and not any(x.startswith(".") for x in p.relative_to(ROOT).parts[:-1])
    )


# ---- pipelines --------------------


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda p: p.stem)
def test_a_pipeline_has_one_cell_of_typed_commented_literals(pipeline):
    tagged = [source for _, source, cell in cells(pipeline) if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1, f"cells tagged `parameters`: {len(tagged)}"
    lines = tagged[0].splitlines()
    for node in ast.parse(tagged[0]).body:
        assert isinstance(node, ast.AnnAssign) and node.value is not None, (
            f"not `name: type = literal`: {ast.unparse(node)}"
        )
        value, kind = ast.literal_eval(node.value), ast.unparse(node.annotation)
        assert type(value).__name__ == kind, f"{ast.unparse(node)}: the value is no {kind}"
        assert "# " in lines[node.lineno - 1], f"{ast.unparse(node)}: no comment says what it means"


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda p: p.stem)
def test_a_pipeline_is_short_and_committed_without_outputs(pipeline):
    code = [(source, cell) for kind, source, cell in cells(pipeline) if kind == "code"]
    assert len(cells(pipeline)) <= 14
    assert not [source for source, cell in code if cell["outputs"] or cell["execution_count"]]
    defined = [
        n.name
        for source, _ in code
        for n in ast.walk(ast.parse(source))
        if isinstance(n, ast.FunctionDef | ast.ClassDef)
    ]
    assert not defined, f"a pipeline calls the library and defines nothing: {defined}"


def test_every_declared_source_loads():
    folder = ROOT / "pipelines/sources"
    found = load_sources(folder)
    assert sorted(found) == sorted(p.stem for p in folder.glob("*.toml"))
    assert found


# ---- the package --------------------


def imported(module: Path, tree: ast.Module) -> set[str]:
    """The modules of Beejan that `module` imports, wherever in its code."""
    package = name_of(module).split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.add(".".join([*base, *([node.module] if node.module else [])]))
            if not node.module:
                found |= {".".join([*base, alias.name]) for alias in node.names}
    return {name for name in found if name.split(".")[0] == "beejan" and name != "beejan"}


def test_no_arrow_runs_up_or_across():
    wrong = []
    for module, tree in modules().items():
        room = name_of(module).split(".")[1]
        for name in imported(module, tree):
            other = name.split(".")[1]
            if other != room and FLOOR[other] >= FLOOR[room]:
                wrong.append(f"{name_of(module)} imports {name}")
    none(wrong)


def test_every_module_stands_on_a_floor():
    assert {name_of(m).split(".")[1] for m in modules()} <= FLOOR.keys()


def public_functions() -> list[tuple[str, ast.FunctionDef, list[str]]]:
    """Every public function and method: where it is, what it is, the lines of its module."""
    found = []
    for module, tree in modules().items():
        lines = module.read_text(encoding="utf-8").splitlines()
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found.append((f"{name_of(module)}.{node.name}", node, lines))
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
                found += [
                    (f"{name_of(module)}.{node.name}.{n.name}", n, lines) for n in methods if not n.name.startswith("_")
                ]
    return found


def is_command(node: ast.FunctionDef) -> bool:
    """Whether click makes a command of it: its parameters are explained by their help."""
    return any(
        ast.unparse(d).split("(")[0].endswith((".command", ".group", "click.group")) for d in node.decorator_list
    )


def parameters(node: ast.FunctionDef) -> list[ast.arg]:
    a = node.args
    every = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs, *([a.kwarg] if a.kwarg else [])]
    return [p for p in every if p.arg not in ("self", "cls")]


def test_every_public_function_says_what_it_does_in_one_line():
    bare = [where for where, node, _ in public_functions() if not (ast.get_docstring(node) or "").splitlines()[:1]]
    none(bare)


def test_every_public_function_is_typed():
    loose = []
    for where, node, _ in public_functions():
        loose += [f"{where}({p.arg})" for p in parameters(node) if p.annotation is None]
        loose += [f"{where} -> ?"] if node.returns is None else []
    none(loose)


def test_every_parameter_is_explained_beside_its_name():
    silent = []
    for where, node, lines in public_functions():
        if not is_command(node):
            silent += [
                f"{where}({p.arg})" for p in parameters(node) if "# " not in lines[(p.end_lineno or p.lineno) - 1]
            ]
    none(silent)


def test_every_public_name_is_in_all_and_exists():
    wrong = []
    for module, tree in modules().items():
        loaded = importlib.import_module(name_of(module))
        listed = getattr(loaded, "__all__", [])
        defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        targets = [t for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
        defined |= {t.id for t in targets if isinstance(t, ast.Name)}
        wrong += [f"{name_of(module)}.{n}: not in __all__" for n in defined - set(listed) if not n.startswith("_")]
        wrong += [f"{name_of(module)}.{n}: in __all__, and not there" for n in listed if not hasattr(loaded, n)]
        wrong += [f"{name_of(module)}.{n}: twice in __all__" for n in set(listed) if listed.count(n) > 1]
    none(wrong)


# ---- library notebooks --------------------


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_begins_with_its_module_title_and_promise(notebook):
    kinds, sources = zip(*((kind, source) for kind, source, _ in cells(notebook)), strict=True)
    assert re.match(r"#\| *default_exp [\w.]+$", sources[0].strip())
    head = "\n".join(s for k, s in zip(kinds[1:3], sources[1:3], strict=True) if k == "markdown")
    assert re.match(r"# \S.*\n+> \S", head), "no `# Title` with `> promise` under it"
    first = next(s for k, s in zip(kinds, sources, strict=True) if k == "code" and is_export(s))
    assert only_imports(first), "the first exported cell holds more than imports"
    assert not [s for s in sources if is_export(s) and re.search(r"^from \S+ import \*", s, re.M)]


def test_an_exported_cell_has_at_most_30_lines():
    long = []
    for notebook in NOTEBOOKS:
        for i, (kind, source, _) in enumerate(cells(notebook)):
            if kind == "code" and is_export(source) and not only_imports(source):
                n = sum(bool(line.strip()) and not line.startswith("#|") for line in source.splitlines())
                long += [f"{notebook.name}, cell {i}: {n} lines"] if n > 30 else []
    none(long)


def test_nine_of_ten_exported_cells_are_shown_or_tested_within_three_cells():
    shown: dict[str, list[bool]] = {}
    for notebook in NOTEBOOKS:
        every = cells(notebook)
        for i, (kind, source, _) in enumerate(every):
            if kind == "code" and is_export(source) and not only_imports(source):
                after = [s for k, s, _ in every[i + 1 : i + 4] if k == "code"]
                shown.setdefault(notebook.name, []).append(any(not re.match(r"#\| *(export|hide)", s) for s in after))
    share = sum(map(sum, shown.values())) / sum(map(len, shown.values()))
    low = [f"{name} {sum(v)} of {len(v)}" for name, v in shown.items() if sum(v) < 0.9 * len(v)]
    assert share >= 0.9, f"{share:.1%}; below: {', '.join(low)}"


@pytest.mark.parametrize("notebook", [*NOTEBOOKS, *PIPELINES], ids=lambda p: p.stem)
def test_a_notebook_carries_no_times_addresses_or_paths(notebook):
    for kind, _, cell in cells(notebook):
        assert set(cell["metadata"]) <= {"tags"}
        if kind == "code":
            text = json.dumps(cell["outputs"])
            found = re.search(r"0x[0-9a-f]{8,}|/tmp/|ipykernel_|\bCPU times|\bWall time|\d(\.\d+)? (ns|µs|ms) ±", text)
            assert not found, f"{found and found[0]} in an output"


# ---- docs, targets, names --------------------


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def test_make_help_lists_every_target():
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in shown.splitlines()} == make_targets()
    assert all(len(line.split()) > 3 for line in shown.splitlines())


def test_every_file_that_make_runs_exists():
    named = re.findall(r"(?:python|sh) ([\w./-]+\.(?:py|sh))", (ROOT / "Makefile").read_text(encoding="utf-8"))
    none(n for n in named if not (ROOT / n).is_file())


def said_in(text: str) -> list[str]:
    """What a reader is told to type: the lines of shell blocks, and inline code."""
    blocks = re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, re.S)
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))


DOCS = [p for p in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))) if p.is_file()]


@pytest.mark.parametrize("doc", DOCS, ids=lambda p: p.name)
def test_every_command_in_the_docs_exists(doc):
    from beejan.cli import cli

    for line in said_in(doc.read_text(encoding="utf-8")):
        words = shlex.split(line.split(" #")[0], comments=False) if line.startswith(("make ", "beejan ")) else []
        if words[:1] == ["make"]:
            assert set(w for w in words[1:2] if "=" not in w) <= make_targets(), line
        if words[:1] == ["beejan"]:
            command, context = cli, click.Context(cli)
            options = {o for p in cli.params for o in p.opts} | {"--help", "-h", "--version"}
            for word in words[1:]:
                if word.startswith("-"):
                    assert word.split("=")[0] in options, f"{line}: no option {word}"
                elif isinstance(command, click.Group) and word != "…":
                    found = command.get_command(context, word)
                    assert found is not None, f"{line}: no command {word}"
                    command = found
                    options |= {o for p in command.params for o in p.opts}


def test_every_command_has_help_and_so_has_every_option():
    from beejan.cli import cli

    def walk(command: click.Command, path: str) -> None:
        assert command.help, f"{path}: no help"
        for p in command.params:
            assert not isinstance(p, click.Option) or p.help, f"{path} {p.opts}: no help"
        for name in command.list_commands(click.Context(command)) if isinstance(command, click.Group) else ():
            walk(command.get_command(click.Context(command), name), f"{path} {name}")

    walk(cli, "beejan")


def test_every_file_that_the_readme_points_to_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"|srcset=\"([^\"]+)\"", text)
    files = [link for group in links for link in group if link and "://" not in link]
    none(f for f in files if not (ROOT / f).exists())


def test_the_reference_in_docs_is_what_the_code_says():
    made = subprocess.run([sys.executable, "tools/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr


def test_the_words_of_the_house():
    said = r"\b(simply|obviously)\b"  # "just" has an honest use
    texts = {p: p.read_text(encoding="utf-8") for p in DOCS}
    texts |= {p: "\n".join(s for kind, s, _ in cells(p) if kind == "markdown") for p in [*NOTEBOOKS, *PIPELINES]}
    none(f"{p.name}: {m[0]}" for p, t in texts.items() if (m := re.search(said, t, re.I)))


# ---- what is installed, and what no tracked file may say --------------------


@cache
def settings() -> dict[str, str]:
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(config["DEFAULT"])


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+( ; .+)?", line)]
    assert not wrong, "every line of the lock is `name==version`, with no address and no path"
    return {plain(line.split("==")[0]): line.split("==")[1].split(" ")[0] for line in lines}


def test_the_lock_pins_everything_that_is_asked_for():
    locked = pins()
    for key in ("requirements", "dev_requirements"):
        for asked in map(Requirement, shlex.split(settings()[key])):
            version = locked.get(plain(asked.name))
            assert version, f"{asked.name} is not in the lock: run `make lock`"
            assert asked.specifier.contains(version, prereleases=True), (
                f"{asked} is locked at {version}: run `make lock`"
            )


def test_the_lock_leaves_torch_out():
    assert not {"torch", "sentence-transformers", "triton"} & pins().keys()


def test_everything_the_package_imports_is_a_requirement():
    wanted = settings()["requirements"] + " " + settings()["spark_requirements"]
    asked = {plain(Requirement(r).name) for r in shlex.split(wanted)}
    others = {"ibis-framework": "ibis", "argon2-cffi": "argon2", "scikit-learn": "sklearn", "umap-learn": "umap"}
    others |= {"nats-py": "nats", "pyyaml": "yaml"}
    asked |= {module for package, module in others.items() if package in asked}
    found: dict[str, str] = {}
    for module, tree in modules().items():
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            found |= {n.split(".")[0]: name_of(module) for n in names}
    ours = {n for n in found if n not in sys.stdlib_module_names and n != "beejan"}
    none(f"{n} (in {found[n]})" for n in ours if plain(n) not in asked)


def test_no_tracked_file_names_a_machine_or_a_registry():
    homes = r"(?<![\w.:/~-])/(?:root|work|home/[a-z]\w*|Users/[A-Za-z]\w*)(?=/|\b)"
    hosts = r"py[p]i\.org|pythonh[o]sted\.org|npmj[s]\.org|deb\.deb[i]an\.org|/opt/py[p]i"
    binary = (".png", ".gz", ".zip", ".xlsx", ".parquet", ".sqlite", ".woff2")
    wrong = []
    for path in tracked():
        if path.suffix not in binary:
            text = path.read_text(encoding="utf-8", errors="replace")
            wrong += [f"{path.relative_to(ROOT)}: {m[0]}" for m in re.finditer(f"{homes}|{hosts}", text)][:3]
    none(wrong)


def test_no_data_set_is_tracked():
    large = [f"{p.relative_to(ROOT)}: {p.stat().st_size:,} bytes" for p in tracked() if p.stat().st_size > 1_500_000]
    none(large)


# ---- the bootstrap --------------------


def bootstrap(tmp_path: Path, **env: str) -> subprocess.CompletedProcess:
    """Ask which Python the bootstrap would take, on a PATH without any but what the test puts there."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "env", "cat", "cksum", "tr", "sed", "grep", "dirname", "rm", "mkdir"):
        (tools / name).symlink_to(shutil.which(name) or "/bin/" + name)
    path = os.pathsep.join([*env.pop("FIRST", "").split(), str(tools)])
    env = {"HOME": str(tmp_path), "PATH": path, **env}
    command = ["sh", str(ROOT / "tools/bootstrap.sh"), "--find"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def a_python(folder: Path, name: str, *, broken: bool = False) -> Path:
    folder.mkdir(parents=True)
    words = "echo 'pyenv: python3.12: command not found' >&2; exit 127" if broken else f'exec "{sys.executable}" "$@"'
    (folder / name).write_text(f"#!/bin/sh\n{words}\n")
    (folder / name).chmod(0o755)
    return folder / name


def test_the_bootstrap_passes_over_a_shim_that_fails_and_finds_what_pyenv_keeps(tmp_path):
    shim = a_python(tmp_path / "shims", "python3.12", broken=True)
    kept = a_python(tmp_path / "pyenv/versions/3.12.9/bin", "python3.12")
    found = bootstrap(tmp_path, FIRST=str(shim.parent), PYENV_ROOT=str(tmp_path / "pyenv"))
    assert found.stdout.strip() == str(kept), found.stderr


def test_the_bootstrap_takes_the_python_it_is_given(tmp_path):
    mine = a_python(tmp_path / "mine", "python")
    assert bootstrap(tmp_path, PYTHON=str(mine)).stdout.strip() == str(mine)


def test_the_bootstrap_without_any_python_says_so_in_a_sentence(tmp_path):
    if any(
        Path(d, n).exists()
        for d in ("/usr/local/bin", "/opt/homebrew/bin")
        for n in ("python3", "python3.12", "python3.13")
    ):
        pytest.skip("this machine keeps a Python where the bootstrap looks in any case")
    found = bootstrap(tmp_path)
    assert found.returncode == 1 and found.stdout == "" and "Python 3.12 or 3.13" in found.stderr


def test_a_toml_file_that_is_tracked_is_valid():
    for path in tracked():
        if path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
