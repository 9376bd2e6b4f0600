#!/usr/bin/env bash
# Installs on a fresh machine what a node needs before it knows its cluster: kernel settings, containerd, the Kubernetes
# packages, and the images that kubeadm starts. Does nothing where that is already so.
set -euo pipefail

usage() {
	cat <<'TEXT'
usage: sudo env KUBERNETES_VERSION=1.36.3 ... prepare.sh
Environment:
  KUBERNETES_VERSION   release of kubelet, kubeadm and kubectl
  KUBERNETES_APT       root of their package repository, such as https://pkgs.k8s.io
  CONTAINERD_VERSION   version or pattern of the package containerd.io, such as 2.2.*
  CONTAINERD_APT       root of its package repository, such as https://download.docker.com/linux
  CONTAINERD_CONFIG    content of /etc/containerd/config.toml
  REGISTRY_MIRRORS     lines "<registry> <url>"; may be empty
  ECR_CREDENTIALS      the kubelet's credential provider for ECR, as text
  KUBELET_PLUGINS      folder for it and its settings, such as /usr/local/lib/kubelet
  IMAGES               images to pull ahead, separated by blanks; may be empty
  ETCD_VERSION         release of etcdctl and etcdutl; empty on a worker
  ETCD_RELEASES        where the etcd archives are, such as https://github.com/etcd-io/etcd/releases/download
Prints "prepared <version>".
TEXT
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac
for v in KUBERNETES_VERSION KUBERNETES_APT CONTAINERD_VERSION CONTAINERD_APT CONTAINERD_CONFIG ECR_CREDENTIALS KUBELET_PLUGINS; do
	[ -n "${!v:-}" ] || { echo "prepare: $v is not set" >&2; usage >&2; exit 2; }
done

STATE=/var/lib/kubeadm-aws
say() { printf 'prepare: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
mkdir -p "$STATE"
# A run whose connection was cut may still be at work on this machine.
exec 9>/run/kubeadm-aws-host.lock
flock -w 600 9 || die "another run has been changing this machine for 10 minutes; see: fuser -v /run/kubeadm-aws-host.lock"

# put FILE < content: replaces the file in one step; succeeds if that changed anything.
put() {
	mkdir -p "${1%/*}"
	cat >"$1.new"
	if cmp -s "$1.new" "$1"; then
		rm "$1.new"
		return 1
	fi
	mv "$1.new" "$1"
}

# ---- what is there ----------------------------------------------------------

installed() { { dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null || true; } | sed -n 's/^installed //p'; }
there=$(installed kubelet)
case ${there:-none} in
none | "$KUBERNETES_VERSION"-*) ;;
*) die "this node runs Kubernetes ${there%-*}, and $KUBERNETES_VERSION is asked for. Upgrades in place are not supported yet: set cluster.kubernetesVersion back to ${there%-*}, or replace the cluster" ;;
esac

# ---- kernel -----------------------------------------------------------------

if [ "$(wc -l </proc/swaps)" -gt 1 ]; then
	say "switching swap off"
	swapoff -a
fi
if grep -qE '^[^#]+[[:space:]]swap[[:space:]]' /etc/fstab 2>/dev/null; then
	sed -i -E 's/^([^#]+[[:space:]]swap[[:space:]].*)$/# \1/' /etc/fstab
fi

put /etc/modules-load.d/kubernetes.conf <<-'TEXT' || true
	overlay
	br_netfilter
TEXT
modprobe -a overlay br_netfilter

put /etc/sysctl.d/99-kubernetes.conf <<-'TEXT' || true
	net.ipv4.ip_forward = 1
	net.bridge.bridge-nf-call-iptables = 1
	net.bridge.bridge-nf-call-ip6tables = 1
	# Outgoing connections keep off the ports of NodePort Services.
	net.ipv4.ip_local_reserved_ports = 30000-32767
	# Every kubectl logs -f, Prometheus and Argo CD watch files.
	fs.inotify.max_user_instances = 8192
	fs.inotify.max_user_watches = 524288
	# What the kubelet expects; it sets them itself, later.
	vm.overcommit_memory = 1
	kernel.panic = 10
	kernel.panic_on_oops = 1
	vm.max_map_count = 1048576
	# Addresses in a VPC are reused soon.
	net.ipv4.neigh.default.gc_thresh1 = 0
