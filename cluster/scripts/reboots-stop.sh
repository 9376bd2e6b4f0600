#!/usr/bin/env bash
# Stops the reboots of nodes, and returns a node that has its turn to service. Runs on the control plane.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo reboots-stop.sh
Stops the timer that reboots.sh installed. Nodes keep asking for a reboot.
Prints "reboots are stopped".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac

say() { printf 'reboots-stop: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

systemctl -q disable --now kubeadm-aws-reboot-turn.timer || say "there is no timer kubeadm-aws-reboot-turn.timer"
systemctl stop kubeadm-aws-reboot-turn.service || say "there is no service kubeadm-aws-reboot-turn.service"
program=/usr/local/sbin/kubeadm-aws-reboot-turn
if [ -x $program ]; then
  $program stop || die "a node may have its turn to reboot, and does not return to service; see: kubectl get nodes, then kubectl uncordon NODE and kubectl annotate node NODE kubeadm-aws/reboot-"
fi
echo "reboots are stopped"
