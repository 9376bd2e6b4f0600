#!/usr/bin/env bash
# Moves a running node to another release of Kubernetes. init.sh and join.sh run the parts and hold the machine's lock
# meanwhile. Each part can run again after an interruption.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env KUBERNETES_VERSION=1.36.3 ... upgrade.sh check
         fails if the control plane on this machine cannot be upgraded now; changes nothing
       sudo env KUBERNETES_VERSION=1.36.3 ... upgrade.sh control-plane
         upgrades etcd, the API server, the other components of the control plane and, when no other control plane has the
         former release, kubeadm's add-ons
       sudo env KUBERNETES_VERSION=1.36.3 ... upgrade.sh packages NAME...
         installs packages of the release; on a control plane, the kubelet after the others serve without it
Environment:
  NODE                 name of this node
  KUBERNETES_VERSION   the new release
  UPGRADE_CONFIG       UpgradeConfiguration for kubeadm
  ETCD_SNAPSHOT ...    the path of etcd-snapshot.sh, and its settings; on a control plane
  PEERS                addresses of the other control planes, separated by blanks; empty for the only one
  ENDPOINT             host:port of the API; with PEERS
  JOINS                not empty: another control plane has been upgraded before this one
/var/lib/kubeadm-aws/kubeadm.yaml holds the configuration of the control plane with the new release.
Prints "upgraded <version>" after control-plane, else nothing.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in NODE KUBERNETES_VERSION UPGRADE_CONFIG; do
  [ -n "${!v:-}" ] || {
    echo "upgrade: $v is not set" >&2
    usage >&2
    exit 2
  }
done
case $#,${1:-} in
  1,check | 1,control-plane | [2-9],packages) ;;
  *)
    usage >&2
    exit 2
    ;;
esac

STATE=/var/lib/kubeadm-aws
CONFIG=$STATE/kubeadm.yaml
export KUBECONFIG=/etc/kubernetes/admin.conf
umask 022
say() { printf 'upgrade: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

kube() { kubectl --request-timeout=20s "$@" </dev/null; }
kubeadm() {
  if ! timeout 900 kubeadm "$@" >>"$STATE/kubeadm.log" 2>&1 </dev/null; then
    tail -n 30 "$STATE/kubeadm.log" | sed -E 's/[a-z0-9]{6}\.[a-z0-9]{16}/<token>/g' >&2
    die "kubeadm $1 $2 fails; the whole output is in $STATE/kubeadm.log on this machine. When the reason is gone, run pulumi up again: it goes on from here"
  fi
}
running() { sed -n 's#^ *image: .*/kube-apiserver:v##p' /etc/kubernetes/manifests/kube-apiserver.yaml; }
minor() { cut -d. -f2 <<<"$1"; } # of a release such as 1.36.3
newer() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]; }

# ---- before anything changes ------------------------------------------------

# nodes prints for each node: its name, whether it is Ready, the release of its kubelet, "reboots" if it has its turn to reboot
# (reboot-turn.sh) or "-", and "half" if it is in the middle of an upgrade, also of one that was interrupted.
nodes() {
  # shellcheck disable=SC2016 # a Go template
  kube get nodes -o go-template='{{range .items}}{{.metadata.name}} {{range .status.conditions}}{{if eq .type "Ready"}}{{.status}}{{end}}{{end}} {{.status.nodeInfo.kubeletVersion}} {{with .metadata.annotations}}{{with index . "kubeadm-aws/reboot"}}reboots{{else}}-{{end}} {{with index . "kubeadm-aws/upgrade"}}half{{end}}{{else}}- {{end}}{{"\n"}}{{end}}'
}

# removed_apis prints the requested APIs that the new release does not have, as group/version/resource.
removed_apis() { # FILE with the metrics of the API server
  sed -n 's/^apiserver_requested_deprecated_apis{\(.*\)} 1$/\1/p' "$1" | while IFS= read -r labels; do
    label() { sed -n "s/.*\\b$1=\"\\([^\"]*\\)\".*/\\1/p" <<<"$labels"; }
    gone=$(minor "$(label removed_release)")
    if [ -n "$gone" ] && [ "$gone" -le "$(minor "$KUBERNETES_VERSION")" ]; then
      echo "$(label group)/$(label version)/$(label resource)"
    fi
  done | sed 's:^/::' | sort -u | xargs
}

