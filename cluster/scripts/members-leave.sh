#!/usr/bin/env bash
# Takes the control planes that the settings no longer contain out of the cluster. Each node is drained and deleted, and etcd
# removes its member. init.sh runs it on the control plane that began the cluster, before the machines are deleted: etcd would
# lose its majority with them.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env CONTROL_PLANES=master ... members-leave.sh
Environment:
  CONTROL_PLANES  names of the control planes that stay, separated by blanks
  ADDRESSES       their addresses, separated by blanks
  NODE_DELETE     path of node-delete.sh
Prints nothing.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in CONTROL_PLANES ADDRESSES NODE_DELETE; do
  [ -n "${!v:-}" ] || {
    echo "members-leave: $v is not set" >&2
    usage >&2
    exit 2
  }
done

say() { printf 'members-leave: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

list=$(mktemp)
trap 'rm -f "$list"' EXIT
etcd() {
  local pki=/etc/kubernetes/pki/etcd
  timeout 60 etcdctl --endpoints "${at:-https://127.0.0.1:2379}" --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt \
    --key $pki/healthcheck-client.key "$@" 2>&1 </dev/null
}
# leaving prints for each member that leaves 1 or 0 (it answers or not), its id, its name or -, and its URL. Members that do not answer
# come first, because etcd removes one that answers only while more than half of the others do.
leaving() {
  local id name url client host answers
  while IFS=, read -r id _ name url client _; do
    id=${id// /} name=${name// /} url=${url// /} client=${client// /}
    host=${url#https://} host=${host%:*}
    # A machine that was replaced has a name that stays. Its member is removed when the new machine joins.
    if [ -n "$name" ]; then
      [[ " $CONTROL_PLANES " != *" $name "* ]] || continue
    else
      [[ " $ADDRESSES " != *" $host "* ]] || continue
    fi
    answers=0
    if [ -n "$client" ] && at=$client etcd endpoint health >/dev/null; then answers=1; fi
    echo "$answers $id ${name:--} $url"
  done <<<"$1" | sort -k 1,1n -s
}

# all_healthy waits, because the removal of the leader causes an election.
all_healthy() {
  local until=$((SECONDS + ${SERVE:-60}))
  until said=$(etcd endpoint health --cluster); do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 2
  done
}

members=$(etcd member list) || die "etcd does not list its members: $(tail -n 1 <<<"$members")"
leaving "$members" >"$list"
while read -r answers id name url; do
  if [ "$answers" = 1 ]; then
    all_healthy ||
      die "etcd would not remove its member $id, because another one does not answer: $(tail -n 1 <<<"$said"). Nothing has been changed for $name. Repair the control plane that does not answer, or remove that one first; then run pulumi up again"
  fi
  # Few pods run on a control plane, and those of this program have no disruption budget that holds them.
  [ "$name" = - ] || TIMEOUT=${TIMEOUT:-300} TURN=${TURN:-600} RETURN=${RETURN:-300} NODE=$name bash "$NODE_DELETE" >/dev/null || exit 1
  say "removing the member $id ($url) from etcd: the settings no longer contain ${name/#-/its machine}"
  said=$(etcd member remove "$id") ||
    die "etcd does not remove its member $id: $(tail -n 1 <<<"$said"). More than half of the members have to run. Repair the control planes, then run pulumi up again"
done <"$list"
