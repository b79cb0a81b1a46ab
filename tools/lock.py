"""Write requirements.lock: every version of what settings.ini asks for, runtime and development, on Linux and macOS.

Versions that are locked already stay as they are; `python tools/lock.py --upgrade` takes the newest. No index address and no
path of a machine gets in. Overrides, with their reasons, stand under [tool.uv] in pyproject.toml.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"

config = ConfigParser(delimiters=["="])
config.read(ROOT / "settings.ini", encoding="utf-8")
asked = [r for key in ("requirements", "dev_requirements") for r in shlex.split(config["DEFAULT"][key])]

settings = subprocess.run(
    [sys.executable, str(ROOT / "tools/pip_settings.py")], capture_output=True, text=True, check=True
).stdout
env = dict(os.environ)
for line in settings.splitlines():
    name, _, value = shlex.split(line)[1].partition("=")
    env[name] = value

uv = Path(sys.executable).with_name("uv")
with tempfile.TemporaryDirectory() as folder:
    wanted = Path(folder) / "requirements.in"
    wanted.write_text("\n".join(asked) + "\n", encoding="utf-8")
    subprocess.run(
        [str(uv) if uv.exists() else "uv", "pip", "compile", str(wanted), "--output-file", str(LOCK), "--quiet"]
        + ["--universal", "--python-version", config["DEFAULT"]["min_python"]]
        + ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", *sys.argv[1:]],
        cwd=ROOT,
        env=env,
        check=True,
    )
print(f"{LOCK.name}: {sum('==' in line for line in LOCK.read_text(encoding='utf-8').splitlines())} packages")
