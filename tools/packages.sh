#!/usr/bin/env bash
# Installs the packages of Debian or Ubuntu that lint, the test suite and the tests on real hosts need, as far as they are missing. Packages
# are named by what they bring. Without root it only lists them.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

missing=()
have() { command -v "$1" >/dev/null || missing+=("$2"); }
have git git
have make make
have curl curl
have ssh openssh-client
have shellcheck shellcheck
have yamllint yamllint
have python3 python3
have jq jq
have ip iproute2
# The servers that the application's tests start.
have redis-server redis-server
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
have rabbitmqctl rabbitmq-server
# A kernel that runs as a process, and what grows a disk.
have linux.uml user-mode-linux
have sfdisk fdisk
have growpart cloud-guest-utils
# The balancer of the workers.
have haproxy haproxy
if ! docker info >/dev/null 2>&1; then
  have dockerd docker.io
  have iptables iptables
fi
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing, and this is not root on Debian: ${missing[*]}"
  exit 0
fi
echo "installing ${missing[*]}"
tools/apt.sh ca-certificates "${missing[@]}"
