#!/usr/bin/env bash
# Makes this machine one more control plane of a running cluster. init.sh runs the parts and holds the machine's lock
# meanwhile. Each part can run again after an interruption.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODE=master-2 ... member.sh peer SECONDS
         prints the address of another control plane whose API is ready; fails if all of them are unready for this time, or
         if all of them are new machines, which have no kubelet
       sudo env NODE=master-2 ... member.sh alive SECONDS
         the same for a control plane whose API server or etcd accepts a connection, ready or not
       sudo env NODE=master-2 ... member.sh majority SECONDS
         fails if etcd on this machine has no majority for this time
       sudo env NODE=master-2 ... member.sh state PEER
         prints "member" if this machine votes in etcd and has its data. Otherwise removes from etcd what an interrupted run of
         this machine has left there, and every member with another address than those of the control planes, and prints "new"
       sudo env NODE=master-2 ... member.sh join PEER
         joins the cluster through the control plane PEER
       sudo env NODE=master-2 ... member.sh finish PEER
         ends the join of a machine that votes in etcd
Environment:
  NODE          name of this node
  ADDRESS       address of this machine
  PEERS         addresses of the other control planes, separated by blanks
  ENDPOINT      host:port of the API
  JOIN_CONFIG   JoinConfiguration
  API_NAME      path of api-name.sh
  SECRETS       folder with pki/ and discovery.conf, the kubeconfig to join with
  WITHOUT_KUBELET
                seconds until machines that refuse connections to a kubelet count as new, default 60
  TOKEN_KEYS    path of token-keys.sh, to check Secrets before a key of service accounts is dropped; may be empty
The keys in /etc/kubernetes/pki and the configuration in /var/lib/kubeadm-aws/kubeadm.yaml are those of this machine.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in NODE ADDRESS PEERS ENDPOINT JOIN_CONFIG API_NAME SECRETS; do
  [ -n "${!v:-}" ] || {
    echo "member: $v is not set" >&2
    usage >&2
    exit 2
  }
done
case $#,${1:-} in
  2,peer | 2,alive | 2,majority | 2,state | 2,join | 2,finish) ;;
  *)
    usage >&2
    exit 2
    ;;
esac

