#!/usr/bin/env bash
# Makes this machine a control plane of a cluster, or applies changed settings or another release of Kubernetes to a
# running control plane. One of several begins the cluster, unless it runs already, and the others join it.
#
# /var/lib/kubeadm-aws/init.applied holds the settings that took effect last. An interrupted run does not change it, so
# the next run repeats the work.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env KUBERNETES_VERSION=1.36.3 ... init.sh < bundle
Environment:
  NODE                 name of this node
  KUBERNETES_VERSION   release; a running control plane of an older one is upgraded
  KUBEADM_CONFIG       InitConfiguration, ClusterConfiguration, KubeletConfiguration and KubeProxyConfiguration
  AUDIT_POLICY         content of the API server's audit policy
  AUDIT_POLICY_FILE    where that goes
  IDENTITY             text with the settings that no running cluster can change
  FLAGS                lines "kube-apiserver --name=value" with the flags of the settings; may be empty
  COREDNS              JSON merge patch for the Deployment of CoreDNS
  RESTORE_FROM         "latest" or the key of a snapshot; empty begins with an empty cluster
  ETCD_SNAPSHOT ...    the path of etcd-snapshot.sh, and its settings
  KUBELET              path of kubelet.sh
  UPGRADE ...          the path of upgrade.sh, and its settings
  MEMBERS_LEAVE ...    the path of members-leave.sh, and its settings; empty on a control plane that joins
  TOKEN_KEYS           path of token-keys.sh, to check Secrets before a key of service accounts is dropped; may be empty
  PEERS                addresses of the other control planes, separated by blanks; empty for the only one
  JOINS                not empty: this machine joins the others and never begins a cluster
  MEMBER ...           the path of member.sh, and its settings; with PEERS
  SETTLE               seconds that the API must answer after an upgrade, default 15
Standard input: base64 of a compressed tar archive with pki/ and apiserver/encryption.yaml, for /etc/kubernetes.
Prints "initialised <version>".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in NODE KUBERNETES_VERSION KUBEADM_CONFIG AUDIT_POLICY AUDIT_POLICY_FILE IDENTITY COREDNS ETCD_SNAPSHOT KUBELET UPGRADE; do
  [ -n "${!v:-}" ] || {
    echo "init: $v is not set" >&2
    usage >&2
    exit 2
  }
done

