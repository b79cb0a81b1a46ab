"""Write requirements.lock: every version of what settings.ini asks for, runtime and development, on Linux and macOS.

Versions that are locked already stay as they are; `python tools/lock.py --upgrade` takes the newest. No index
address and no path of a machine gets in. Overrides, with their reasons, stand under [tool.uv] in pyproject.toml.
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
    command = [str(uv) if uv.exists() else "uv", "pip", "compile", str(wanted), "--output-file", str(LOCK), "--quiet"]
    command += ["--universal", "--python-version", config["DEFAULT"]["min_python"], "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", *sys.argv[1:]]
    subprocess.run(command, cwd=ROOT, env=env, check=True)
# the lock is for Linux and macOS, and says so once (pyproject.toml), not on every line
EVERYWHERE = {"python_full_version < '3.14'", "(sys_platform == 'darwin' or sys_platform == 'linux')"}
lines = []
for line in LOCK.read_text(encoding="utf-8").splitlines():
    pin, _, marker = line.partition(" ; ")
    rest = [part for part in marker.split(" and ") if part and part not in EVERYWHERE]
    lines.append(f"{pin} ; {' and '.join(rest)}" if rest else pin)
LOCK.write_text("\n".join(lines) + "\n", encoding="utf-8")
print(f"{LOCK.name}: {len(lines)} packages")