TEXT
sysctl -q -e -p /etc/sysctl.d/99-kubernetes.conf >&2 || true
for key in net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables; do
	[ "$(sysctl -n "$key")" = 1 ] || die "sysctl $key cannot be set to 1 on this machine"
done

# ---- etcd tools, beside the packages ----------------------------------------

etcd_tools() {
	local name="etcd-v$ETCD_VERSION-linux-amd64" url="$ETCD_RELEASES/v$ETCD_VERSION" dir
	if [ "$(cat "$STATE/etcd-tools" 2>/dev/null)" = "$ETCD_VERSION" ] && command -v etcdutl >/dev/null; then
		return
	fi
	say "fetching the etcd $ETCD_VERSION tools"
	dir=$(mktemp -d "$STATE/etcd.XXXXXX")
	cd "$dir"
	curl -fsSL --retry 5 --retry-connrefused --connect-timeout 10 --max-time 300 -o "$name.tar.gz" "$url/$name.tar.gz"
	curl -fsSL --retry 5 --retry-connrefused --connect-timeout 10 --max-time 60 -o SHA256SUMS "$url/SHA256SUMS"
	grep " \*\?$name.tar.gz\$" SHA256SUMS | sha256sum --check --status ||
		die "$url/$name.tar.gz does not match its SHA256SUMS"
	tar --no-same-owner -xzf "$name.tar.gz" "$name/etcd" "$name/etcdctl" "$name/etcdutl"
	install -d /usr/local/lib/etcd
	install -m 755 "$name/etcd" /usr/local/lib/etcd/etcd
	install -m 755 "$name/etcdctl" "$name/etcdutl" /usr/local/bin/
	cd /
	rm -rf "$dir"
	echo "$ETCD_VERSION" >"$STATE/etcd-tools"
}

# ---- packages ---------------------------------------------------------------

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
# shellcheck source=/dev/null
. /etc/os-release
minor=${KUBERNETES_VERSION%.*}
containerd_repo=$CONTAINERD_APT/$ID
kubernetes_repo=$KUBERNETES_APT/core:/stable:/v$minor/deb

apt() {
	timeout 600 apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::Languages=none \
		-o Dpkg::Use-Pty=0 "$@" </dev/null >>"$STATE/apt.log" 2>&1
}
failed() {
	tail -n 20 "$STATE/apt.log" >&2
	die "$1"
}
# update [OPTION...]: the lists have a lock of their own that DPkg::Lock::Timeout does not wait for.
update() {
	local until=$((SECONDS + 300))
	until apt update "$@"; do
		[ "$SECONDS" -lt "$until" ] || failed "apt-get update fails; the whole output is in $STATE/apt.log"
		grep -q 'Could not get lock' <(tail -n 5 "$STATE/apt.log") || failed "apt-get update fails; the whole output is in $STATE/apt.log"
		sleep 1
	done
}
fetch_key() { # URL FILE: apt reads keys in ASCII armour by themselves
	curl -fsSL --retry 5 --retry-connrefused --connect-timeout 10 --max-time 60 -o "$2.new" "$1" || die "cannot fetch the package key $1"
	mv "$2.new" "$2"
}

packages() {
	local own=/etc/apt/sources.list.d/kubeadm-aws.list
	: >"$STATE/apt.log"
	if [ -n "$(dpkg --audit)" ]; then
		say "finishing an interrupted installation"
		dpkg --configure -a --force-confold </dev/null >>"$STATE/apt.log" 2>&1 || failed "dpkg --configure -a fails"
	fi
	if ! command -v curl >/dev/null; then
		update
		apt install --no-install-recommends curl ca-certificates || failed "curl cannot be installed"
	fi
	mkdir -p /etc/apt/keyrings
	fetch_key "$kubernetes_repo/Release.key" /etc/apt/keyrings/kubernetes.asc &
	fetch_key "$containerd_repo/gpg" /etc/apt/keyrings/docker.asc
	wait $!
	put $own <<-TEXT || true
		deb [arch=amd64 signed-by=/etc/apt/keyrings/kubernetes.asc] $kubernetes_repo/ /
		deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] $containerd_repo $VERSION_CODENAME stable
	TEXT
	local wanted=("containerd.io=$CONTAINERD_VERSION")
	for p in kubelet kubeadm kubectl; do wanted+=("$p=$KUBERNETES_VERSION-*"); done
	say "installing containerd $CONTAINERD_VERSION and Kubernetes $KUBERNETES_VERSION"
	# Only the lists of these two repositories, if the packages need nothing else that is not there.
	update -o Dir::Etc::sourcelist=$own -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
	local install=(install --no-install-recommends --allow-change-held-packages --allow-downgrades
		-o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io "${wanted[@]}")
	if ! apt "${install[@]}"; then
		say "once more, with all package lists"
		update
		apt "${install[@]}" || failed "the packages cannot be installed; the whole output is in $STATE/apt.log"
	fi
	apt-mark hold containerd.io kubelet kubeadm kubectl >/dev/null
}