STATE=/var/lib/kubeadm-aws
CONFIG=$STATE/kubeadm.yaml
export KUBECONFIG=/etc/kubernetes/admin.conf
umask 022
say() { printf 'init: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
mkdir -p "$STATE"
exec 9>/run/kubeadm-aws-host.lock
flock -w 600 9 || die "another run has been changing this machine for 10 minutes; see: fuser -v /run/kubeadm-aws-host.lock"

install -d -m 700 /run/kubeadm-aws
secrets=$(mktemp -d /run/kubeadm-aws/init.XXXXXX)
changing=''
finish() {
  local rc=$?
  if [ "$rc" != 0 ] && [ -n "$changing" ]; then "put_back_$changing" || true; fi
  rm -rf "$secrets"
}
trap finish EXIT
trap 'say "stopped by a signal"; exit 143' TERM INT HUP
(umask 077 && base64 -d | tar -xz --no-same-owner -C "$secrets") || die "standard input is not base64 of a compressed tar archive"
for f in pki/ca.crt pki/ca.key pki/front-proxy-ca.crt pki/front-proxy-ca.key pki/etcd/ca.crt pki/etcd/ca.key pki/sa.key pki/sa.pub apiserver/encryption.yaml; do
  [ -s "$secrets/$f" ] || die "standard input lacks $f"
done

# kubeadm's output goes to a file. In the part that is printed, bootstrap tokens are removed.
kubeadm() {
  if ! timeout 600 kubeadm "$@" >>"$STATE/kubeadm.log" 2>&1 </dev/null; then
    tail -n 30 "$STATE/kubeadm.log" | sed -E 's/[a-z0-9]{6}\.[a-z0-9]{16}/<token>/g' >&2
    die "kubeadm $1 $2 fails; the whole output is in $STATE/kubeadm.log on this machine"
  fi
}
(umask 077 && : >"$STATE/kubeadm.log")
kube() { kubectl --request-timeout=20s "$@" </dev/null; }
api_answers() { # SECONDS
  local until=$((SECONDS + $1))
  until [ "$(kube get --raw=/readyz 2>/dev/null)" = ok ]; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.5
  done
}

# ---- files ------------------------------------------------------------------

# reads_key succeeds if the manifest of the API server names this key of service accounts, such as pki/sa.pub.
reads_key() { grep -qs -e "-key-file=.*/$1'\{0,1\}\$" /etc/kubernetes/manifests/kube-apiserver.yaml; }
put_file() { # FILE below /etc/kubernetes
  case $1 in
    *.crt | *.pub) install -m 644 "$secrets/$1" "/etc/kubernetes/$1" ;;
    # Replaced atomically, because the API server reloads the encryption keys whenever their file changes.
    *) install -m 600 "$secrets/$1" "/etc/kubernetes/$1.new" && mv "/etc/kubernetes/$1.new" "/etc/kubernetes/$1" ;;
  esac
}
put_files() {
  local f
  install -d -m 700 /etc/kubernetes/apiserver
  install -d /etc/kubernetes/pki/etcd
  install -d -m 700 /var/log/kubernetes/audit
  (cd "$secrets" && find pki apiserver -type f) | while read -r f; do
    # A running API server keeps its key until it has the flags of another one.
    reads_key "$f" || put_file "$f"
  done
  printf '%s\n' "$AUDIT_POLICY" >"$AUDIT_POLICY_FILE"
  (umask 077 && printf '%s\n' "$KUBEADM_CONFIG" >"$CONFIG")
}
wanted=$({ printf '%s\n' "$KUBEADM_CONFIG" "$AUDIT_POLICY" && (cd "$secrets" && find pki apiserver -type f -exec sha256sum {} + | sort); } | sha256sum)

# ---- a first init -----------------------------------------------------------

snapshots() { CA_FILE=$secrets/pki/ca.crt bash "$ETCD_SNAPSHOT" "$@" </dev/null; }
fetch_snapshot() {
  local lost others=''
  [ -z "${PEERS:-}" ] ||
    others="no other control plane ($PEERS) is ready; repair those first, then run pulumi up again. If all of them are lost: "
  if [ -n "${RESTORE_FROM:-}" ]; then
    snapshots fetch "$RESTORE_FROM" "$STATE/restore.db" ||
      die "no cluster has been made from this snapshot. Set backup.restoreFrom to one that exists and is whole, or remove it to begin with an empty cluster"
  elif ! lost=$(snapshots ours); then
    die "the bucket ${BUCKET:-} cannot be asked whether this cluster has run before, so no cluster has been made. Check that the instance reaches ${S3_ENDPOINT:-} with the role of the control plane, then run again"
  elif [ "$lost" = "${PREFIX:-}/initialised" ]; then
    # The same authority and a machine without etcd: the control plane was lost. An empty cluster in its place
    # would delete everything that runs on the workers.
    die "${others}this cluster has run before, and the bucket has no snapshot of it. An empty control plane would delete what runs on its workers. Set backup.restoreFrom if a snapshot exists elsewhere in the bucket; to begin with an empty cluster: aws s3 rm s3://${BUCKET:-}/$lost"
  elif [ -n "$lost" ]; then
    die "${others}this cluster has run before, and the bucket has its snapshot $lost. Set backup.restoreFrom to \"latest\" or to that key to bring it back; to begin with an empty cluster: aws s3 rm s3://${BUCKET:-}/${PREFIX:-}/latest, and the same for ${PREFIX:-}/initialised"
  fi
}
restore() {
  say "restoring etcd from $RESTORE_FROM"
  systemctl stop kubeadm-aws-restore 2>/dev/null || true
  rm -rf "$STATE/restore"
  # Revisions continue far above those of the lost etcd, so that no watcher mistakes new objects for old ones.
  etcdutl snapshot restore "$STATE/restore.db" --data-dir "$STATE/restore" --name "$NODE" \
    --initial-cluster "$NODE=https://$(advertise):2380" --initial-advertise-peer-urls "https://$(advertise):2380" \
    --bump-revision 1000000000 --mark-compacted >>"$STATE/kubeadm.log" 2>&1 ||
    die "etcdutl cannot restore the snapshot; its output is in $STATE/kubeadm.log"
  forget_machine
  # /var/lib/etcd may be a mount point.
  install -d -m 700 /var/lib/etcd
  mv "$STATE/restore/member" /var/lib/etcd/
  rm -rf "$STATE/restore" "$STATE/restore.db"
}
advertise() { sed -n 's/^ *advertiseAddress: *//p' <<<"$KUBEADM_CONFIG" | tr -d "'\"" | head -n 1; }

