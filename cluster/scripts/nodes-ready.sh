#!/usr/bin/env bash
# Waits until nodes are Ready. Runs on the control plane.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODES="master worker-1" nodes-ready.sh
Environment:
  NODES     names of the nodes, separated by blanks
  TIMEOUT   seconds to wait at most, default 600
Prints "<n> nodes Ready".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
[ -n "${NODES:-}" ] || {
  echo "nodes-ready: NODES is not set" >&2
  usage >&2
  exit 2
}

TIMEOUT=${TIMEOUT:-600}
export KUBECONFIG=/etc/kubernetes/admin.conf
say() { printf 'nodes-ready: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

kube() { kubectl --request-timeout=20s "$@" </dev/null; }
# shellcheck disable=SC2086
set -- $NODES

not_ready() { # names of the nodes that are not Ready
  local ready node rest=''
  ready=" $(kube get nodes -o 'jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}')" || return 1
  for node in "$@"; do
    case $ready in *" $node=True "*) ;; *) rest+=" $node" ;; esac
  done
  echo "${rest# }"
}
said=''
until=$((SECONDS + TIMEOUT))
while :; do
  if missing=$(not_ready "$@" 2>/run/kubeadm-aws-nodes-ready.err); then
    [ -n "$missing" ] || break
  else
    missing="all: $(tail -n 1 /run/kubeadm-aws-nodes-ready.err)"
  fi
  if [ "$missing" != "$said" ]; then
    say "waiting for $missing"
    said=$missing
  fi
  if [ "$SECONDS" -ge "$until" ]; then
    kube get nodes -o wide >&2 || true
    kube get nodes -o 'jsonpath={range .items[*]}{.metadata.name}: {.status.conditions[?(@.type=="Ready")].message}{"\n"}{end}' >&2 || true
    kube get pods -A --field-selector status.phase!=Running,status.phase!=Succeeded -o wide >&2 || true
    die "not Ready after $TIMEOUT s: $missing. A node without a network plugin stays so; its pods above and \"journalctl -u kubelet\" on the node say more"
  fi
  sleep 0.5
done
echo "$# nodes Ready"
