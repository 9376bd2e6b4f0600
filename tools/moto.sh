#!/usr/bin/env bash
# Installs the pinned AWS API emulator (tools/moto.txt) into .bin/moto, where the tests of sweep/ look for it.
# Does nothing when it is there already. Prints the path of the server.
set -euo pipefail
cd "$(dirname "$0")/.."

want=.bin/moto
stamp=$want/installed.txt

if [ -x "$want/bin/moto_server" ] && cmp -s tools/moto.txt "$stamp"; then
  echo "$PWD/$want/bin/moto_server"
  exit 0
fi
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  echo "tools/moto.sh: python3 with its venv module is needed (Debian, Ubuntu: apt-get install python3-venv)" >&2
  exit 1
fi
echo "Installing the AWS API emulator into $want: once, about half a minute." >&2
rm -rf "$want"
python3 -m venv "$want"
"$want/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement tools/moto.txt
cp tools/moto.txt "$stamp"
echo "$PWD/$want/bin/moto_server"