# The snapshot contains the old machine under this node's name: its provider id, which no kubelet can change, its
# address as the API's endpoint, and its leases. They are removed before the API reads them.
forget_machine() {
  local client=http://127.0.0.1:23790 unit=kubeadm-aws-restore rc=0 key held
  # A unit, so that the next run can stop it if this run is interrupted.
  systemd-run -q --collect --unit $unit /usr/local/lib/etcd/etcd --data-dir "$STATE/restore" --name "$NODE" --force-new-cluster \
    --listen-client-urls $client --advertise-client-urls $client --listen-peer-urls http://127.0.0.1:23800
  for _ in $(seq 120); do
    etcdctl --endpoints $client endpoint health >/dev/null 2>&1 && break
    systemctl is-active -q $unit || break
    sleep 0.5
  done
  for key in "/registry/minions/$NODE" "/registry/csinodes/$NODE" "/registry/leases/kube-node-lease/$NODE"; do
    etcdctl --endpoints $client del "$key" >/dev/null || rc=1
  done
  for key in /registry/masterleases/ /registry/leases/kube-system/; do
    etcdctl --endpoints $client del --prefix "$key" >/dev/null || rc=1
  done
  # kubeadm's settings in the snapshot are plain text.
  held=$(etcdctl --endpoints $client get --print-value-only /registry/configmaps/kube-system/kubeadm-config | sed -n 's/.*kubernetesVersion: v\([0-9.]*\).*/\1/p' | head -n 1) || true
  systemctl stop $unit || true
  [ -z "$held" ] || [ "$(printf '%s\n' "$held" "$KUBERNETES_VERSION" | sort -V | tail -n 1)" = "$KUBERNETES_VERSION" ] ||
    die "the snapshot is of Kubernetes $held, and $KUBERNETES_VERSION cannot read what a newer release wrote. Set cluster.kubernetesVersion to $held, or backup.restoreFrom to an older snapshot"
  [ -z "$held" ] || [ $(($(cut -d. -f2 <<<"$KUBERNETES_VERSION") - $(cut -d. -f2 <<<"$held"))) -le 1 ] ||
    die "the snapshot is of Kubernetes $held, and $KUBERNETES_VERSION is more than one minor release later. Set cluster.kubernetesVersion to a release in between, and upgrade after that"
  [ "$rc" = 0 ] || die "the restored etcd does not start; see: journalctl -u $unit"
}

start_over() {
  say "starting over after an interrupted init"
  systemctl stop kubelet
  # Without it kubeadm does not try to reach a cluster that may never have answered.
  rm -f "$KUBECONFIG"
  kubeadm reset --force --cleanup-tmp-dir
  rm -rf /var/lib/etcd/member
}

first_init() {
  local ignore=()
  # Before anything is removed, because this refuses an empty cluster in place of one that has run.
  fetch_snapshot
  if [ -e "$STATE/init.started" ]; then start_over; fi
  touch "$STATE/init.started"
  if [ -n "${RESTORE_FROM:-}" ]; then
    restore
    ignore=(--ignore-preflight-errors=DirAvailable--var-lib-etcd)
  fi
  put_files
  name_api
  say "kubeadm init"
  kubeadm init --config "$CONFIG" --skip-token-print "${ignore[@]}"
  # Nodes join with a certificate. kubeadm creates a token all the same, which would let any reader of it join.
  kube -n kube-system delete secrets --field-selector type=bootstrap.kubernetes.io/token >/dev/null
  printf '%s\n' "$IDENTITY" >"$STATE/init.done"
}

