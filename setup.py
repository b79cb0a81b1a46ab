"""Install Beejan; every fact about the package lives in `settings.ini`."""

import shlex
import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(HERE / "settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]


class WithPipelines(build_py):
    """A wheel carries the pipelines and the declared sources, so that `beejan init` has something to copy."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "beejan/data/pipelines"
            for path in [p for kind in ("*.ipynb", "*.toml", "sources/*.toml") for p in HERE.glob(f"pipelines/{kind}")]:
                copy = target / path.relative_to(HERE / "pipelines")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=["beejan", "beejan.*"]),
    package_data={"beejan": ["data/**/*", "py.typed"]},
    install_requires=shlex.split(cfg["requirements"]),
    extras_require={"dev": shlex.split(cfg["dev_requirements"]), "spark": shlex.split(cfg["spark_requirements"])},
    entry_points={"console_scripts": ["beejan=beejan.cli:main"], "nbdev": ["beejan=beejan._modidx:d"]},
    cmdclass={"build_py": WithPipelines},
    zip_safe=False,
)