# etcd_on runs etcdctl against the etcd of a control plane.
etcd_on() { # ADDRESS COMMAND...
  local pki=/etc/kubernetes/pki/etcd
  timeout 30 etcdctl --endpoints "https://$1:2379" --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt \
    --key $pki/healthcheck-client.key "${@:2}" 2>&1 </dev/null
}
api_ready() { # ADDRESS
  [ "$(curl -sS --connect-timeout 2 --max-time 5 --cacert /etc/kubernetes/pki/ca.crt --resolve "$ENDPOINT:$1" "https://$ENDPOINT/readyz" 2>/dev/null)" = ok ]
}

# away prints which of the other control planes cannot do without this one.
away() {
  local ip all
  for ip in $PEERS; do
    api_ready "$ip" || echo "the API of $ip is not ready;"
    etcd_on "$ip" endpoint health >/dev/null || echo "etcd of $ip is not healthy;"
    all=$(etcd_on "$ip" member list) || continue
    [ "$(awk -F', ' '$2 == "started" && $6 == "false"' <<<"$all" | wc -l)" = "$(($(wc -w <<<"$PEERS") + 1))" ] ||
      echo "etcd of $ip has other members than the control planes, or one that does not vote;"
  done
}
# others_serve waits until every other control plane serves. While this one is upgraded, etcd has its majority by them.
others_serve() {
  local until=$((SECONDS + 120)) bad
  [ -n "${PEERS:-}" ] || return 0
  while bad=$(away | xargs) && [ -n "$bad" ]; do
    [ "$SECONDS" -lt "$until" ] || die "${bad%;}. Control planes are upgraded one after the other, and all the others have to serve, so $NODE stays as it is. Repair them, then run pulumi up again"
    sleep 2
  done
}

# no_reboots waits for a node that reboots. No other one begins meanwhile: on the first control plane init.sh holds the lock of
# drains, and on another one the annotation of node-drain.sh keeps reboot-turn.sh from it.
no_reboots() {
  local until=$((SECONDS + 300)) all bad
  # This node reboots only when no step runs on its machine any more, so this step ends its turn instead of waiting.
  kube annotate node "$NODE" kubeadm-aws/reboot- >/dev/null || true
  while
    all=$(nodes) || die "the nodes cannot be listed, so nothing has been changed"
    bad=$(awk '$4 == "reboots" {print $1}' <<<"$all" | xargs) && [ -n "$bad" ]
  do
    [ "$SECONDS" -lt "$until" ] || die "$bad reboots for an update (maintenance.reboots) and has not returned, and an upgrade takes nodes out of service too. Run pulumi up again when it is back. If its turn does not end by itself within half an hour: kubectl annotate node NAME kubeadm-aws/reboot-, then kubectl uncordon NAME; $NODE has not been changed"
    sleep 2
  done
}

check() {
  local from all bad used free work server
  from=$(running)
  if newer "$from" "$KUBERNETES_VERSION"; then
    die "the control plane runs Kubernetes $from, and $KUBERNETES_VERSION is asked for: etcd and the objects in it cannot go back. Set cluster.kubernetesVersion to $from; see docs/upgrade.md"
  fi
  [ $(($(minor "$KUBERNETES_VERSION") - $(minor "$from"))) -le 1 ] ||
    die "the control plane runs Kubernetes $from, and $KUBERNETES_VERSION is more than one minor release later. Upgrade to each release in between first"
  [ "$(kube get --raw=/readyz 2>/dev/null)" = ok ] ||
    die "the API does not answer, so nothing has been changed; see: journalctl -u kubelet, and /var/log/pods/kube-system_kube-apiserver-* on this machine"
  no_reboots
  others_serve
  # Again, because a node may have failed while the others were waited for.
  all=$(nodes) || die "the API does not list the nodes, so nothing has been changed; run pulumi up again"
  bad=$(awk '$2 != "True" {print $1}' <<<"$all" | xargs)
  [ -z "$bad" ] || die "not Ready: $bad. An upgrade takes one node after the other out of service, so all the others have to serve. Repair what is not Ready, then run pulumi up again; $NODE has not been changed. A node that is removed from the settings leaves at the end of an up: remove it first with kubectl delete node NAME"
  bad=$(awk -v node="$NODE" '$1 != node && $5 == "half" {print $1}' <<<"$all" | xargs)
  [ -z "$bad" ] || die "an earlier upgrade has not finished on $bad. Set cluster.kubernetesVersion to $from, the release of the control plane, and run pulumi up; then upgrade to $KUBERNETES_VERSION"
  bad=$(awk -v want="$(minor "$from")" '{split($3, v, "."); if (v[2] < want) print $1 " (" $3 ")"}' <<<"$all" | xargs)
  [ -z "$bad" ] || die "the control plane runs Kubernetes $from, and an earlier upgrade has not reached $bad. Set cluster.kubernetesVersion to $from and run pulumi up; then upgrade to $KUBERNETES_VERSION"
  # The snapshot needs as much as etcd has, and packages and images need the rest.
  used=$(du -sk /var/lib/etcd | cut -f1)
  free=$(df --output=avail -k "$STATE" | tail -n 1 | tr -d ' ')
  [ "$free" -ge $((used + 1048576)) ] ||
    die "the disk of this machine has $((free / 1024)) MiB left, and the upgrade needs $((used / 1024 + 1024)): make nodes[].volumeSize of $NODE larger. $NODE has not been changed"
  # The first control plane has asked. What clients do since cannot stop an upgrade that has begun.
  [ -z "${JOINS:-}" ] || return 0
  work=$(mktemp "$STATE/metrics.XXXXXX")
  # Each API server counts its own requests.
  for server in '' ${PEERS:-}; do
    kube ${server:+--server "https://$server:${ENDPOINT##*:}"} get --raw=/metrics >>"$work" || {
      rm "$work"
      die "the API server${server:+ of $server} does not say which APIs are used, so nothing has been changed; see: kubectl get --raw=/metrics"
    }
  done
  bad=$(removed_apis "$work")
  rm "$work"
  [ -z "$bad" ] || die "clients have used APIs that Kubernetes $KUBERNETES_VERSION does not have: $bad. Nothing has been changed. Move the clients; see \"APIs that go\" in docs/upgrade.md"
}

# ---- packages ---------------------------------------------------------------

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt() {
  timeout -k 5 600 apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::http::Timeout=30 \
    -o Acquire::https::Timeout=30 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$STATE/apt.log" 2>&1
}
installed() { { dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null || true; } | sed -n 's/^installed //p'; }

# packages installs what prepare.sh has downloaded.
packages() { # NAME...
  # A kubelet of another release restarts etcd and the API server.
  case " $* " in *' kubelet '*)
    others_serve
    follow
    ;;
  esac
  local p wanted=() install=(install --no-install-recommends --allow-change-held-packages --allow-downgrades
    -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io)
  for p in "$@"; do
    case $(installed "$p") in "$KUBERNETES_VERSION"-*) ;; *) wanted+=("$p=$KUBERNETES_VERSION-*") ;; esac
  done
  [ ${#wanted[@]} -gt 0 ] || return 0
  say "installing ${wanted[*]}"
  if [ -n "$(dpkg --audit)" ]; then
    timeout 600 dpkg --configure -a --force-confold </dev/null >>"$STATE/apt.log" 2>&1 || true
  fi
  if ! apt "${install[@]}" "${wanted[@]}"; then
    apt update || true
    apt "${install[@]}" "${wanted[@]}" || {
      tail -n 20 "$STATE/apt.log" >&2
      die "$* $KUBERNETES_VERSION cannot be installed; the whole output is in $STATE/apt.log. When the reason is gone, run pulumi up again: it goes on from here"
    }
  fi
  apt-mark hold "$@" >/dev/null
  systemctl daemon-reload
}

# ---- control plane ----------------------------------------------------------

etcd_answers() { etcd_on 127.0.0.1 endpoint health >/dev/null; }
# The processes of this control plane, by flags that others on this machine do not have.
etcd='^etcd .*--data-dir=/var/lib/etcd'
api='^kube-apiserver .*--etcd-servers=https://127.0.0.1:2379'
# etcd_follows succeeds if the process of etcd is younger than its manifest.
etcd_follows() {
  local pid age
  pid=$(pgrep -o -f "$etcd") && age=$(ps -o etimes= -p "$pid") && [ $(($(date +%s) - age)) -ge "$(stat -c %Y "$manifest")" ]
}
# ended waits until a process has ended.
ended() { # PID SECONDS
  local until=$((SECONDS + $2))
  while [ -d "/proc/$1" ]; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.1
  done
}
# restart_api ends the API server. The kubelet starts it again at once.
restart_api() {
  local pid
  pid=$(pgrep -o -f "$api") || return 0
  pkill -TERM -o -f "$api" || true
  ended "$pid" 1 || pkill -KILL -o -f "$api" || true
}

# follow lets another member lead etcd, so that no client waits for an election when this one ends.
follow() {
  local status said='' member ip
  [ -n "${PEERS:-}" ] || return 0
  for ip in $PEERS $PEERS ''; do
    # An etcd that does not answer is not the leader.
    status=$(etcd_on 127.0.0.1 endpoint status -w json) || return 0
    [ "$(number leader)" = "$(number member_id)" ] || return 0
    member=$(etcd_on 127.0.0.1 member list | awk -F', ' -v peer="https://$ip:2380" '$4 == peer {print $1}') || return 0
    [ -z "$ip" ] || said=$(etcd_on 127.0.0.1 move-leader "$member") || sleep 1
  done
  die "etcd on $NODE leads, and no other member takes over: $(tail -n 1 <<<"$said"). $NODE stays as it is; run pulumi up again"
}
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" <<<"$status"; } # KEY: a number in the status of etcd

# new_manifest writes the manifest of etcd in the new release. Its members stay those that it names.
new_manifest() { # FILE
  local dir=$STATE/etcd.new
  rm -rf "$dir"
  install -d -m 700 "$dir"
  KUBEADM_INIT_DRYRUN_DIR=$dir kubeadm init phase etcd local --dry-run --config "$CONFIG"
  MEMBERS=$(grep -E -e '--initial-cluster(-state)?=' "$manifest") awk '/--initial-cluster=/ {print ENVIRON["MEMBERS"]; next} 1' \
    "$dir/etcd.yaml" | install -m 600 /dev/stdin "$1"
  rm -rf "$dir"
}

# etcd upgrades etcd apart from the rest. kubeadm waits until the API reports the new pod of etcd, and the kubelet asks the
# API before it starts that pod. An API server that has lost etcd answers after half a minute: measured, the API was away
# for 75 s. One that starts without etcd does not listen yet. So it is restarted as soon as the old etcd has ended.
etcd() {
  local manifest=/etc/kubernetes/manifests/etcd.yaml certificate until old
  [ -e "$STATE/etcd.before" ] || { cp -p $manifest "$STATE/etcd.copy" && mv "$STATE/etcd.copy" "$STATE/etcd.before"; }
  # etcd reads its certificates again with every connection.
  for certificate in etcd-server etcd-peer etcd-healthcheck-client; do kubeadm certs renew $certificate --config "$CONFIG"; done
  new_manifest /etc/kubernetes/etcd.new
  old=$(pgrep -o -f "$etcd" || true)
  if cmp -s /etc/kubernetes/etcd.new $manifest; then
    rm /etc/kubernetes/etcd.new
  else
    follow
    mv /etc/kubernetes/etcd.new $manifest
  fi
  if ! etcd_follows; then
    say "restarting etcd and the API server"
    [ -z "$old" ] || ended "$old" 60 || true
    restart_api
  fi
  until=$((SECONDS + 240))
  until etcd_follows && etcd_answers && [ "$(kube get --raw=/readyz 2>/dev/null)" = ok ]; do
    if [ "$SECONDS" -ge "$until" ]; then
      cp "$STATE/etcd.before" /etc/kubernetes/etcd.back && mv /etc/kubernetes/etcd.back $manifest
      die "etcd does not run in its new release; its former manifest is back, and the control plane has its former release. See /var/log/pods/kube-system_etcd-* on this machine"
    fi
    sleep 0.5
  done
  rm "$STATE/etcd.before"
}

# hasten ends the old API server three seconds after it has stopped to answer. It would wait for its watchers until the
# kubelet kills it after 30 s, and the new one starts after that.
hasten() {
  local old until=$((SECONDS + 600))
  [ "$(running)" != "$KUBERNETES_VERSION" ] && old=$(pgrep -o -f "$api") || return 0
  until [ "$(running)" = "$KUBERNETES_VERSION" ] && ! kube get --raw=/livez >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$until" ] || return 0
    sleep 0.5
  done
  ended "$old" 3 || pkill -KILL -o -f "$api" || true
}

control_plane() {
  local helper do=(apply --yes)
  [ -z "${JOINS:-}" ] || do=(node)
  if [ -z "${JOINS:-}" ] && [ "$(running)" != "$KUBERNETES_VERSION" ]; then
    say "Kubernetes $(running) -> $KUBERNETES_VERSION: snapshot of etcd"
    bash "$ETCD_SNAPSHOT" now >&2 </dev/null ||
      die "there is no snapshot of etcd, and without one the control plane is not upgraded. Nothing has been changed; correct what the snapshot says, then run pulumi up again"
  fi
  packages kubeadm
  # Again, because the checks of an interrupted run are old.
  others_serve
  etcd
  (umask 077 && printf '%s\n' "$UPGRADE_CONFIG" >"$STATE/upgrade.yaml")
  # kubeadm takes the settings from the cluster. The new release may refuse a flag of the former ones.
  kubeadm init phase upload-config kubeadm --config "$CONFIG"
  say "kubeadm upgrade ${do[0]}"
  hasten &
  helper=$!
  # shellcheck disable=SC2064 # this helper
  trap "kill $helper 2>/dev/null || true" EXIT
  kubeadm upgrade "${do[@]}" --config "$STATE/upgrade.yaml"
  echo "upgraded $KUBERNETES_VERSION"
}

case $1 in
  check) check ;;
  control-plane) control_plane ;;
  packages) packages "${@:2}" ;;
esac
