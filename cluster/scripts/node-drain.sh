#!/usr/bin/env bash
# Takes a node out of service before its release of Kubernetes changes. Runs on the first control plane. node.sh returns a
# worker to service, and init.sh a control plane, whose pods are not drained.
#
# The annotation kubeadm-aws/upgrade records in the cluster which node is out of service, and for how far. So no other
# node leaves before this one is back, also when the run is interrupted and another run follows. Two runs cannot set it on
# two nodes, because they share a lock on this machine.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODE=worker-1 KUBERNETES_VERSION=1.36.3 node-drain.sh
Environment:
  NODE                 name of the node
  KUBERNETES_VERSION   its new release; a node that runs it already is left alone
  ROLE                 control-plane, or worker, which is the default
  PROVIDER_ID          of the node's machine; the node of another machine is left alone. May be empty
  TIMEOUT              seconds that pods have to leave, default 900. Disruption budgets are respected all the time.
  SERVE                seconds to wait until all other nodes serve, default 300
Prints "node <name> drained" (also of a control plane) or "node <name> stays".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in NODE KUBERNETES_VERSION; do
  [ -n "${!v:-}" ] || {
    echo "node-drain: $v is not set" >&2
    usage >&2
    exit 2
  }
done

ROLE=${ROLE:-worker}
TIMEOUT=${TIMEOUT:-900}
SERVE=${SERVE:-300}
STATE=/var/lib/kubeadm-aws
run=${RUN_DIR:-/run}
export KUBECONFIG=${KUBECONFIG:-/etc/kubernetes/admin.conf}
say() { printf 'node-drain: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
exec 9>"$run/kubeadm-aws-node-$NODE.lock"
flock -w 300 9 || die "another run has been changing node $NODE for 5 minutes"

kube() { kubectl --request-timeout=20s "$@" </dev/null; }

# nodes prints for each node: its name, whether it is Ready, the release of its kubelet, whether it accepts no pods, "reboots" if
# it has its turn to reboot (reboot-turn.sh), and how far an upgrade of it is: draining or drained, and kept if it accepted no
# pods before. A control plane is upgrading.
nodes() {
  # shellcheck disable=SC2016 # a Go template
  kube get nodes -o go-template='{{range .items}}{{.metadata.name}} {{range .status.conditions}}{{if eq .type "Ready"}}{{.status}}{{end}}{{end}} {{.status.nodeInfo.kubeletVersion}} {{if .spec.unschedulable}}cordoned{{else}}open{{end}} {{with .metadata.annotations}}{{with index . "kubeadm-aws/reboot"}}reboots{{else}}-{{end}} {{with index . "kubeadm-aws/upgrade"}}{{.}}{{end}}{{else}}- {{end}}{{"\n"}}{{end}}'
}
all=$(nodes) || die "the API does not answer, so node $NODE cannot be drained"
read -r _ ready version _ reboots mark < <(awk -v node="$NODE" '$1 == node' <<<"$all") || true
if [ -z "${version:-}" ] || { [ "$version" = "v$KUBERNETES_VERSION" ] && [ -z "$mark" ]; }; then
  echo "node $NODE stays"
  exit
fi
if [ -n "${PROVIDER_ID:-}" ] && [ "$(kube get node "$NODE" -o 'jsonpath={.spec.providerID}')" != "$PROVIDER_ID" ]; then
  echo "node $NODE stays"
  exit
fi
if [ "${mark%% *}" = drained ] || [ "$mark" = upgrading ]; then
  say "node $NODE was drained by an earlier run"
  echo "node $NODE drained"
  exit
fi
[ "$ready" = True ] || [ "$reboots" = reboots ] || die "node $NODE is not Ready, so its pods cannot leave in order. Repair it, or give it another generation (nodes[].generation; a node of a group needs an entry of its own for that: docs/upgrade.md), then run pulumi up again; nothing has been changed on it"

runs=$(kube get --raw=/version | sed -n 's/.*"gitVersion": *"v\([^"]*\)".*/\1/p') || runs=''
[ "$runs" = "$KUBERNETES_VERSION" ] ||
  die "the API server runs ${runs:-an unknown release}, and $NODE would run $KUBERNETES_VERSION: the control plane that began the cluster is upgraded first. Run the whole pulumi up, without --target; nothing has been changed"

# No drain of a node that is deleted runs meanwhile, and no upgrade of this control plane.
exec 8>"$run/kubeadm-aws-drain.lock"
flock -w 300 8 || die "other nodes have been draining for 5 minutes. Nothing is wrong with $NODE: run pulumi up again"
[ ! -e "$STATE/upgrade.started" ] ||
  die "the upgrade of the control plane on this machine has not finished, so $NODE stays as it is. Run the whole pulumi up, without --target"
# The node of this machine reboots only when no step runs here any more, so this step ends its turn instead of waiting.
own=$(sed -n 's/^Environment=NODE=\([^ ]*\).*/\1/p' /etc/systemd/system/kubeadm-aws-reboot.service 2>/dev/null) || own=''
[ -z "$own" ] || kube annotate node "$own" kubeadm-aws/reboot- >/dev/null || true
away() { awk -v node="$NODE" '$5 == "reboots" {print $1, "(reboots for an update)"; next} $1 != node && ($2 != "True" || $6 != "") {print $1}' <<<"$1" | xargs; }
until=$((SECONDS + SERVE))
while all=$(nodes) || die "the API does not answer, so node $NODE cannot be drained"; do
  missing=$(away "$all")
  [ -n "$missing" ] || break
  [ "$SECONDS" -lt "$until" ] || die "not in service: $missing. Nodes are upgraded one after the other, so $NODE stays as it is. Repair what is not Ready, then run pulumi up again. A node that is removed from the settings leaves at the end of an up: remove it first with kubectl delete node NAME. A turn to reboot ends within half an hour, or by hand: kubectl annotate node NAME kubeadm-aws/reboot-, then kubectl uncordon NAME"
  sleep 2
done
cordoned=$(awk -v node="$NODE" '$1 == node {print $4}' <<<"$all")

if [ "$ROLE" = control-plane ]; then
  kube annotate node "$NODE" --overwrite kubeadm-aws/upgrade=upgrading >/dev/null ||
    die "the API does not record that $NODE is upgraded, so it stays as it is; run pulumi up again"
  echo "node $NODE drained"
  exit
fi

state() { # VALUE UNSCHEDULABLE: records how far the upgrade is
  kube patch node "$NODE" --type=merge -p "{\"metadata\": {\"annotations\": {\"kubeadm-aws/upgrade\": $1}}, \"spec\": {\"unschedulable\": $2}}" >/dev/null
}
# A node that an operator took out of service before stays so afterwards.
kept=''
case "$mark,$cordoned" in *kept,* | ,cordoned) kept=' kept' ;; esac
state "\"draining$kept\"" true || die "node $NODE cannot be cordoned"
say "draining $NODE"
log=$run/kubeadm-aws-drain-$NODE.log
if ! kubectl drain "$NODE" --ignore-daemonsets --delete-emptydir-data --force --timeout="${TIMEOUT}s" </dev/null >"$log" 2>&1; then
  grep -v '^Warning: ignoring DaemonSet' "$log" | tail -n 5 >&2 || true
  kube get poddisruptionbudgets -A >&2 || true
  held=$(sed -n 's/^error when evicting pods\/"\([^"]*\)" -n "\([^"]*\)".*/\2\/\1/p' "$log" | sort -u | xargs)
  unschedulable=false
  [ -z "$kept" ] || unschedulable=true
  state null "$unschedulable" || say "node $NODE stays cordoned: kubectl uncordon $NODE"
  die "$NODE could not be drained within $TIMEOUT s: these pods stay: ${held:-see above}. The node is back in service with its former release, and no other node was touched. Give the pods a replica elsewhere or relax their disruption budget, then run pulumi up again"
fi
state "\"drained$kept\"" true || die "node $NODE is drained, and the API does not record it; run pulumi up again"
echo "node $NODE drained"