STATE=/var/lib/kubeadm-aws
RUN=/run/kubeadm-aws
CONFIG=$STATE/kubeadm.yaml
export KUBECONFIG=/etc/kubernetes/admin.conf
say() { printf 'member: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

kubeadm() {
  if ! timeout 600 kubeadm "$@" >>"$STATE/kubeadm.log" 2>&1 </dev/null; then
    tail -n 30 "$STATE/kubeadm.log" | sed -E 's/[a-z0-9]{6}\.[a-z0-9]{16}/<token>/g' >&2
    die "kubeadm $1 fails; the whole output is in $STATE/kubeadm.log on this machine. When the reason is gone, run pulumi up again"
  fi
}
kube() { kubectl --request-timeout=20s "$@" </dev/null; }
named() { bash "$API_NAME" "${ENDPOINT%:*}" "$1"; } # ADDRESS
# The API of PEER is asked, because that of this machine may not be ready yet.
named_here() { API_SERVER=https://$1:${ENDPOINT##*:} named "$ADDRESS"; } # PEER

first() { # SECONDS CHECK: the first of the other control planes that passes the check
  local until=$((SECONDS + $1)) since=$SECONDS ip
  while :; do
    for ip in $PEERS; do
      if "$2" "$ip"; then
        echo "$ip"
        return
      fi
    done
    [ "$SECONDS" -lt "$until" ] || return 1
    if ! new_machines; then since=$SECONDS; elif [ $((SECONDS - since)) -ge "${WITHOUT_KUBELET:-60}" ]; then return 1; fi
    sleep 1
  done
}
# new_machines succeeds if all others run and have no kubelet. The kubelet of a control plane that boots listens soon after its
# network is there.
new_machines() {
  local ip
  for ip in $PEERS; do
    [[ $(LC_ALL=C timeout 3 bash -c ": </dev/tcp/$ip/10250" 2>&1) = *'Connection refused'* ]] || return 1
  done
}
ready() { # ADDRESS
  [ "$(curl -sS --connect-timeout 2 --max-time 5 --cacert "$SECRETS/pki/ca.crt" --resolve "$ENDPOINT:$1" "https://$ENDPOINT/readyz" 2>/dev/null)" = ok ]
}
# An etcd without a majority accepts connections, and answers nothing before it has one.
accepts() { # ADDRESS
  local port
  for port in 2379 "${ENDPOINT##*:}"; do
    ! timeout 3 bash -c ": </dev/tcp/$1/$port" 2>/dev/null || return 0
  done
  return 1
}
peer() { first "$1" ready; }
alive() { first "$1" accepts; }

etcd() { # PEER COMMAND...
  local pki=/etc/kubernetes/pki/etcd
  timeout 30 etcdctl --endpoints "https://$1:2379" --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt \
    --key $pki/healthcheck-client.key "${@:2}" 2>&1 </dev/null
}
majority() { # SECONDS
  local until=$((SECONDS + $1))
  until etcd 127.0.0.1 endpoint health >/dev/null; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 1
  done
}
# Control planes join one after the other. So a member of another address belongs to a machine that was replaced, even if
# it has no name yet because its join was interrupted. etcd accepts no new member while it has another one that learns.
state() { # PEER
  local all id status name url learner host
  kubeadm init phase certs etcd-healthcheck-client --config "$CONFIG"
  all=$(etcd "$1" member list) || die "etcd on the control plane $1 does not list its members: $(tail -n 1 <<<"$all")"
  while IFS=, read -r id status name url _ learner; do
    id=${id// /} status=${status// /} name=${name// /} url=${url// /} learner=${learner// /}
    if [ "$url" = "https://$ADDRESS:2380" ] && [ "$status,$learner" = started,false ] && [ -d /var/lib/etcd/member ]; then
      echo member
      return
    fi
    host=${url#https://} host=${host%:*}
    [ "$name" = "$NODE" ] || [[ " $PEERS " != *" $host "* ]] || continue
    say "removing the member $id ($url) from etcd: it is of no control plane, or did not finish its join"
    all=$(etcd "$1" member remove "$id") || die "etcd does not remove its member $id: $(tail -n 1 <<<"$all"). More than half of the members have to run; repair the others first"
  done <<<"$all"
  echo new
}

join_config() {
  install -d -m 700 $RUN
  trap 'rm -f $RUN/discovery.conf' EXIT
  install -m 600 "$SECRETS/discovery.conf" $RUN/discovery.conf
  (umask 077 && printf '%s\n' "$JOIN_CONFIG" >"$STATE/join.yaml")
}

# The settings in the cluster may name keys of service accounts of another stage of a rotation. This machine does not have
# them, and its API server would not start. So the cluster gets the settings of this machine first, with the release that it has.
bring_keys() { # PEER
  local has release
  has=$(kube -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}') || has=''
  release=$(sed -n 's/^kubernetesVersion: *//p' <<<"$has")
  [ -n "$release" ] || die "the API of $1 does not show the settings of the cluster in the ConfigMap kubeadm-config; run pulumi up again"
  [ "$(token_keys <<<"$has")" != "$(token_keys <"$CONFIG")" ] || return 0
  if [ -n "${TOKEN_KEYS:-}" ] && grep -q 'pub$' < <(comm -23 <(token_keys <<<"$has") <(token_keys <"$CONFIG")); then
    bash "$TOKEN_KEYS" secrets "$SECRETS/pki" || exit 1
  fi
  (umask 077 && sed "s/^kubernetesVersion: .*/kubernetesVersion: $release/" "$CONFIG" >"$STATE/upload.yaml")
  kubeadm init phase upload-config kubeadm --config "$STATE/upload.yaml"
}
token_keys() { grep -o '/sa-[0-9]*\.[a-z]*' | sort -u; }

join() { # PEER
  named "$1"
  join_config
  kubeadm init phase kubeconfig admin --config "$CONFIG"
  bring_keys "$1"
  # kubeadm refuses the name of a Ready node, and no kubelet can change the provider id of its node.
  kube delete node "$NODE" --ignore-not-found >/dev/null || die "the former node $NODE cannot be deleted"
  say "kubeadm join through $1"
  kubeadm join --config "$STATE/join.yaml"
  named_here "$1"
}

finish() { # PEER
  say "ending the join of an interrupted run"
  named "$1"
  join_config
  # Without this file the kubelet has never reached the API, and may have no credentials to do so.
  [ -e /etc/kubernetes/kubelet.conf ] || kubeadm join phase kubelet-start --config "$STATE/join.yaml"
  systemctl is-active -q kubelet || systemctl restart kubelet
  kubeadm join phase kubelet-wait-bootstrap --config "$STATE/join.yaml"
  kubeadm join phase control-plane-join all --config "$STATE/join.yaml"
  named_here "$1"
}

"$1" "$2"
