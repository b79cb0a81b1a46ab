#!/bin/sh
# Resolve the requirements in settings.ini into requirements.lock: every version, no address.
set -eu
cd "$(dirname "$0")/.."
wanted="$(mktemp)"
overrides="$(mktemp)"
trap 'rm -f "$wanted" "$overrides"' EXIT
.venv/bin/python - >"$wanted" <<'P'
import configparser, shlex
c = configparser.ConfigParser(delimiters=["="])
c.read("settings.ini")
print("\n".join(shlex.split(c["DEFAULT"]["requirements"]) + shlex.split(c["DEFAULT"]["dev_requirements"]) + ["setuptools>=64", "wheel"]))
P
# BERTopic, when it comes, asks for sentence-transformers and with it for torch: neither is used.
echo 'sentence-transformers ; python_version < "3"' >"$overrides"
uv="$(command -v uv || echo .venv/bin/uv)"
"$uv" pip compile -q --universal --python-version 3.12 --override "$overrides" --no-header --no-annotate --no-emit-index-url "$wanted" -o requirements.lock
