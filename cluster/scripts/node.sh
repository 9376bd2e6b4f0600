#!/usr/bin/env bash
# Sets the labels and taints of a node from the settings, and admits pods to it, also after an upgrade. Runs on the control
# plane.
#
# Annotations of the node record what was set. So a label that is removed from the settings is removed from the node, and
# labels of other origin stay.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODE=worker-1 ROLE=worker ... node.sh
Environment:
  NODE            name of the node
  ROLE            worker or control-plane
  LABELS          lines "key=value"; may be empty
  TAINTS          lines "key=value:Effect"; may be empty
  STARTUP_TAINT   key of the taint that workers register with
  KUBERNETES_VERSION   release that the node must run before it returns from an upgrade
Prints "node <name> configured".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in NODE ROLE STARTUP_TAINT KUBERNETES_VERSION; do
  [ -n "${!v:-}" ] || {
    echo "node: $v is not set" >&2
    usage >&2
    exit 2
  }
done

export KUBECONFIG=/etc/kubernetes/admin.conf
say() { printf 'node: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
exec 9>"/run/kubeadm-aws-node-$NODE.lock"
flock -w 300 9 || die "another run has been changing node $NODE for 5 minutes"

kube() { kubectl --request-timeout=20s "$@" </dev/null; }

# One line each: labels that were set, taints that were set, taints that the node has, how far an upgrade of it is.
read_node() {
  # shellcheck disable=SC2016 # a Go template
  kube get node "$NODE" -o go-template='{{with .metadata.annotations}}{{with index . "kubeadm-aws/labels"}}{{.}}{{end}}{{end}}
{{with .metadata.annotations}}{{with index . "kubeadm-aws/taints"}}{{.}}{{end}}{{end}}
{{with .spec.taints}}{{range .}}{{.key}}:{{.effect}} {{end}}{{end}}
{{with .metadata.annotations}}{{with index . "kubeadm-aws/upgrade"}}{{.}}{{end}}{{end}}
'
}
until=$((SECONDS + 180))
error=/run/kubeadm-aws-node-$NODE.error
until facts=$(read_node 2>"$error"); do
  [ "$SECONDS" -lt "$until" ] || die "node $NODE is not found: $(tail -n 1 "$error")"
  sleep 0.5
done
{
  read -r had_labels
  read -r had_taints
  read -r has_taints
  read -r upgrade
} <<<"$facts"$'\n\n\n\n' || true

# ---- labels: one patch sets, removes and records ----------------------------

quoted() { printf '"%s"' "$1"; } # label syntax needs no escaping in JSON
labels='' label_keys=''
if [ "$ROLE" = worker ]; then
  labels='"node-role.kubernetes.io/worker": ""'
  label_keys=" node-role.kubernetes.io/worker"
fi
while IFS='=' read -r key value; do
  [ -n "$key" ] || continue
  labels+="${labels:+, }$(quoted "$key"): $(quoted "$value")"
  label_keys+=" $key"
done <<<"${LABELS:-}"
for key in $had_labels; do
  case "$label_keys " in *" $key "*) ;; *) labels+="${labels:+, }$(quoted "$key"): null" ;; esac
done

taints=() taint_keys=''
while read -r taint; do
  [ -n "$taint" ] || continue
  key=${taint%%=*} effect=${taint##*:}
  taints+=("$taint")
  taint_keys+=" $key:$effect"
done <<<"${TAINTS:-}"

# Both the old and the new taints are recorded until the old ones are removed, so an interrupted run loses none.
# shellcheck disable=SC2086 # words
note=$(printf '%s\n' $had_taints $taint_keys | sort -u | xargs)
patch() { # TAINTS
  kube patch node "$NODE" --type=merge -p "{\"metadata\": {\"labels\": {$labels}, \"annotations\": {\"kubeadm-aws/labels\": \"${label_keys# }\", \"kubeadm-aws/taints\": \"$1\"}}}" >/dev/null ||
    die "the labels of node $NODE cannot be set (nodes[].labels)"
}
patch "$note"

# ---- taints -----------------------------------------------------------------

for key in $had_taints "$STARTUP_TAINT:NoSchedule"; do
  case "$taint_keys " in *" $key "*) continue ;; esac
  # Removing a taint that the node does not have is an error.
  case " $has_taints " in *" $key "*) taints+=("$key-") ;; esac
done
if [ ${#taints[@]} -gt 0 ]; then
  kube taint node "$NODE" --overwrite "${taints[@]}" >/dev/null || die "the taints of node $NODE cannot be set (nodes[].taints)"
fi
if [ "$note" != "${taint_keys# }" ]; then
  patch "${taint_keys# }"
fi

# ---- the end of an upgrade --------------------------------------------------

if [ -n "$upgrade" ]; then
  until=$((SECONDS + 300))
  until [ "$(kube get node "$NODE" -o 'jsonpath={.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type=="Ready")].status}' 2>"$error")" = "v$KUBERNETES_VERSION True" ]; do
    [ "$SECONDS" -lt "$until" ] || die "node $NODE does not become Ready with Kubernetes $KUBERNETES_VERSION, and no other node is upgraded; see on it: journalctl -u kubelet. When the reason is gone, run pulumi up again. If the machine cannot be repaired, give the node another generation (nodes[].generation): a new machine takes its place. A node of a group (count) needs an entry of its own for that: docs/upgrade.md"
    sleep 0.5
  done
  unschedulable=false
  case $upgrade in *kept) unschedulable=true ;; esac
  kube patch node "$NODE" --type=merge -p "{\"metadata\": {\"annotations\": {\"kubeadm-aws/upgrade\": null}}, \"spec\": {\"unschedulable\": $unschedulable}}" >/dev/null ||
    die "node $NODE is upgraded and does not return to service; run pulumi up again"
fi
echo "node $NODE configured"
