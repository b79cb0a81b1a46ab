"""Build the documentation site from docs/, the library notebooks and the worked ones, without a network: `make docs`.

    python tools/docs.py [FOLDER]      default: _docs

The site is plain HTML that opens from the disk: no font, script or picture comes from elsewhere, and the build fails
if a page would fetch one.
"""

import json
import logging
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {
    "0": "Core",
    "1": "Land",
    "2": "Conform",
    "3": "Resolve",
    "4": "Understand",
    "5": "Model",
    "6": "Operate",
    "7": "Govern",
    "8": "Serve",
    "9": "Scale and commands",
}
FIRST_HOURS = ("manager", "analyst", "data_scientist", "developer", "engineer", "privacy_officer")
FETCHED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'> ]+""", re.I)

MATHJAX = re.compile(r"<script data-mkdocs-jupyter-mathjax=.*?</script>", re.DOTALL)


def title(notebook: Path) -> str:
    """The first heading of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    words = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.search(r"^# (.+)$", words, re.M)[1]


def page(notebook: Path, folder: Path) -> dict[str, str]:
    """Copy a notebook into the site's sources, without the directives that are for the exporter."""
    nb = json.loads(notebook.read_text(encoding="utf-8"))
    hidden = re.compile(r"^#\| *(hide|default_exp)\b", re.M)
    nb["cells"] = [c for c in nb["cells"] if c["cell_type"] == "markdown" or not hidden.search("".join(c["source"]))]
    for c in nb["cells"]:
        c["source"] = re.sub(r"^#\|[^\n]*\n", "", "".join(c["source"]), flags=re.M)
    target = folder / notebook.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(nb), encoding="utf-8")
    return {title(notebook): f"{folder.name}/{notebook.name}"}


def navigation(sources: Path) -> list[dict]:
    """Gather every page, and say where it stands."""
    shutil.copytree(ROOT / "docs", sources, dirs_exist_ok=True)
    library: dict[str, list] = {}
    for nb in sorted(ROOT.glob("nbs/[0-9]*.ipynb")):
        library.setdefault(LAYERS[nb.name[0]], []).append(page(nb, sources / "library"))
    worked = [page(nb, sources / "notebooks") for nb in sorted(ROOT.glob("notebooks/*.ipynb"))]
    jobs = [page(nb, sources / "pipelines") for nb in sorted(ROOT.glob("pipelines/*.ipynb"))]
    reference = [
        {name.replace("_", " ").capitalize(): f"{name}.md"} for name in ("schema", "measures", "commands", "settings")
    ]
    return [
        {"Home": "index.md"},
        {"Your first hour": [f"first_hour/{name}.md" for name in FIRST_HOURS]},
        {"Worked notebooks": worked},
        {"Reference": [r for r in reference if (sources / next(iter(r.values()))).exists()]},
        {"Pipelines": jobs},
        {"Library": [{layer: pages} for layer, pages in library.items()]},
    ]


def build(target: Path) -> int:
    """Build the site into `target`; 0 if it is whole and fetches nothing."""
    from mkdocs.commands.build import build as mkdocs_build
    from mkdocs.config import load_config

    with tempfile.TemporaryDirectory() as name:
        sources = Path(name) / "docs"
        settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
        settings |= {"docs_dir": str(sources), "site_dir": str(target.resolve()), "nav": navigation(sources)}
        (Path(name) / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        logging.getLogger("mkdocs").setLevel(logging.ERROR)
        mkdocs_build(load_config(str(Path(name) / "mkdocs.yml")))
    pages = sorted(target.rglob("*.html"))
    for p in pages:  # no page has a formula, and the script for them would be fetched
        p.write_text(MATHJAX.sub("", p.read_text(encoding="utf-8")), encoding="utf-8")
    fetching = [f"{p.relative_to(target)}: {m[0][:160]}" for p in pages for m in FETCHED.finditer(p.read_text("utf-8"))]
    print(*fetching[:20], sep="\n")
    print(f"{len(pages)} pages in {target}, {len(fetching)} things fetched from elsewhere")
    return bool(fetching)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_docs"))
