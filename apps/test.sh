#!/usr/bin/env bash
# Runs the application's linter and tests with the dependencies that requirements-dev.txt pins, in an environment under .bin.
# Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/src"
sum=$(sha256sum requirements-dev.txt | cut -c1-12)
venv=$PWD/../../.bin/app-$sum
if [ ! -e "$venv/complete" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement requirements-dev.txt
  touch "$venv/complete"
fi
export PYTHONDONTWRITEBYTECODE=1
"$venv/bin/ruff" check --no-cache .
"$venv/bin/python" -m pytest "$@"
