#!/bin/sh
# Makes .venv: finds a Python 3.12 or 3.13 (or has uv fetch one), installs requirements.lock exactly, then Beejan itself.
# Every make target calls it; when nothing changed since the last time it ends at once. `bootstrap.sh --find` prints the
# Python it would take, and does nothing.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."
ROOT=$(pwd -P)
VENV=$ROOT/.venv
PY=$VENV/bin/python
STAMP=$VENV/.ready
HOME=${HOME:-/nonexistent}
PYENV=${PYENV_ROOT:-$HOME/.pyenv}

say() { printf '%s\n' "$*" >&2; }

WANTED=$({ echo "$ROOT"; cat requirements.lock settings.ini setup.py tools/bootstrap.sh; } | cksum)
if [ -z "${1:-}" ] && [ -x "$PY" ] && [ -r "$STAMP" ] && [ "$(cat "$STAMP")" = "$WANTED" ]; then exit 0; fi

# ---- a Python that runs. pyenv's shims stand on the PATH and fail when called, so whatever is found is tried.
works() {
  [ -f "$1" ] && [ -x "$1" ] && "$1" -c 'import sys, ssl, sqlite3, ctypes, venv, ensurepip
sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 13))' </dev/null >/dev/null 2>&1
}
has_pip() {
  [ -f "$1" ] && [ -x "$1" ] && "$1" -c 'import sys, pip; sys.exit(sys.version_info < (3, 8))' </dev/null >/dev/null 2>&1
}

# folders VERSION: where a Python may lie: the PATH, then what pyenv, uv, asdf and mise keep off it, then the usual places
folders() {
  printf '%s\n' "${PATH:-}" | tr ':' '\n'
  for d in "$PYENV"/versions/"$1"*/bin "$HOME"/.local/share/uv/python/cpython-"$1"*/bin \
    "$HOME"/.asdf/installs/python/"$1"*/bin "$HOME"/.local/share/mise/installs/python/"$1"*/bin \
    /usr/local/bin /opt/homebrew/bin; do
    if [ -d "$d" ]; then printf '%s\n' "$d"; fi
  done
}

# first TEST NAME VERSION: the first NAME in those folders that passes TEST
first() {
  folders "$3" | while IFS= read -r d; do
    if [ -n "$d" ] && "$1" "$d/$2"; then
      printf '%s\n' "$d/$2"
      break
    fi
  done
}

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    given=$(command -v "$PYTHON" || true)
    if [ -n "$given" ] && works "$given"; then printf '%s\n' "$given" && return 0; fi
    say "PYTHON=$PYTHON is no Python 3.12 or 3.13 with venv, ssl and sqlite3; looking for another."
  fi
  for want in 3.12:python3.12 3.13:python3.13 3.1:python3 3.1:python; do
    found=$(first works "${want#*:}" "${want%%:*}")
    if [ -n "$found" ]; then printf '%s\n' "$found" && return 0; fi
  done
  return 1
}

# ---- uv: on the PATH, in its usual homes, else installed by any Python >= 3.8 that has pip
LOCKED_UV=$(sed -n 's/^\(uv==[^ ;]*\).*/\1/p' requirements.lock)

find_uv() {
  for u in "$(command -v uv || true)" "$HOME/.local/bin/uv" "$HOME/.cargo/bin/uv" "$VENV/bin/uv" "$ROOT/.uv/bin/uv"; do
    if [ -n "$u" ] && [ -x "$u" ] && "$u" --version >/dev/null 2>&1; then printf '%s\n' "$u" && return 0; fi
  done
  return 1
}

uv_by_old_python() {
  for name in python3 python3.11 python3.10 python3.9 python3.8 python; do
    old=$(first has_pip "$name" 3.)
    if [ -n "$old" ] && "$old" -m pip install -qq --disable-pip-version-check --target "$ROOT/.uv" "${LOCKED_UV:-uv}" >/dev/null 2>&1; then
      find_uv && return 0
    fi
  done
  return 1
}

python_by_uv() {
  u=$(find_uv || uv_by_old_python) || { why="uv, which could fetch one, is not here and could not be installed" && return 1; }
  say "No Python 3.12 or 3.13 found; uv fetches one ..."
  out=$("$u" python install 3.12 2>&1) || { why="uv could not fetch one ($(printf '%s\n' "$out" | sed -n '1s/^error: *//p'))" && return 1; }
  python=$("$u" python find --managed-python 3.12 2>/dev/null) && works "$python" || { why="the one that uv fetched does not run here" && return 1; }
}

if [ "${1:-}" = --find ]; then
  find_python || { say "No Python 3.12 or 3.13 found." && exit 1; }
  exit 0
fi

if ! works "$PY" || [ "$(cat "$VENV/.root" 2>/dev/null)" != "$ROOT" ]; then
  why=""
  python=$(find_python) || python_by_uv || {
    say "Beejan needs Python 3.12 or 3.13 (with venv, ssl, sqlite3). None is on the PATH or under $PYENV/versions, and $why." \
      "Install one (Debian, Ubuntu: apt-get install python3.12 python3.12-venv; macOS: brew install python@3.12; anywhere: pyenv install 3.12)" \
      "and run the same command again; or name yours: PYTHON=/path/to/python3.12 make demo"
    exit 1
  }
  say "Beejan's Python: $("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3], sys.executable)')"
  rm -rf "$VENV"
  "$python" -m venv "$VENV"
  echo "$ROOT" >"$VENV/.root"
fi
rm -f "$STAMP"

# ---- packages: by uv, which does not read pip's settings and so is told them; where uv cannot, by pip
uv_install() {
  u=$(find_uv) || {
    "$PY" -m pip install -qq --disable-pip-version-check "${LOCKED_UV:-uv}" >&2 || return 1
    u=$VENV/bin/uv
  }
  settings=$("$PY" tools/pip_settings.py) || return 1
  # bytecode is compiled once, here, not at every start where PYTHONDONTWRITEBYTECODE is set
  (eval "$settings" && "$u" pip sync --quiet --python "$PY" --compile-bytecode requirements.lock)
}
pip_install() {
  "$PY" -m pip install -qq --disable-pip-version-check --requirement requirements.lock
}
say "Installing the $(grep -c '==' requirements.lock) packages of requirements.lock into .venv (1.5 GB) ..."
uv_install || {
  say "uv could not install them; trying pip ..."
  pip_install || {
    say "The packages could not be installed. Is a package index reachable, and the disk not full? The reason stands above."
    exit 1
  }
}
"$PY" -m pip install -qq --disable-pip-version-check --root-user-action ignore --no-index --no-deps --no-build-isolation --editable . ||
  { say "The packages are there, but Beejan itself could not be installed. The reason stands above." && exit 1; }
printf '%s' "$WANTED" >"$STAMP"
say "Ready: .venv/bin/beejan"
