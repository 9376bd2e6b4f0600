#!/usr/bin/env bash
# Drains a node and deletes it from the cluster, before its machine goes. Runs on the control plane.
set -euo pipefail

usage() {
	cat <<'TEXT'
usage: sudo env NODE=worker-1 node-delete.sh
Environment:
  NODE      name of the node
  TIMEOUT   seconds that pods have to leave, default 300. Disruption budgets are respected until then.
Prints "node <name> deleted".
TEXT
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac
[ -n "${NODE:-}" ] || { echo "node-delete: NODE is not set" >&2; usage >&2; exit 2; }

TIMEOUT=${TIMEOUT:-300}
export KUBECONFIG=/etc/kubernetes/admin.conf
say() { printf 'node-delete: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
exec 9>"/run/kubeadm-aws-node-$NODE.lock"
flock -w 600 9 || die "another run has been changing node $NODE for 10 minutes"

kube() { kubectl --request-timeout=20s "$@" </dev/null; }

ready=$(kube get node "$NODE" --ignore-not-found -o 'jsonpath={.metadata.name} {.status.conditions[?(@.type=="Ready")].status}') ||
	die "the API does not answer, so node $NODE cannot be drained"
if [ -z "$ready" ]; then
	say "node $NODE is not there any more"
	echo "node $NODE deleted"
	exit
fi
kube cordon "$NODE" >/dev/null
if [ "$ready" = "$NODE True" ]; then
	say "draining $NODE"
	if ! kubectl drain "$NODE" --ignore-daemonsets --delete-emptydir-data --force --timeout="${TIMEOUT}s" </dev/null 2>&1 |
		sed '/^Warning: ignoring DaemonSet/d' >&2; then
		say "pods that are still on $NODE:"
		kube get pods -A --field-selector "spec.nodeName=$NODE,status.phase=Running" -o wide >&2 || true
		say "disruption budgets:"
		kube get poddisruptionbudgets -A >&2 || true
		die "$NODE could not be drained within $TIMEOUT s; it is cordoned and still there. Make room for its pods or relax the budget that holds them, then run again"
	fi
else
	say "$NODE is not Ready; its pods cannot leave in order"
fi
kube delete node "$NODE" --ignore-not-found >/dev/null
echo "node $NODE deleted"
