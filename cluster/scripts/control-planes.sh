#!/usr/bin/env bash
# Fails unless the control planes that stay in service can do without the others. Runs on one that stays, before the machine
# of another one stops, is replaced or is removed.
#
# The annotation kubeadm-aws/stops on all control planes records when this was asked last. reboot-turn.sh gives no node its turn
# in the 15 minutes after that. It sets a turn before it looks for that annotation, and here the order is the reverse. So one of
# the two sees the other.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env STAY="master master-2" ... control-planes.sh
Environment:
  STAY      names of the control planes that stay in service, separated by blanks
  STOP      names of those whose machines stop or are replaced; may be empty
  ENDPOINT  host:port of the API
  SERVE     seconds to wait until all that stay serve, default 120, or 240 while one of them has its turn to reboot
Prints "control planes serve".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in STAY ENDPOINT; do
  [ -n "${!v:-}" ] || {
    echo "control-planes: $v is not set" >&2
    usage >&2
    exit 2
  }
done

say() { printf 'control-planes: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

export KUBECONFIG=/etc/kubernetes/admin.conf
[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

etcd_on() { # ADDRESS COMMAND...
  local pki=/etc/kubernetes/pki/etcd
  timeout 30 etcdctl --endpoints "https://$1:2379" --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt \
    --key $pki/healthcheck-client.key "${@:2}" 2>&1 </dev/null
}
api_ready() { # ADDRESS
  [ "$(curl -sS --connect-timeout 2 --max-time 5 --cacert /etc/kubernetes/pki/ca.crt --resolve "$ENDPOINT:$1" "https://$ENDPOINT/readyz" 2>/dev/null)" = ok ]
}
kube() { kubectl --request-timeout=20s "$@" </dev/null; }
# turn_ends ends a turn that has no more effect, or that this step blocks: its node has rebooted, or did not reboot in time (LIMIT
# of reboot-turn.sh), or is that of this machine, where no reboot begins during a step. The timer that gave the turn may not
# exist any more. Another turn, "draining", is granted or ended within two requests of 20 s, unless that run was interrupted.
turn_ends() { # NAME READY ASKS TURN
  local own
  if [[ $4 =~ ^granted:([0-9]+)$ ]]; then
    own=$(sed -n 's/^Environment=NODE=\([^ ]*\).*/\1/p' /etc/systemd/system/kubeadm-aws-reboot.service 2>/dev/null) || own=''
    [ "$2,$3" = True,- ] || [ "$1" = "$own" ] || [ $(($(date +%s) - BASH_REMATCH[1])) -ge 1800 ] || return 1
  else
    [ "$SECONDS" -ge 60 ] || return 1
  fi
  kube annotate node "$1" kubeadm-aws/reboot- >/dev/null 2>&1
}
# turns prints which control planes that stay have their turn to reboot, after it has recorded that none may get one.
turns() {
  local role=node-role.kubernetes.io/control-plane all name ready asks turn
  kube annotate nodes -l $role --overwrite "kubeadm-aws/stops=$(date +%s)" >/dev/null 2>&1 ||
    echo "the API does not record that the machine of a control plane changes;"
  # shellcheck disable=SC2016 # a Go template
  all=$(kube get nodes -l $role -o go-template='{{range .items}}{{$name := .metadata.name}}{{$ready := "Unknown"}}{{$asks := "-"}}{{range .status.conditions}}{{if eq .type "Ready"}}{{$ready = .status}}{{end}}{{end}}{{with .metadata.annotations}}{{if index . "kubeadm-aws/reboot-required"}}{{$asks = "asks"}}{{end}}{{with index . "kubeadm-aws/reboot"}}{{$name}} {{$ready}} {{$asks}} {{.}}{{"\n"}}{{end}}{{end}}{{end}}' 2>/dev/null) ||
    echo "the API does not list the control planes;"
  while read -r name ready asks turn; do
    if [[ -z $name || " $STAY " != *" $name "* ]] || turn_ends "$name" "$ready" "$asks" "$turn"; then continue; fi
    echo "$name has its turn to reboot (maintenance.reboots), which ends by itself, or with kubectl annotate node $name kubeadm-aws/reboot-;"
  done <<<"$all"
}
# away prints why the control planes that stay cannot do without the others. A learner of etcd does not vote: it
# joined in a run that was interrupted.
away() {
  local all name url learner host voters=0 staying=0
  turns
  # Without a majority etcd does not list them.
  all=$(etcd_on 127.0.0.1 member list) || {
    echo "etcd does not list its members: $(tail -n 1 <<<"$all");"
    return
  }
  while IFS=, read -r _ _ name url _ learner; do
    name=${name// /} url=${url// /}
    [ "${learner// /}" = false ] || continue
    voters=$((voters + 1))
    # One that has just been added has no name yet.
    [[ -n "$name" && " $STAY " = *" $name "* ]] || continue
    staying=$((staying + 1)) host=${url#https://} host=${host%:*}
    etcd_on "$host" endpoint health >/dev/null || echo "etcd of $name ($host) is not healthy;"
    api_ready "$host" || echo "the API of $name ($host) is not ready;"
  done <<<"$all"
  # Members that are removed leave one after the other. A machine that stops is missed at once.
  [ -n "${STOP:-}" ] || voters=1
  [ $((2 * staying)) -gt "$voters" ] ||
    echo "without ${STOP:-the others} etcd keeps $staying of $voters members, and needs more than half;"
}

until bad=$(away | xargs -r -d '\n') && [ -z "$bad" ]; do
  # A reboot takes longer than the restart of a server.
  case $bad in *' turn to reboot '*) wait=240 ;; *) wait=120 ;; esac
  [ "$SECONDS" -lt "${SERVE:-$wait}" ] || die "${bad%;}. The machine of ${STOP:-another control plane} changes in this update, and all that stay ($STAY) have to serve meanwhile, so nothing has been changed. Repair what does not serve; a control plane that is lost is replaced first, alone, with another nodes[].generation. Then run pulumi up again"
  sleep 2
done
echo "control planes serve"
