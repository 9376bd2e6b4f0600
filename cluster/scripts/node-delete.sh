#!/usr/bin/env bash
# Drains a node and deletes it from the cluster, before its machine is deleted. Runs on the control plane. Nodes take
# turns. The last of its kind waits until an earlier one has returned, so that evicted pods have a node to run on.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODE=worker-1 node-delete.sh
Environment:
  NODE      name of the node
  PROVIDER_ID  provider id of its machine. The node of another machine with this name stays. Without it every machine counts
  TIMEOUT   seconds that pods have to leave, default 1200. Disruption budgets are respected all the time: a budget can hold
            a pod until the node that left before is back.
  TURN      seconds to wait for the turn of this node, default 3000
  LOST      seconds without the Ready condition after which the pods are not waited for, default 30
  RETURN    seconds to wait for a node that left before or reboots, default 900. Without the node that left, the drain goes on:
            it may be removed for good. While a node reboots, this one stays.
Prints "node <name> deleted".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
[ -n "${NODE:-}" ] || {
  echo "node-delete: NODE is not set" >&2
  usage >&2
  exit 2
}

TIMEOUT=${TIMEOUT:-1200}
TURN=${TURN:-3000}
LOST=${LOST:-30}
RETURN=${RETURN:-900}
run=${RUN_DIR:-/run}
left=$run/kubeadm-aws-left
export KUBECONFIG=${KUBECONFIG:-/etc/kubernetes/admin.conf}
say() { printf 'node-delete: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
mkdir -p "$left"
exec 9>"$run/kubeadm-aws-node-$NODE.lock"
flock -w 600 9 || die "another run has been changing node $NODE for 10 minutes"

kube() { kubectl --request-timeout=20s "$@" </dev/null; }

# nodes prints for each node: its name, whether it accepts pods, "reboots" if it has its turn to reboot (reboot-turn.sh), and the
# taints that pods must tolerate.
nodes() {
  # shellcheck disable=SC2016 # a template, not a variable
  kube get nodes -o go-template='{{range .items}}{{.metadata.name}} {{$open := not .spec.unschedulable}}{{range .status.conditions}}{{if eq .type "Ready"}}{{and $open (eq .status "True")}}{{end}}{{end}} {{with .metadata.annotations}}{{with index . "kubeadm-aws/reboot"}}reboots{{else}}-{{end}}{{else}}-{{end}} {{range .spec.taints}}{{if and (ne .effect "PreferNoSchedule") (ne .key "node.kubernetes.io/unschedulable")}}{{.key}}={{with .value}}{{.}}{{end}}:{{.effect}},{{end}}{{end}}{{"\n"}}{{end}}'
}

# missing prints a node that left within RETURN seconds and has not returned.
missing() {
  local file name
  for file in "$left"/*; do
    [ -e "$file" ] || continue
    name=${file##*/}
    if [ $(($(date +%s) - $(stat -c %Y "$file"))) -ge "$RETURN" ] || grep -q "^$name true " <<<"$1"; then
      rm -f "$file"
    elif [ "$name" != "$NODE" ]; then
      echo "$name"
      return
    fi
  done
}

# rebooting prints another node that has its turn to reboot.
rebooting() { awk -v node="$NODE" '$1 != node && $3 == "reboots" {print $1; exit}' <<<"$1"; }

# others succeeds if another node accepts the pods of this one.
others() {
  awk -v node="$NODE" '$1 == node { own = $4 } { open[$1] = $2; taints[$1] = $4 }
		END { for (n in open) if (n != node && open[n] == "true" && taints[n] == own) found = 1; exit !found }' <<<"$1"
}

# wait_for_room returns when no node reboots, and evicted pods have a node to run on or no earlier node is expected to return.
wait_for_room() {
  local all waiting reason said='' until=$((SECONDS + RETURN))
  while all=$(nodes) || die "the API does not answer, so node $NODE cannot be drained"; do
    waiting=$(rebooting "$all") reason='it reboots for an update'
    if [ -z "$waiting" ]; then
      waiting=$(missing "$all") reason="without it the pods of $NODE have no node to go to"
      if [ -z "$waiting" ] || others "$all"; then return; fi
    elif [ "$SECONDS" -ge "$until" ]; then
      die "$waiting has its turn to reboot (maintenance.reboots) and has not returned within $RETURN s, so $NODE has not been drained. Repair or replace $waiting, or end its turn by hand: kubectl annotate node $waiting kubeadm-aws/reboot-, then kubectl uncordon $waiting. Then run the same command again"
    fi
    if [ -z "$said" ]; then
      say "waiting up to $RETURN s for $waiting: $reason"
      said=1
    fi
    sleep "${INTERVAL:-5}"
  done
}

# stop_if_lost ends a drain when the node has not been Ready for LOST seconds: a machine that is gone ends no pods. It stays Ready
# for most of a minute after its end.
stop_if_lost() { # PID
  local since='' status
  while sleep "${INTERVAL:-5}"; do
    status=$(kube get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') || continue
    if [ "$status" = True ]; then
      since=''
      continue
    fi
    since=${since:-$SECONDS}
    if [ $((SECONDS - since)) -ge "$LOST" ]; then break; fi
  done
  kill "$1"
}

# drain succeeds if the pods have left, or if the machine was lost meanwhile.
drain() {
  local pid watch rc=0
  kubectl drain "$NODE" --ignore-daemonsets --delete-emptydir-data --force --timeout="${TIMEOUT}s" </dev/null \
    > >(sed '/^Warning: ignoring DaemonSet/d' >&2) 2>&1 &
  pid=$!
  # Its last sleep may outlive this script, so it holds neither the connection nor the locks.
  stop_if_lost $pid >/dev/null 2>&1 8>&- 9>&- &
  watch=$!
  wait $pid || rc=$?
  kill $watch 2>/dev/null || true
  if [ $rc = 143 ]; then # ended by stop_if_lost
    say "$NODE has been lost meanwhile; its pods cannot leave in order"
    rc=0
  fi
  return $rc
}

ready=$(kube get node "$NODE" --ignore-not-found -o 'jsonpath={.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.spec.providerID}') ||
  die "the API does not answer, so node $NODE cannot be drained"
machine=${ready##* } ready=${ready% *}
if [ -n "$ready" ] && [ -n "$machine" ] && [ "$machine" != "${PROVIDER_ID:-$machine}" ]; then
  # A refresh took the machine of this step out of the state, and the next one has joined.
  say "node $NODE is that of another machine now, $machine; it stays"
  ready=''
fi
if [ -z "$ready" ]; then
  say "node $NODE is not there any more"
  echo "node $NODE deleted"
  exit
fi
if [ "$ready" = "$NODE True" ]; then
  exec 8>"$run/kubeadm-aws-drain.lock"
  flock -w "$TURN" 8 || die "other nodes have been draining for $TURN s. Nothing is wrong with $NODE: run the same command again"
  # The node of this machine reboots only when no step runs here any more, so this step ends its turn instead of waiting.
  own=$(sed -n 's/^Environment=NODE=\([^ ]*\).*/\1/p' /etc/systemd/system/kubeadm-aws-reboot.service 2>/dev/null) || own=''
  [ -z "$own" ] || kube annotate node "$own" kubeadm-aws/reboot- >/dev/null || true
  wait_for_room
  # A node that has its turn to reboot would reboot, or return to service, in the middle of this drain.
  kube annotate node "$NODE" kubeadm-aws/reboot- >/dev/null
  kube cordon "$NODE" >/dev/null
  say "draining $NODE"
  if ! drain; then
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
touch "$left/$NODE"
echo "node $NODE deleted"
