"""Print pip's index settings as the environment that uv understands, for a shell to evaluate.

uv does not read pip's configuration. What the environment already says to uv wins; nothing is printed where pip has
no settings.
"""

import ast
import os
import shlex
import subprocess
import sys

listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
for line in listed.splitlines():
    key, _, value = line.partition("=")
    section, _, name = key.rpartition(".")
    if section in found:
        found[section][name.strip()] = str(ast.literal_eval(value))
pip = found["global"] | found["install"] | found[":env:"]

out = {}
if "UV_DEFAULT_INDEX" not in os.environ and "UV_INDEX_URL" not in os.environ and "index-url" in pip:
    out["UV_DEFAULT_INDEX"] = pip["index-url"]
if "UV_INDEX" not in os.environ and "UV_EXTRA_INDEX_URL" not in os.environ and "extra-index-url" in pip:
    # pip takes the best version of all indexes, uv of the first that has the package
    out |= {"UV_INDEX": " ".join(pip["extra-index-url"].split()), "UV_INDEX_STRATEGY": "unsafe-best-match"}
if "UV_FIND_LINKS" not in os.environ and "find-links" in pip:
    out["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
if "UV_NO_INDEX" not in os.environ and pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
    out["UV_NO_INDEX"] = "1"
if "SSL_CERT_FILE" not in os.environ and "cert" in pip:
    out["SSL_CERT_FILE"] = pip["cert"]
if "UV_INSECURE_HOST" not in os.environ and "trusted-host" in pip:
    out["UV_INSECURE_HOST"] = " ".join(pip["trusted-host"].split())
for name, value in out.items():
    print(f"export {name}={shlex.quote(value)}")
