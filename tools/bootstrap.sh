#!/bin/sh
# Make .venv with everything that Beejan needs, from requirements.lock. Instant when nothing changed.
# Needs a shell, git and some Python; finds one >= 3.12, or has uv fetch it.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.beejan-stamp
want="$(cat requirements.lock setup.py settings.ini | cksum)"
if [ -x .venv/bin/python ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

fits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 12) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1; }

find_python() {
    for p in python3.12 python3.13 python3 python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python; do
        if fits "$p"; then echo "$p"; return 0; fi
    done
    return 1
}

find_uv() {
    if command -v uv >/dev/null 2>&1; then echo uv; return 0; fi
    for p in python3 python; do
        if "$p" -m venv .uv >/dev/null 2>&1 && .uv/bin/pip -q install uv >/dev/null 2>&1; then echo .uv/bin/uv; return 0; fi
    done
    return 1
}

rm -rf .venv
if python="$(find_python)"; then
    "$python" -m venv .venv
elif uv="$(find_uv)" && "$uv" venv -q --seed --python 3.12 .venv; then
    :
else
    echo "Beejan needs Python 3.12 or 3.13, and neither was found nor could uv fetch one. Install one (for example: apt install python3.12-venv, or pyenv install 3.12), then run this again." >&2
    exit 1
fi

echo "Installing what requirements.lock lists into .venv (about 1 GB) ..." >&2
if .venv/bin/python -m pip -q install --disable-pip-version-check uv >/dev/null 2>&1 &&
    .venv/bin/uv pip install -q --python .venv/bin/python -r requirements.lock 2>.venv/uv.log; then
    .venv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
else
    .venv/bin/python -m pip -q install --disable-pip-version-check -r requirements.lock
    .venv/bin/python -m pip -q install --disable-pip-version-check --no-deps --no-build-isolation -e .
fi
.venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
echo "$want" >"$stamp"
