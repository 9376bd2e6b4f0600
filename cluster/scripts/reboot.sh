#!/usr/bin/env bash
# Asks for the reboot that an installed update needs, and reboots this machine when its turn has come. prepare.sh installs it
# on every node. A systemd timer runs it every minute.
#
# A package whose update takes effect with a reboot, such as the kernel, creates /run/reboot-required. The file is gone after a
# reboot, because /run is in memory. The annotation kubeadm-aws/reboot-required shows it in the cluster. reboot-turn.sh on the
# control plane drains the node and gives it its turn by the annotation kubeadm-aws/reboot.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODE=worker-1 reboot.sh
Environment:
  NODE   name of this node
Prints nothing.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
[ -n "${NODE:-}" ] || {
  echo "reboot: NODE is not set" >&2
  usage >&2
  exit 2
}

STATE=/var/lib/kubeadm-aws
METRICS=/var/lib/node-exporter/textfile/reboot.prom
REQUIRED=/run/reboot-required
since=/run/kubeadm-aws-reboot-since
turn=$STATE/reboot.turn
# Seconds in which a turn may begin. reboot-turn.sh returns the node to service after 1800 s.
BEGIN=1500
# The kubelet may annotate its own node.
export KUBECONFIG=/etc/kubernetes/kubelet.conf
say() { printf 'reboot: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

# Each further update touches the file again. The first time counts.
if [ ! -e $REQUIRED ]; then
  rm -f $since
elif [ ! -s $since ]; then
  stat -c %Y $REQUIRED >$since
fi
at=$(cat $since 2>/dev/null) || at=0
metrics() {
  mkdir -p "${METRICS%/*}" && cat >"$METRICS.new" <<-TEXT && chmod 644 "$METRICS.new" && mv "$METRICS.new" "$METRICS"
		# HELP kubeadm_aws_reboot_required_since_timestamp_seconds Time at which an update that needs a reboot was installed, or 0.
		# TYPE kubeadm_aws_reboot_required_since_timestamp_seconds gauge
		kubeadm_aws_reboot_required_since_timestamp_seconds $at
	TEXT
}
metrics || say "the metric in $METRICS cannot be written"
[ -s $KUBECONFIG ] || exit 0 # the machine has not joined yet

kube() { kubectl --request-timeout=20s "$@" </dev/null; }
annotation() { # NAME
  # shellcheck disable=SC2016 # a Go template
  kube get node "$NODE" -o go-template='{{with .metadata.annotations}}{{with index . "'"$1"'"}}{{.}}{{end}}{{end}}'
}

if [ "$at" = 0 ]; then
  # After a reboot, the node returns to service when the annotation is gone. So the kubelet has to serve before.
  curl -fs --max-time 2 -o /dev/null http://127.0.0.1:10248/healthz || exit 0
  asks=$(annotation kubeadm-aws/reboot-required) || die "the API does not show whether $NODE asks for a reboot; the next run tries again"
  [ -z "$asks" ] || kube annotate node "$NODE" kubeadm-aws/reboot-required- >/dev/null ||
    die "the API does not record that $NODE needs no reboot; the next run tries again"
  exit
fi

asks=$(annotation kubeadm-aws/reboot-required) || die "the API does not show whether $NODE asks for a reboot; the next run tries again"
if [ -z "$asks" ]; then
  kube annotate node "$NODE" --overwrite "kubeadm-aws/reboot-required=$(date -u -d "@$at" +%Y-%m-%dT%H:%M:%SZ)" >/dev/null ||
    die "the API does not record that $NODE needs a reboot; the next run tries again"
  say "an update needs a reboot: $(xargs <"$REQUIRED.pkgs" 2>/dev/null || echo "see $REQUIRED")"
fi
# A reboot would interrupt a step of pulumi up. A step can end the turn of this node, so the turn is read after that.
busy=''
if pgrep -f "^bash $STATE/scripts/limit.sh " >/dev/null; then busy=yes; fi
mark=$(annotation kubeadm-aws/reboot) || die "the API does not show whether $NODE has its turn to reboot; the next run tries again"
[[ $mark =~ ^granted:([0-9]+)$ ]] || exit 0
# One reboot for each turn, also if the file is created again at every boot.
if [ "$mark" = "$(cat "$turn" 2>/dev/null)" ]; then
  say "this machine has rebooted in its turn, and $REQUIRED still asks for a reboot"
  exit
fi
# The annotation can be left from a turn that ended long ago. Pods run on this machine again.
if [ $(($(date +%s) - BASH_REMATCH[1])) -ge $BEGIN ]; then
  say "the turn of $NODE began more than $BEGIN s ago, so it does not reboot"
  exit
fi
if [ -n "$busy" ]; then
  say "a step of pulumi up runs on this machine, so it does not reboot yet"
  exit
fi
printf '%s\n' "$mark" >"$turn" || die "$STATE cannot be written, so $NODE does not reboot: is the disk full or read-only?"
say "rebooting $NODE"
systemctl reboot