# ---- several control planes -------------------------------------------------

member() { ADDRESS=$(advertise) SECRETS=$secrets bash "$MEMBER" "$@"; }

# name_api makes the API's name mean this machine, so that its steps do not depend on the other control planes.
name_api() {
  [ -z "${PEERS:-}" ] || bash "$API_NAME" "${ENDPOINT%:*}" "$(advertise)"
}

# join_cluster makes this machine a control plane of the cluster that PEER belongs to.
join_cluster() { # PEER
  local state
  put_files
  state=$(member state "$1") || exit 1
  if [ "$state" = member ]; then
    member finish "$1" || exit 1
  else
    if [ -e "$STATE/init.started" ]; then
      start_over
      put_files
    fi
    touch "$STATE/init.started"
    member join "$1" || exit 1
  fi
  printf '%s\n' "$IDENTITY" >"$STATE/init.done"
  # kubeadm join takes the settings from the cluster, which has those of the last run.
  reconfigure
}

# has_run succeeds if this cluster is known to have run before. If the bucket does not answer, fetch_snapshot refuses.
has_run() { [ -n "${JOINS:-}${RESTORE_FROM:-}" ] || [ -n "$(snapshots ours)" ]; }

# begin makes a control plane of this machine. Others that answer have the objects of this cluster, so a snapshot is not
# restored next to them. A control plane of a cluster that has run waits for them: they may start just now.
begin() {
  local peer='' wait=0
  if [ ! -e "$STATE/init.started" ] && { [ -d /var/lib/etcd/member ] || compgen -G '/etc/kubernetes/manifests/*.yaml' >/dev/null; }; then
    die "this machine already holds a control plane that this program did not make; nothing has been changed. Use a fresh machine, or run kubeadm reset on it if nothing there is needed"
  fi
  if [ -n "${PEERS:-}" ] && has_run; then wait=300; fi
  if [ -n "${PEERS:-}" ] && peer=$(member peer $wait); then
    join_cluster "$peer"
  elif [ -n "${JOINS:-}" ]; then
    die "the API of no other control plane ($PEERS) is ready, so $NODE cannot join. Repair the others, then run pulumi up again; if they are lost permanently: docs/recovery.md, \"More than half of the control planes are lost\""
  elif [ -n "${PEERS:-}" ] && peer=$(member alive 0); then
    # Its etcd would elect the members that it knows when they return, next to the etcd of this machine.
    die "the control plane $peer is alive, but not ready: too few of its cluster run for a majority of etcd. $NODE begins no other cluster next to it. Start or repair the other control planes, then run pulumi up again; if they are lost permanently, terminate the machine $peer too, and restore a snapshot: docs/recovery.md, \"More than half of the control planes are lost\""
  else
    first_init
  fi
}

# ---- a running control plane ------------------------------------------------

same_cluster() {
  local f
  [ "$IDENTITY" = "$(cat "$STATE/init.done")" ] ||
    die "these settings cannot be changed on a running cluster: it has \"$(cat "$STATE/init.done")\", and \"$IDENTITY\" is asked for. Set them back, or replace the cluster"
  # Sorted, so that the authorities come before the keys of service accounts.
  (cd "$secrets/pki" && find . -type f | sort) | while read -r f; do
    cmp -s "$secrets/pki/$f" "/etc/kubernetes/pki/$f" || rotated "pki/${f#./}" || refuse_identity "${f#./}"
  done
}
# rotated succeeds for a key of service accounts that the API server does not read, or does not read any more after this
# run. kubeadm's own names are read if the settings name no other key.
rotated() { # FILE
  [[ $1 = pki/sa[.-]* ]] || return 1
  case $1 in
    pki/sa.*) ! reads_key "$1" || grep -q service-account-signing-key-file <<<"$KUBEADM_CONFIG" ;;
    *) ! reads_key "$1" ;;
  esac
}
# drops_key succeeds if the API server accepts a key of service accounts that the settings no longer contain.
drops_key() {
  local f
  for f in /etc/kubernetes/pki/sa*.pub; do
    if reads_key "pki/${f##*/}" && ! keeps_key "$f"; then return 0; fi
  done
  return 1
}
keeps_key() { # FILE
  local f
  for f in "$secrets"/pki/sa*.pub; do
    if cmp -s "$f" "$1"; then return 0; fi
  done
  return 1
}
# drop_keys gives kubeadm's own names the key that signs, and removes the keys that the settings no longer contain.
drop_keys() {
  local f
  for f in /etc/kubernetes/pki/sa-*; do
    [ -e "$secrets/pki/${f##*/}" ] || rm -f "$f"
  done
  for f in pki/sa.key pki/sa.pub; do
    cmp -s "$secrets/$f" "/etc/kubernetes/$f" || put_file "$f"
  done
}

