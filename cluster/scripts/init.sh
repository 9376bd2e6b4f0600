#!/usr/bin/env bash
# Makes this machine the control plane of a cluster, or brings a control plane that runs to changed settings.
#
# The settings that took effect last are kept in /var/lib/kubeadm-aws/init.applied; a run that is cut off leaves that
# file as it was, so that the next one does the work again.
set -euo pipefail

usage() {
	cat <<'TEXT'
usage: sudo env KUBERNETES_VERSION=1.36.3 ... init.sh < bundle
Environment:
  NODE                 name of this node
  KUBERNETES_VERSION   release, as installed
  KUBEADM_CONFIG       InitConfiguration, ClusterConfiguration, KubeletConfiguration and KubeProxyConfiguration
  AUDIT_POLICY         content of the API server's audit policy
  AUDIT_POLICY_FILE    where that goes
  IDENTITY             text with the settings that no running cluster can change
  RESTORE_FROM         "latest" or the key of a snapshot; empty begins with an empty cluster
  ETCD_SNAPSHOT ...    the text of etcd-snapshot.sh, and its settings
Standard input: base64 of a tar archive with pki/ and apiserver/encryption.yaml, for /etc/kubernetes.
Prints "initialised <version>".
TEXT
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac
for v in NODE KUBERNETES_VERSION KUBEADM_CONFIG AUDIT_POLICY AUDIT_POLICY_FILE IDENTITY ETCD_SNAPSHOT; do
	[ -n "${!v:-}" ] || { echo "init: $v is not set" >&2; usage >&2; exit 2; }
done

STATE=/var/lib/kubeadm-aws
CONFIG=$STATE/kubeadm.yaml
export KUBECONFIG=/etc/kubernetes/admin.conf
umask 022
say() { printf 'init: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
mkdir -p "$STATE"
exec 9>/run/kubeadm-aws-host.lock
flock -w 600 9 || die "another run has been changing this machine for 10 minutes; see: fuser -v /run/kubeadm-aws-host.lock"

install -d -m 700 /run/kubeadm-aws
secrets=$(mktemp -d /run/kubeadm-aws/init.XXXXXX)
trap 'rm -rf "$secrets"' EXIT
(umask 077 && base64 -d | tar -x --no-same-owner -C "$secrets") || die "standard input is not base64 of a tar archive"
for f in pki/ca.crt pki/ca.key pki/front-proxy-ca.crt pki/front-proxy-ca.key pki/etcd/ca.crt pki/etcd/ca.key pki/sa.key pki/sa.pub apiserver/encryption.yaml; do
	[ -s "$secrets/$f" ] || die "standard input lacks $f"
done

# What kubeadm says goes to a file; the part of it that is shown loses what looks like a bootstrap token.
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

put_files() {
	local f
	install -d -m 700 /etc/kubernetes/apiserver
	install -d /etc/kubernetes/pki/etcd
	install -d -m 700 /var/log/kubernetes/audit
	(cd "$secrets" && find pki apiserver -type f) | while read -r f; do
		case $f in
		*.crt | *.pub) install -m 644 "$secrets/$f" "/etc/kubernetes/$f" ;;
		# In one step, as the API server reads the encryption keys again whenever their file changes.
		*) install -m 600 "$secrets/$f" "/etc/kubernetes/$f.new" && mv "/etc/kubernetes/$f.new" "/etc/kubernetes/$f" ;;
		esac
	done
	printf '%s\n' "$AUDIT_POLICY" >"$AUDIT_POLICY_FILE"
	(umask 077 && printf '%s\n' "$KUBEADM_CONFIG" >"$CONFIG")
}
wanted=$({ printf '%s\n' "$KUBEADM_CONFIG" "$AUDIT_POLICY" && (cd "$secrets" && find pki apiserver -type f -exec sha256sum {} + | sort); } | sha256sum)

# ---- a first init -----------------------------------------------------------

