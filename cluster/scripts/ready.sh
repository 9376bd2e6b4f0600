#!/usr/bin/env bash
# Waits until this machine has booted. Fails on a machine that the other scripts do not support.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo ready.sh
Waits for cloud-init and for logins to be allowed. Optional environment:
  TIMEOUT       seconds to wait at most, default 480
  ARCHITECTURE  of this machine, default amd64
Prints "ready <os> <architecture>".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac

TIMEOUT=${TIMEOUT:-480}
ARCHITECTURE=${ARCHITECTURE:-amd64}
say() { printf 'ready: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

# shellcheck source=/dev/null
os=$(. /etc/os-release && echo "$ID-$VERSION_ID")
case $os in
  debian-12 | ubuntu-24.04) ;;
  *) die "this machine runs $os; the image has to be ubuntu-24.04 or debian-12 (image.os, image.ami)" ;;
esac
arch=$(dpkg --print-architecture)
[ "$arch" = "$ARCHITECTURE" ] || die "this machine is $arch; only $ARCHITECTURE instance types are supported (nodes[].instanceType)"

if command -v cloud-init >/dev/null; then
  say "waiting for cloud-init"
  rc=0
  timeout "$TIMEOUT" cloud-init status --wait >/dev/null </dev/null || rc=$?
  # 2 is "done, with recoverable errors", such as a deprecated key in the image's own settings.
  case $rc in
    0) ;;
    2)
      say "cloud-init has finished with errors that it recovered from:"
      cloud-init status --long >&2 || true
      ;;
    124) die "cloud-init is not done after $TIMEOUT s; see /var/log/cloud-init-output.log on this machine" ;;
    *)
      cloud-init status --long >&2 || true
      die "cloud-init failed; see /var/log/cloud-init-output.log on this machine"
      ;;
  esac
fi

# On a new machine, the timers would hold the package lock at about the time when prepare needs it. They stay off until the
# next boot or until prepare enables them again. On a node, this step may run without prepare: for a changed script.
[ -e /var/lib/kubeadm-aws/containerd-config ] || systemctl stop apt-daily.timer apt-daily-upgrade.timer >/dev/null 2>&1 || true

until [ ! -e /run/nologin ]; do
  [ "$SECONDS" -lt "$TIMEOUT" ] || die "the machine does not allow logins after $TIMEOUT s"
  sleep 0.5
done
echo "ready $os $arch"