# An authority expires after ten years, and the stack creates a new certificate for the same key. Nodes, kubeconfigs and
# service accounts trust the old one, so no running cluster can change it.
refuse_identity() { # FILE below pki
  local old=/etc/kubernetes/pki/$1 ended
  if [[ $1 = *.crt ]] && [ "$(openssl x509 -noout -pubkey -in "$old" 2>/dev/null)" = "$(openssl x509 -noout -pubkey -in "$secrets/pki/$1" 2>/dev/null)" ]; then
    ended=$(openssl x509 -noout -enddate -in "$old")
    die "the authority $old of this cluster ends at ${ended#notAfter=}, and the stack has a new certificate for it. A running cluster cannot change its authority, and nothing has been changed; see \"The authorities end after ten years\" in docs/recovery.md"
  fi
  [[ $1 != sa-* ]] ||
    die "the API server reads another key from $old, because a run with that number of identity.rotate was interrupted. Nothing has been changed; set identity.rotate to a number that this cluster never had"
  die "$old on this machine is not the one of this stack: it is another cluster's control plane"
}

# The program in the running container checks the flags of its component before a manifest changes. Values that only
# fail at run time appear later; put_back_manifests handles those.
check_flags() {
  local component id said args
  for component in kube-apiserver kube-controller-manager kube-scheduler; do
    mapfile -t args < <(sed -n "s/^$component //p" <<<"${FLAGS:-}")
    [ ${#args[@]} -gt 0 ] || continue
    id=$(crictl --runtime-endpoint unix:///run/containerd/containerd.sock ps -q --state running --name "^$component\$" 2>/dev/null </dev/null | head -n 1)
    [ -n "$id" ] || continue
    said=$(timeout 60 crictl --runtime-endpoint unix:///run/containerd/containerd.sock exec "$id" "$component" "${args[@]}" --help 2>&1 </dev/null) ||
      ! said=$(grep -m 1 -o 'unknown flag.*\|invalid argument.*\|flag needs.*' <<<"$said") ||
      die "$component refuses a flag: $said. Nothing has been changed; correct $(setting_of "$component") in the settings"
  done
}
setting_of() { # COMPONENT
  case $1 in
    kube-apiserver) echo kubernetes.apiServer ;;
    kube-controller-manager) echo kubernetes.controllerManager ;;
    kube-scheduler) echo kubernetes.scheduler ;;
    *) echo "kubernetes.*" ;;
  esac
}

# put_back_manifests restores the manifests from before a failed change, so that the cluster continues to run. They are
# kept until a change has succeeded, in case a run is killed in between.
put_back_manifests() {
  local file
  for file in "$STATE"/manifests.before/*.yaml; do
    cmp -s "$file" "/etc/kubernetes/manifests/${file##*/}" ||
      { install -m 600 "$file" "/etc/kubernetes/${file##*/}.back" && mv "/etc/kubernetes/${file##*/}.back" "/etc/kubernetes/manifests/${file##*/}"; }
  done
  if api_answers 240; then
    say "the manifests of before are back, and the API answers: the cluster runs with its former settings"
  else
    say "the manifests of before are back, and the API does not answer yet; see: crictl ps -a, and /var/log/pods/kube-system_* on this machine"
  fi
}