snapshots() { CA_FILE=$secrets/pki/ca.crt bash "$secrets/etcd-snapshot.sh" "$@" </dev/null; }
fetch_snapshot() {
	local lost
	printf '%s\n' "$ETCD_SNAPSHOT" >"$secrets/etcd-snapshot.sh"
	if [ -n "${RESTORE_FROM:-}" ]; then
		snapshots fetch "$RESTORE_FROM" "$STATE/restore.db" ||
			die "no cluster has been made from this snapshot. Set backup.restoreFrom to one that exists and is whole, or remove it to begin with an empty cluster"
	elif ! lost=$(snapshots ours); then
		die "the bucket ${BUCKET:-} cannot be asked whether this cluster has run before, so no cluster has been made. See to it that the instance reaches ${S3_ENDPOINT:-} with the role of the control plane, then run again"
	elif [ -n "$lost" ]; then
		# The same authority and a machine without etcd: the control plane was lost, and an empty cluster in its place
		# would delete from the workers what runs there.
		die "this cluster has run before, and the bucket has its snapshot $lost. Set backup.restoreFrom to \"latest\" or to that key to bring it back; to begin with an empty cluster, delete ${PREFIX:-}/latest from the bucket ${BUCKET:-}"
	fi
}
restore() {
	say "restoring etcd from $RESTORE_FROM"
	systemctl stop kubeadm-aws-restore 2>/dev/null || true
	rm -rf "$STATE/restore"
	# Revisions go on far above those of the lost etcd, so that no watcher takes new objects for old ones.
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

# The snapshot knows the old machine by this node's name: with its provider id, which no kubelet can change, its
# address as the API's endpoint, and its leases. They are taken out before the API sees them.
forget_machine() {
	local client=http://127.0.0.1:23790 unit=kubeadm-aws-restore rc=0 key
	# A unit, so that the next run can stop it if this one is cut off.
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
	systemctl stop $unit || true
	[ "$rc" = 0 ] || die "the restored etcd does not start; see: journalctl -u $unit"
}

first_init() {
	local ignore=()
	if [ -e "$STATE/init.started" ]; then
		say "starting over after an init that was cut off"
		systemctl stop kubelet
		# Without it kubeadm does not look for a cluster that may never have answered.
		rm -f "$KUBECONFIG"
		kubeadm reset --force --cleanup-tmp-dir
		rm -rf /var/lib/etcd/member
	elif [ -d /var/lib/etcd/member ] || compgen -G '/etc/kubernetes/manifests/*.yaml' >/dev/null; then
		die "this machine already holds a control plane that this program did not make; nothing has been changed. Use a fresh machine, or run kubeadm reset on it if nothing there is needed"
	fi
	fetch_snapshot
	touch "$STATE/init.started"
	if [ -n "${RESTORE_FROM:-}" ]; then
		restore
		ignore=(--ignore-preflight-errors=DirAvailable--var-lib-etcd)
	fi
	put_files
	say "kubeadm init"
	kubeadm init --config "$CONFIG" --skip-token-print "${ignore[@]}"
	# Nodes join with a certificate. The token that kubeadm makes nevertheless opens the cluster to whoever reads it.
	kube -n kube-system delete secrets --field-selector type=bootstrap.kubernetes.io/token >/dev/null
	printf '%s\n' "$IDENTITY" >"$STATE/init.done"
}

# ---- a control plane that runs ----------------------------------------------

same_cluster() {
	local running f
	running=$(sed -n 's#^ *image: .*/kube-apiserver:v##p' /etc/kubernetes/manifests/kube-apiserver.yaml)
	[ "$running" = "$KUBERNETES_VERSION" ] ||
		die "the control plane runs Kubernetes $running, and $KUBERNETES_VERSION is asked for. Upgrades in place are not supported yet: set cluster.kubernetesVersion back to $running"
	[ "$IDENTITY" = "$(cat "$STATE/init.done")" ] ||
		die "these settings cannot be changed on a running cluster: it has \"$(cat "$STATE/init.done")\", and \"$IDENTITY\" is asked for. Set them back, or replace the cluster"
	(cd "$secrets/pki" && find . -type f) | while read -r f; do
		cmp -s "$secrets/pki/$f" "/etc/kubernetes/pki/$f" ||
			die "/etc/kubernetes/pki/${f#./} on this machine is not the one of this stack: it is another cluster's control plane"
	done
}

# The flags of a component as its manifest has them, and as its process has.
wanted_flags() { sed -n "s/^    - '\\{0,1\\}\\(--.*[^']\\)'\\{0,1\\}\$/\\1/p" "/etc/kubernetes/manifests/$1.yaml" | sort; }
process_flags() {
	local pid
	pid=$(pgrep -n -f "^$1 --") && tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep '^--' | sort
}
await_component() {
	local until=$((SECONDS + 240))
	until [ "$(process_flags "$1" || true)" = "$(wanted_flags "$1")" ]; do
		if [ "$SECONDS" -ge "$until" ]; then
			find "/var/log/pods/kube-system_$1-${NODE}_"*/ -name '*.log' -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -n 1 | cut -d' ' -f2- | xargs -r tail -n 5 >&2
			die "$1 does not run with its new flags; see /var/log/pods/kube-system_$1-* on this machine, and kubernetes.* in the settings"
		fi
		sleep 1
	done
}

reconfigure() {
	local component before
	same_cluster
	say "bringing the control plane to changed settings"
	put_files
	# kubeadm refuses a certificate that lacks a name, and does not add one.
	install -d -m 700 "$secrets/old"
	mv -f /etc/kubernetes/pki/apiserver.{crt,key} "$secrets/old/" 2>/dev/null || true
	kubeadm init phase certs apiserver --config "$CONFIG"
	kubeadm init phase etcd local --config "$CONFIG"
	kubeadm init phase control-plane all --config "$CONFIG"
	for component in etcd kube-apiserver kube-controller-manager kube-scheduler; do await_component $component; done
	api_answers 120 || die "the API does not answer after the change; see /var/log/pods/kube-system_kube-apiserver-* on this machine"
	# Not before the static pods are as they should be: a kubelet that has just started and finds a changed manifest
	# may wait two minutes for the volumes of the old pod.
	kubeadm init phase kubelet-start --config "$CONFIG"
	kubeadm init phase upload-config all --config "$CONFIG"
	before=$(kube -n kube-system get configmap kube-proxy -o 'jsonpath={.data}' | sha256sum)
	kubeadm init phase addon kube-proxy --config "$CONFIG"
	if [ "$before" != "$(kube -n kube-system get configmap kube-proxy -o 'jsonpath={.data}' | sha256sum)" ]; then
		kube -n kube-system rollout restart daemonset/kube-proxy >/dev/null
	fi
}

if [ ! -e "$STATE/init.done" ]; then
	first_init
elif [ "$wanted" != "$(cat "$STATE/init.applied" 2>/dev/null)" ]; then
	reconfigure
fi
systemctl is-active -q kubelet || systemctl restart kubelet
api_answers 120 || die "the API does not answer; see: journalctl -u kubelet, and /var/log/pods/kube-system_kube-apiserver-* on this machine"
until=$((SECONDS + 60))
until curl -fs --max-time 2 -o /dev/null http://127.0.0.1:10248/healthz; do
	if [ "$SECONDS" -ge "$until" ]; then
		journalctl -u kubelet -n 5 --no-pager -o cat >&2 || true
		die "the kubelet is not healthy; see: journalctl -u kubelet, and kubernetes.kubelet in the settings"
	fi
	sleep 0.5
done
printf '%s\n' "$wanted" >"$STATE/init.applied"
echo "initialised $KUBERNETES_VERSION"
