#!/usr/bin/env bash
# Makes this machine a worker of the cluster, or applies changed settings or another release of Kubernetes to a worker.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODE=worker-1 ... join.sh < bundle
Environment:
  NODE                 name of this node
  KUBERNETES_VERSION   release; a worker of an older one that node-drain.sh has drained is upgraded
  KUBEADM_CONFIG       JoinConfiguration
  ENDPOINT             host:port of the API
  KUBELET_SETTINGS     digest of the kubelet settings that the cluster holds
  CONTROL_PLANE        which machine the control plane is
  KUBELET              path of kubelet.sh
  UPGRADE ...          the path of upgrade.sh, and its settings
Standard input: base64 of a compressed tar archive with discovery.conf, the kubeconfig to join with.
Prints "joined <version>".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in NODE KUBERNETES_VERSION KUBEADM_CONFIG ENDPOINT KUBELET_SETTINGS KUBELET UPGRADE UPGRADE_CONFIG; do
  [ -n "${!v:-}" ] || {
    echo "join: $v is not set" >&2
    usage >&2
    exit 2
  }
done

STATE=/var/lib/kubeadm-aws
RUN=/run/kubeadm-aws
export KUBECONFIG=/etc/kubernetes/kubelet.conf
say() { printf 'join: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
mkdir -p "$STATE"
exec 9>/run/kubeadm-aws-host.lock
flock -w 600 9 || die "another run has been changing this machine for 10 minutes; see: fuser -v /run/kubeadm-aws-host.lock"

install -d -m 700 $RUN
changing=''
finish() {
  local rc=$?
  rm -f $RUN/discovery.conf $RUN/ca.crt
  if [ "$rc" != 0 ] && [ -n "$changing" ]; then put_back_kubelet || true; fi
}
trap finish EXIT
trap 'say "stopped by a signal"; exit 143' TERM INT HUP
(umask 077 && base64 -d | tar -xz --no-same-owner -C $RUN) || die "standard input is not base64 of a compressed tar archive"
[ -s $RUN/discovery.conf ] || die "standard input lacks discovery.conf"

kubeadm() {
  if ! timeout 600 kubeadm "$@" >>"$STATE/kubeadm.log" 2>&1 </dev/null; then
    tail -n 30 "$STATE/kubeadm.log" >&2
    die "kubeadm $1 fails; the whole output is in $STATE/kubeadm.log on this machine"
  fi
}
(umask 077 && : >"$STATE/kubeadm.log")
kube() { kubectl --request-timeout=10s "$@" </dev/null; }

version=$(kubelet --version)
[ "$version" = "Kubernetes v$KUBERNETES_VERSION" ] || [ -e "$STATE/join.done" ] ||
  die "this machine has $version, and $KUBERNETES_VERSION is asked for: the step prepare has to install it"

# The API's certificate is checked against the authority in the kubeconfig.
sed -n 's/^ *certificate-authority-data: *//p' $RUN/discovery.conf | base64 -d >$RUN/ca.crt
until=$((SECONDS + 120))
until [ "$(curl -sS --max-time 5 --cacert $RUN/ca.crt "https://$ENDPOINT/readyz" 2>"$STATE/api-error")" = ok ]; do
  [ "$SECONDS" -lt "$until" ] ||
    die "the API at $ENDPOINT does not answer from this machine: $(cat "$STATE/api-error"). Look at the private DNS zone, and at the security group of the control plane"
  sleep 0.5
done

# ---- a first join -----------------------------------------------------------

first_join() {
  local found ready own
  if [ -e "$STATE/join.started" ]; then
    say "starting over after an interrupted join"
    systemctl stop kubelet
    kubeadm reset --force --cleanup-tmp-dir
  elif [ -e $KUBECONFIG ]; then
    die "this machine is already a node of a cluster that this program did not make; nothing has been changed. Use a fresh machine, or run kubeadm reset on it if nothing there is needed"
  fi
  touch "$STATE/join.started"
  # kubeadm refuses the name of a Ready node. The node of a machine that has just stopped stays Ready for a while. No
  # kubelet can change the provider id of its node. The cloud controller deletes the node of a machine that is gone.
  own=$(awk '$1 == "-" && $2 == "name:" {n = $3} $1 == "value:" && n == "provider-id" {print $2}' <<<"$KUBEADM_CONFIG")
  until=$((SECONDS + 180))
  while found=$(kubectl --kubeconfig $RUN/discovery.conf --request-timeout=10s get node "$NODE" --ignore-not-found \
    -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.spec.providerID}' </dev/null) && [ -n "$found" ]; do
    ready=${found%% *} found=${found#* }
    case $ready,$found in
      True,*) ;;
      *,"$own" | *,) break ;;
    esac
    [ "$SECONDS" -lt "$until" ] || [ "$ready" != True ] ||
      die "another machine is Ready as node $NODE; remove it first: kubectl delete node $NODE"
    [ "$SECONDS" -lt "$until" ] ||
      die "node $NODE is that of another machine, $found. If that machine is gone: kubectl delete node $NODE, then run pulumi up again"
    [ -n "${waiting:-}" ] || say "waiting for the former machine of node $NODE to go"
    waiting=1
    sleep 1
  done
  (umask 077 && printf '%s\n' "$KUBEADM_CONFIG" >"$STATE/kubeadm.yaml")
  say "kubeadm join"
  kubeadm join --config "$STATE/kubeadm.yaml"
}

# ---- a node that has joined -------------------------------------------------

reconfigure() {
  local flag
  say "bringing the kubelet to changed settings"
  rm -rf $RUN/kubelet.before
  install -d -m 700 $RUN/kubelet.before
  cp /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env $RUN/kubelet.before/
  changing=1
  (umask 077 && printf '%s\n' "$KUBEADM_CONFIG" >"$STATE/kubeadm.yaml")
  kubeadm upgrade node phase kubelet-config
  # kubeadm writes the flags only during the join. They change with the size of the machine and with this program.
  awk '$1 == "-" && $2 == "name:" {n = $3} $1 == "value:" {print "--" n "=" $2}' "$STATE/kubeadm.yaml" |
    while read -r flag; do
      if grep -q -e "${flag%%=*}=" /var/lib/kubelet/kubeadm-flags.env; then
        sed -i -E "s|${flag%%=*}=[^ \"]*|$flag|" /var/lib/kubelet/kubeadm-flags.env
      else
        sed -i -E "s|\"\$| $flag\"|" /var/lib/kubelet/kubeadm-flags.env
      fi
    done
  bash "$KUBELET" stop
  systemctl restart kubelet
  bash "$KUBELET" steady || exit 1
  changing=''
}

# upgrade moves the kubelet to another release. Its node is drained.
upgrade() {
  local runs
  runs=$(kube get --raw=/version | sed -n 's/.*"gitVersion": *"v\([^"]*\)".*/\1/p')
  [ "$runs" = "$KUBERNETES_VERSION" ] ||
    die "the API server runs ${runs:-an unknown release}, and this node would run $KUBERNETES_VERSION: the control plane is upgraded first. Run the whole pulumi up, without --target"
  # shellcheck disable=SC2016 # a Go template
  kube get node "$NODE" -o go-template='{{with .metadata.annotations}}{{with index . "kubeadm-aws/upgrade"}}{{.}}{{end}}{{end}}' | grep -q '^drained' ||
    die "node $NODE is not drained, so its kubelet keeps ${version#Kubernetes v}. Run the whole pulumi up, without --target"
  say "${version#Kubernetes v} -> $KUBERNETES_VERSION"
  touch "$STATE/upgrade.started"
  bash "$UPGRADE" packages kubeadm || exit 1
  (umask 077 && printf '%s\n' "$UPGRADE_CONFIG" >"$STATE/upgrade.yaml")
  kubeadm upgrade node --config "$STATE/upgrade.yaml"
  bash "$UPGRADE" packages kubelet kubectl || exit 1
  bash "$KUBELET" stop
  systemctl restart kubelet
  bash "$KUBELET" steady || exit 1
  rm "$STATE/upgrade.started"
}

# If a kubelet does not start with its new settings, the pods of its node are lost.
put_back_kubelet() {
  bash "$KUBELET" stop
  cp $RUN/kubelet.before/* /var/lib/kubelet/
  systemctl restart kubelet
  say "the kubelet has its former settings again"
}

# A kubelet registers its node only when it starts. The node can disappear later: a user deletes it, or etcd is
# restored from a snapshot older than the node.
registered() {
  local until=$((SECONDS + 120)) restarted='' found
  until found=$(kube get node "$NODE" -o name 2>/dev/null) && [ -n "$found" ]; do
    [ "$SECONDS" -lt "$until" ] || die "node $NODE does not register with the cluster; see: journalctl -u kubelet"
    if [ -z "$restarted" ] && grep -q NotFound <<<"$(kube get node "$NODE" 2>&1)"; then
      say "registering the node again"
      systemctl restart kubelet
      restarted=1
    fi
    sleep 0.5
  done
}

wanted=$(printf '%s\n' "$KUBEADM_CONFIG" "$KUBELET_SETTINGS" | sha256sum)
if [ ! -e "$STATE/join.done" ]; then
  first_join
  touch "$STATE/join.done"
else
  systemctl is-active -q kubelet || systemctl restart kubelet
  # First, because kubeadm reads the node.
  registered
  if [ "$version" != "Kubernetes v$KUBERNETES_VERSION" ] || [ -e "$STATE/upgrade.started" ]; then upgrade; fi
  [ "$wanted" = "$(cat "$STATE/join.applied" 2>/dev/null)" ] || reconfigure
fi
systemctl is-active -q kubelet || systemctl restart kubelet
bash "$KUBELET" healthy || exit 1
registered
printf '%s\n' "$wanted" >"$STATE/join.applied"
echo "joined $KUBERNETES_VERSION"