# The flags of a component in its manifest, and in its process.
wanted_flags() { sed -n "s/^    - '\\{0,1\\}\\(--.*[^']\\)'\\{0,1\\}\$/\\1/p" "/etc/kubernetes/manifests/$1.yaml" | sort; }
process_flags() {
  local pid
  pid=$(pgrep -n -f "^$1 --") && tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep '^--' | sort
}
await_component() {
  local until=$((SECONDS + 240))
  until [ "$(process_flags "$1" || true)" = "$(wanted_flags "$1")" ]; do
    if [ "$SECONDS" -ge "$until" ]; then
      find "/var/log/pods/kube-system_$1-${NODE}_"*/ -name '*.log' -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -n 1 | cut -d' ' -f2- | xargs -r tail -n 5 >&2 || true
      die "$1 does not run with its new flags; see /var/log/pods/kube-system_$1-* on this machine, and $(setting_of "$1") in the settings"
    fi
    sleep 1
  done
}

put_back_kubelet() {
  bash "$KUBELET" stop
  cp "$secrets/old/config.yaml" "$secrets/old/kubeadm-flags.env" /var/lib/kubelet/
  systemctl restart kubelet
  say "the kubelet has its former settings again; no worker got the new ones"
}

# upgrade_begun succeeds if this release has to be installed, or if a run that was interrupted had begun to.
upgrade_begun() {
  [ "$(sed -n 's#^ *image: .*/kube-apiserver:v##p' /etc/kubernetes/manifests/kube-apiserver.yaml)" != "$KUBERNETES_VERSION" ] || begun
}
begun() { [ "$(cat "$STATE/upgrade.started" 2>/dev/null)" = "$KUBERNETES_VERSION" ]; }

