#!/bin/sh
# Export and clean the notebooks; fail if that changes a file that git tracks.
set -eu
cd "$(dirname "$0")/.."
before="$(git status --porcelain; git diff | cksum)"
.venv/bin/nbdev_export
.venv/bin/nbdev_clean
.venv/bin/nbdev_clean --fname pipelines
after="$(git status --porcelain; git diff | cksum)"
if [ "$before" != "$after" ]; then
    git status --short >&2
    echo "The package differs from its notebooks: run nbdev_export and nbdev_clean, then commit." >&2
    exit 1
fi