# Before the package, so that containerd starts with it.
put /etc/containerd/config.toml <<<"$CONTAINERD_CONFIG" || true

put "$KUBELET_PLUGINS/ecr-credentials" <<<"$ECR_CREDENTIALS" || true
chmod 755 "$KUBELET_PLUGINS/ecr-credentials"
put "$KUBELET_PLUGINS/credentials.yaml" <<-'TEXT' || true
	apiVersion: kubelet.config.k8s.io/v1
	kind: CredentialProviderConfig
	providers:
	- name: ecr-credentials
	  apiVersion: credentialprovider.kubelet.k8s.io/v1
	  matchImages: ["*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn"]
	  defaultCacheDuration: 6h0m0s
TEXT

# Registries that are no longer mirrored lose their file.
mirrored=$(while read -r registry url; do
	[ -n "$registry" ] || continue
	put "/etc/containerd/certs.d/$registry/hosts.toml" <<-TEXT || true
		server = "https://$registry"

		[host."$url"]
		  capabilities = ["pull", "resolve"]
	TEXT
	echo "$registry"
done <<<"${REGISTRY_MIRRORS:-}")
touch "$STATE/registry-mirrors"
while read -r registry; do
	[ -z "$registry" ] || grep -qxF "$registry" <<<"$mirrored" || rm -rf "/etc/containerd/certs.d/${registry:?}"
done <"$STATE/registry-mirrors"
printf '%s\n' "$mirrored" >"$STATE/registry-mirrors"

right() { # are the packages there, as they should be?
	local p
	# shellcheck disable=SC2053 # the version is a pattern
	for p in kubelet kubeadm kubectl; do [[ $(installed $p) = "$KUBERNETES_VERSION"-* ]] || return 1; done
	# shellcheck disable=SC2053
	[[ $(installed containerd.io) = $CONTAINERD_VERSION* ]]
}
tools=''
if [ -n "${ETCD_VERSION:-}" ] && command -v curl >/dev/null; then
	etcd_tools &
	tools=$!
fi
right || packages
if [ -n "$tools" ]; then
	wait "$tools" || die "the etcd tools cannot be installed from $ETCD_RELEASES (mirrors.etcd)"
elif [ -n "${ETCD_VERSION:-}" ]; then
	etcd_tools
fi

# ---- services ---------------------------------------------------------------

systemctl -q enable kubelet
systemctl -q enable --now containerd
config=$(sha256sum /etc/containerd/config.toml)
if [ "$(cat "$STATE/containerd-config" 2>/dev/null)" != "$config" ]; then
	say "starting containerd with its configuration"
	systemctl restart containerd
	echo "$config" >"$STATE/containerd-config"
fi
until=$((SECONDS + 60))
until ctr --connect-timeout 2s plugins list 2>/dev/null | grep -qE 'io.containerd.grpc.v1 +cri +.* ok'; do
	[ "$SECONDS" -lt "$until" ] || die "containerd does not offer the CRI; see: journalctl -u containerd"
	sleep 0.5
done

# ---- images -----------------------------------------------------------------

pull() {
	local image=$1 try
	[ -z "$(ctr -n k8s.io images list -q "name==$image" 2>/dev/null)" ] || return 0
	for try in 1 2 3; do
		timeout 300 ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$image" >"$STATE/pull.${image##*/}.log" 2>&1 </dev/null && return
		sleep "$try"
	done
	tail -n 3 "$STATE/pull.${image##*/}.log" >&2
	# kubeadm and the kubelet pull for themselves and report better.
	say "$image could not be pulled ahead"
}
if [ -n "${IMAGES:-}" ]; then
	say "pulling images"
	for image in $IMAGES; do pull "$image" & done
	wait
fi

systemctl start apt-daily.timer apt-daily-upgrade.timer >/dev/null 2>&1 || true
echo "prepared $KUBERNETES_VERSION"