# upgrade brings etcd, the API server and the rest to the release. reconfigure then updates the kubelet.
upgrade() {
  local former=''
  # Evictions fail while the API restarts. node-drain.sh gives the other control planes their turn under this lock.
  exec 8>/run/kubeadm-aws-drain.lock
  flock -w 600 8 || die "nodes have been draining for 10 minutes, and the control plane is not upgraded meanwhile. Nothing is wrong: run pulumi up again"
  if ! begun; then
    if [ -n "${JOINS:-}" ] && [ "$(upgrade_mark)" != upgrading ]; then
      die "it is not the turn of $NODE to be upgraded, so it stays as it is. Run the whole pulumi up, without --target"
    fi
    bash "$UPGRADE" check || exit 1
    kube annotate node "$NODE" --overwrite kubeadm-aws/upgrade=upgrading >/dev/null ||
      die "the API does not record that $NODE is upgraded, so it stays as it is; run pulumi up again"
    # The others have their turn from this control plane, and keep it.
    [ -n "${JOINS:-}" ] || former=$(images)
  fi
  rm -rf "$STATE/manifests.before"
  put_files
  printf '%s\n' "$KUBERNETES_VERSION" >"$STATE/upgrade.started"
  if ! bash "$UPGRADE" control-plane >&2; then
    [ -z "$former" ] || [ "$former" != "$(images)" ] || not_begun
    exit 1
  fi
}
images() { sed -n 's/^ *image: //p' /etc/kubernetes/manifests/{etcd,kube-apiserver}.yaml; }
# not_begun removes the record of an upgrade that has changed neither etcd nor the API server, so that the former release can be set
# again and no repair waits for it. The next upgrade begins with the checks. The file without a release stays: it makes the
# next run of the former release write all its files.
not_begun() {
  kube annotate node "$NODE" kubeadm-aws/upgrade- >/dev/null || return 0
  : >"$STATE/upgrade.started"
}
upgrade_mark() {
  # shellcheck disable=SC2016 # a Go template
  kube get node "$NODE" --ignore-not-found -o go-template='{{with .metadata.annotations}}{{with index . "kubeadm-aws/upgrade"}}{{.}}{{end}}{{end}}'
}
# returned ends the turn of this node in an upgrade.
returned() {
  local mark until=$((SECONDS + 300))
  mark=$(upgrade_mark) || die "the API does not answer; run pulumi up again"
  [ -n "$mark" ] || return 0
  until [ "$(kube get node "$NODE" -o 'jsonpath={.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = "v$KUBERNETES_VERSION True" ]; do
    [ "$SECONDS" -lt "$until" ] || die "node $NODE does not become Ready with Kubernetes $KUBERNETES_VERSION, and no other node is upgraded; see: journalctl -u kubelet. When the reason is gone, run pulumi up again"
    sleep 0.5
  done
  kube annotate node "$NODE" kubeadm-aws/upgrade- >/dev/null || die "$NODE is upgraded, and the API does not record it; run pulumi up again"
}

# settled returns when the API has answered for a while. A kubelet of another release restarts the static pods once, and an
# API server that has just started knows no permissions yet.
settled() {
  local since=$SECONDS until=$((SECONDS + 240))
  until [ $((SECONDS - since)) -ge "${SETTLE:-15}" ]; do
    kube get clusterrolebindings kubeadm:cluster-admins >/dev/null 2>&1 || since=$SECONDS
    [ "$SECONDS" -lt "$until" ] || die "the API does not come to rest with the new kubelet; see /var/log/pods/kube-system_kube-apiserver-* on this machine. When the reason is gone, run pulumi up again"
    sleep 0.5
  done
}

reconfigure() {
  local component before
  check_flags
  # Only then, because it needs the API, and changed settings may repair an API server that does not answer.
  if [ -n "${TOKEN_KEYS:-}" ] && drops_key; then bash "$TOKEN_KEYS" secrets "$secrets/pki" || exit 1; fi
  say "bringing the control plane to changed settings"
  if [ ! -d "$STATE/manifests.before" ]; then
    rm -rf "$STATE/manifests.copy"
    cp -r /etc/kubernetes/manifests "$STATE/manifests.copy"
    mv "$STATE/manifests.copy" "$STATE/manifests.before"
  fi
  changing=manifests
  put_files
  # kubeadm refuses a certificate that lacks a name, and does not add one.
  install -d -m 700 "$secrets/old"
  mv -f /etc/kubernetes/pki/apiserver.{crt,key} "$secrets/old/" 2>/dev/null || true
  kubeadm init phase certs apiserver --config "$CONFIG"
  # With several, the manifest names the members of etcd, which kubeadm init does not know.
  [ -n "${PEERS:-}" ] || kubeadm init phase etcd local --config "$CONFIG"
  kubeadm init phase control-plane all --config "$CONFIG"
  for component in etcd kube-apiserver kube-controller-manager kube-scheduler; do await_component $component; done
  api_answers 120 || die "the API does not answer after the change; see /var/log/pods/kube-system_kube-apiserver-* on this machine, and kubernetes.apiServer in the settings"
  changing=''
  rm -rf "$STATE/manifests.before"
  drop_keys
  # Not before the static pods have their new flags: a kubelet that has just started and finds a changed manifest may
  # wait two minutes for the volumes of the old pod. Not after the upload, from which workers read the settings.
  if begun; then bash "$UPGRADE" packages kubelet kubectl || exit 1; fi
  cp /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env "$secrets/old/"
  changing=kubelet
  bash "$KUBELET" stop
  kubeadm init phase kubelet-start --config "$CONFIG"
  bash "$KUBELET" steady || exit 1
  changing=''
  if begun; then settled; fi
  kubeadm init phase upload-config all --config "$CONFIG"
  # kube-proxy must not be newer than an API server. The last control plane that is upgraded brings it.
  if older_api; then return; fi
  before=$(kube -n kube-system get configmap kube-proxy -o 'jsonpath={.data}' | sha256sum)
  kubeadm init phase addon kube-proxy --config "$CONFIG"
  if [ "$before" != "$(kube -n kube-system get configmap kube-proxy -o 'jsonpath={.data}' | sha256sum)" ]; then
    kube -n kube-system rollout restart daemonset/kube-proxy >/dev/null
  fi
  bring_coredns
}

# bring_coredns moves CoreDNS to the release. kubeadm does that when it upgrades the last control plane, but not when a new
# machine joins in its place. kubeadm keeps a Corefile that was changed.
bring_coredns() {
  local has wanted
  [ -n "${PEERS:-}" ] || return 0
  has=$(kube -n kube-system get deployment coredns --ignore-not-found -o 'jsonpath={.spec.template.spec.containers[0].image}') ||
    die "the API does not show the release of CoreDNS; run pulumi up again"
  [ -n "$has" ] || return 0 # a different DNS server
  wanted=$(command kubeadm config images list --config "$CONFIG" 2>/dev/null </dev/null | grep /coredns:) || wanted=''
  [ "$has" = "$wanted" ] || kubeadm init phase addon coredns --config "$CONFIG"
}

# older_api succeeds if the API server of another control plane has another release.
older_api() {
  local all
  [ -n "${PEERS:-}" ] || return 1
  all=$(kube -n kube-system get pods -l component=kube-apiserver -o 'jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}') ||
    die "the API does not list its servers; run pulumi up again"
  grep -qv ":v$KUBERNETES_VERSION\$" <<<"$all"
}

# Closes what kubeadm leaves open, in new clusters and in existing ones.
harden() {
  local namespace level
  # This kubeconfig bypasses authorization and cannot be revoked. kubeadm needs it only during init.
  rm -f /etc/kubernetes/super-admin.conf
  for namespace in kube-system:privileged kube-public:restricted kube-node-lease:restricted; do
    level=${namespace#*:}
    kube label namespace "${namespace%:*}" --overwrite "pod-security.kubernetes.io/enforce=$level" >/dev/null ||
      die "the pod security level of namespace ${namespace%:*} cannot be set"
  done
}

# A cluster without it uses a different DNS server.
place_coredns() {
  [ -n "$(kube -n kube-system get deployment coredns --ignore-not-found -o name)" ] || return 0
  kube -n kube-system patch deployment coredns --type=merge -p "$COREDNS" >/dev/null || die "the Deployment of CoreDNS cannot be changed"
}

if [ ! -e "$STATE/init.done" ]; then
  begin
elif [ "$wanted" != "$(cat "$STATE/init.applied" 2>/dev/null)" ] || [ -e "$STATE/upgrade.started" ]; then
  # The second case: the settings are those of before an upgrade that has begun.
  same_cluster
  # Nothing on this machine can help: etcd keeps its members, and the API answers nothing without a majority of them.
  [ -z "${PEERS:-}" ] || member majority 120 ||
    die "etcd on $NODE has no majority: too few of the other control planes ($PEERS) run, and nothing has been changed. Start or repair those, then run pulumi up again; if they are lost permanently, terminate the machine of $NODE too, and restore a snapshot: docs/recovery.md, \"More than half of the control planes are lost\""
  if upgrade_begun; then upgrade; fi
  reconfigure
  exec 8>&- # members-leave.sh takes the same lock
  # The former release of etcd is back, if an upgrade has ended before the API server.
  rm -f "$STATE/etcd.before"
fi
name_api
systemctl is-active -q kubelet || systemctl restart kubelet
api_answers 120 || die "the API does not answer; see: journalctl -u kubelet, and /var/log/pods/kube-system_kube-apiserver-* on this machine${JOINS:+. If $NODE was removed from the settings and added again, it has left etcd: give its nodes[].generation another text}"
bash "$KUBELET" healthy || exit 1
if [ -n "${MEMBERS_LEAVE:-}" ]; then
  ADDRESSES="$(advertise)${PEERS:+ $PEERS}" bash "$MEMBERS_LEAVE" || exit 1
fi
harden
place_coredns
returned
# Before a worker joins: from here on, an empty control plane in place of this one would delete what runs on workers.
if [ ! -e "$STATE/init.marked" ]; then
  snapshots mark || die "the bucket cannot be told that this cluster runs. Check that the instance reaches ${S3_ENDPOINT:-} with the role of the control plane, then run again"
  touch "$STATE/init.marked"
fi
printf '%s\n' "$wanted" >"$STATE/init.applied"
rm -f "$STATE/upgrade.started"
echo "initialised $KUBERNETES_VERSION"
