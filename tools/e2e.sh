#!/usr/bin/env bash
# Proves the program on real hosts: the driver brings up docker containers that behave like fresh EC2 instances, kubeadm
# makes clusters of them, and the tests of e2e/ and sandbox/hosts/ look at these from outside.
#
#   tools/e2e.sh [FLAGS OF go test]                  such as -run TestDevStack
#   ADDONS=real tools/e2e.sh -run TestPlatform       with the add-ons' own programs
#   FAULTS=1 tools/e2e.sh -run TestControlPlanesFail control planes without a network, a machine or space on their disk
#   ROUNDS=10 tools/e2e.sh -run TestThreeControlPlanes
#                                                    each control plane is lost ten times
#
# Needs root and a docker daemon that answers. The hosts install from a mirror that tools/mirror builds from source; with
# MIRROR=off they install from the public repositories. With KEEP=1 a failed test leaves its hosts to look at.
# shellcheck disable=SC2317 # functions are called through the trap
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'e2e: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: hosts are led to their metadata service by iptables. Run it with sudo."
for c in docker go iptables python3; do
  command -v "$c" >/dev/null || die "$c is missing (Debian: apt-get install docker.io iptables python3; Go from https://go.dev/dl/)"
done
docker info >/dev/null 2>&1 || die "docker does not answer; start it (systemctl start docker, or dockerd)"

# The names of the stacks are fixed, so that what a run left behind is found by the next.
stacks=(e2e e2e-cut e2e-faults e2e-reboots e2e-rotate e2e-three e2e-upgrade e2e-hosts e2e-platform)
exec 9>/run/lock/kubeadm-aws-e2e.lock
flock -n 9 || die "another run is under way on this machine; wait for its end"
work=$(mktemp -d "${TMPDIR:-/tmp}/kubeadm-aws-e2e.XXXXXX")

# ours prints the processes whose command line contains the directory of this run.
ours() {
  local p
  for p in /proc/[0-9]*; do
    if [ "${p#/proc/}" = "$$" ]; then continue; fi
    if tr '\0' ' ' 2>/dev/null <"$p/cmdline" | grep -qF "$work"; then printf '%s\n' "${p#/proc/}"; fi
  done
}
finish() {
  local rc=$? pids
  trap '' INT TERM
  pids=$(ours 2>/dev/null)
  # shellcheck disable=SC2086
  if [ -n "$pids" ]; then kill -KILL $pids 2>/dev/null || true; fi
  if [ "$rc" != 0 ] && [ -n "${KEEP:-}" ]; then
    say "kept: $work and the containers labelled kubeadm-aws.stack (${stacks[*]}); the next run removes the containers"
  else
    tools/remove-hosts.sh "${stacks[@]}" >/dev/null || say "something of this run could not be removed; see docker ps --all"
    rm -rf "$work"
  fi
  exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

left=$(tools/remove-hosts.sh "${stacks[@]}")
if [ -n "$left" ]; then say "removed what an earlier run left: $(wc -l <<<"$left") containers and networks"; fi

PULUMI=$(tools/pulumi.sh)
MOTO_SERVER=$(tools/moto.sh)
export PULUMI MOTO_SERVER

if [ "${MIRROR:-}" != off ]; then
  say 'the mirror: the first build compiles Kubernetes, containerd, etcd and CoreDNS, about 13 minutes on 2 cores'
  if [ "${ADDONS:-}" = real ]; then
    say 'and the images of the add-ons'
    tools/mirror/build platform >/dev/null
  else
    tools/mirror/build >/dev/null
  fi
fi
tools/mirror/host/image

say 'compiling the driver and the tests; the first time takes about 2 minutes'
# One package at a time: both load the machine. Tests that wait more than they work run in parallel, after TestDevStack,
# whose figures are of a machine that does nothing else.
set +e
TMPDIR=$work go test -tags e2e -count=1 -p 1 -parallel 3 -timeout 60m -v "$@" ./e2e ./internal/dockerhosts 2>&1 | tee "$work/log"
rc=${PIPESTATUS[0]}
set -e

echo
echo "== figures ($(nproc) cores, $(free -g | awk '$1 == "Mem:" {print $2}') GB)"
sed -n 's/.*FIGURE //p' "$work/log" | grep -v ' path ' || echo 'none'
echo '== results'
grep -E '^ *--- (PASS|FAIL|SKIP)' "$work/log" || echo 'no test ran'
grep -E '^(ok|FAIL|panic:)' "$work/log" || true
exit "$rc"
