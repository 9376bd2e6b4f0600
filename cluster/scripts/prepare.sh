#!/usr/bin/env bash
# Installs what a machine needs before it joins a cluster: kernel settings, containerd, the Kubernetes packages, and the
# images that kubeadm starts. Does nothing for parts that are already installed. For a node that runs another release it only
# downloads the packages: init.sh and join.sh upgrade nodes one after the other.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env KUBERNETES_VERSION=1.36.3 ... prepare.sh
Environment:
  TIME_LIMIT           seconds after which the script gives up, whatever it waits for
  VOLUME_SIZE          GiB of the root disk; partition and file system are grown to it
  SHUTDOWN_SECONDS     how long the kubelet may delay a shutdown; 0 is not at all
  KUBERNETES_VERSION   release of kubelet, kubeadm and kubectl
  KUBERNETES_APT       root of their package repository, such as https://pkgs.k8s.io
  KUBERNETES_APT_KEY   fingerprint of the key that signs it
  CONTAINERD_VERSION   version or pattern of the package containerd.io, such as 2.2.*
  CONTAINERD_APT       root of its package repository, such as https://download.docker.com/linux
  CONTAINERD_APT_KEY   fingerprint of the key that signs it
  CONTAINERD_CONFIG    content of /etc/containerd/config.toml
  REGISTRY_MIRRORS     lines "<registry> <url>"; may be empty
  ECR_CREDENTIALS      file with the kubelet's credential provider for ECR
  KUBELET_PLUGINS      folder for it and its settings, such as /usr/local/lib/kubelet
  REBOOT               file with the program that asks for reboots
  IMAGES               images to pull ahead, separated by blanks; may be empty
  ETCD_VERSION         release of etcdctl and etcdutl; empty on a worker
  ETCD_RELEASES        where the etcd archives are, such as https://github.com/etcd-io/etcd/releases/download
  ETCD_SHA256          checksum of the archive
Standard input, if there are mirrors: base64 of a compressed tar archive with <registry>/hosts.toml and <registry>/ca.crt, which may
hold passwords.
Prints "prepared <version>".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in TIME_LIMIT VOLUME_SIZE SHUTDOWN_SECONDS KUBERNETES_VERSION KUBERNETES_APT KUBERNETES_APT_KEY CONTAINERD_VERSION CONTAINERD_APT \
  CONTAINERD_APT_KEY CONTAINERD_CONFIG ECR_CREDENTIALS KUBELET_PLUGINS REBOOT NODE; do
  [ -n "${!v:-}" ] || {
    echo "prepare: $v is not set" >&2
    usage >&2
    exit 2
  }
done

STATE=/var/lib/kubeadm-aws
RUN=/run/kubeadm-aws
umask 022
say() { printf 'prepare: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# atmost SECONDS: prints the seconds, or the rest of the script's time if that is less. All its waits share that time.
atmost() {
  local left=$((TIME_LIMIT - SECONDS))
  echo $((left < 1 ? 1 : left < $1 ? left : $1))
}
within() { # SECONDS COMMAND...
  timeout -k 5 "$(atmost "$1")" "${@:2}"
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
mkdir -p "$STATE" || die "$STATE cannot be made: is the disk full or read-only?"
# A run that lost its connection may still be active on this machine.
LOCK=/run/kubeadm-aws-host.lock
exec 9>"$LOCK"
flock -w "$(atmost 600)" 9 || die "another run is still changing this machine; find it with: fuser -v $LOCK"

# put FILE [MODE] < content: replaces the file atomically. Succeeds if the content changed.
put() {
  local mode=${2:-644}
  if ! { mkdir -p "${1%/*}" && (umask 077 && cat >"$1.new") && chmod "$mode" "$1.new"; }; then
    die "$1 cannot be written: is the disk full or read-only?"
  fi
  if cmp -s "$1.new" "$1" && [ "$(stat -c %a "$1")" = "$mode" ]; then
    rm "$1.new"
    return 1
  fi
  mv "$1.new" "$1" || die "$1 cannot be replaced"
}

# The files of the registries' mirrors are first kept in memory.
rm -rf "$RUN"/prepare.?????? "$STATE"/etcd.??????
install -d -m 700 "$RUN"
mirrors=$(mktemp -d "$RUN/prepare.XXXXXX")
trap 'rm -rf "$mirrors"' EXIT
if [ -n "${REGISTRY_MIRRORS:-}" ]; then
  (umask 077 && base64 -d | tar -xz --no-same-owner -C "$mirrors") || die "standard input is not base64 of a compressed tar archive"
fi

# ---- what is installed ------------------------------------------------------

installed() { { dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null || true; } | sed -n 's/^installed //p'; }
there=$(installed kubelet)
upgrade=''
case ${there:-none} in
  none | "$KUBERNETES_VERSION"-*) ;;
  *)
    if [ -e "$STATE/init.done" ] || [ -e "$STATE/join.done" ]; then
      [ "$(printf '%s\n' "${there%-*}" "$KUBERNETES_VERSION" | sort -V | tail -n 1)" = "$KUBERNETES_VERSION" ] ||
        die "this node runs Kubernetes ${there%-*}, and $KUBERNETES_VERSION is asked for: a running cluster does not go back. Set cluster.kubernetesVersion to ${there%-*}; see docs/upgrade.md"
      upgrade=1
    fi
    ;;
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
	# Outgoing connections do not use the ports of NodePort Services.
	net.ipv4.ip_local_reserved_ports = 30000-32767
	# Every kubectl logs -f, Prometheus and Argo CD watch files.
	fs.inotify.max_user_instances = 8192
	fs.inotify.max_user_watches = 524288
	# The kubelet expects these values. It would set them itself later.
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

# ---- packages ---------------------------------------------------------------

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
# shellcheck source=/dev/null
. /etc/os-release
minor=${KUBERNETES_VERSION%.*}
containerd_repo=$CONTAINERD_APT/$ID
kubernetes_repo=$KUBERNETES_APT/core:/stable:/v$minor/deb

apt() {
  within 600 apt-get -q -y -o "DPkg::Lock::Timeout=$(atmost 300)" -o Acquire::Retries=3 -o Acquire::Languages=none \
    -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$STATE/apt.log" 2>&1
}
failed() {
  tail -n 20 "$STATE/apt.log" >&2
  [ "$SECONDS" -lt "$TIME_LIMIT" ] || say "there was no time left: this step has $((TIME_LIMIT / 60)) minutes"
  die "$1; the whole output is in $STATE/apt.log"
}
# update [OPTION...]: retries, because the lists have their own lock, for which DPkg::Lock::Timeout does not wait.
update() {
  local until
  until=$((SECONDS + $(atmost 300)))
  until apt update "$@"; do
    if tail -n 20 "$STATE/apt.log" | grep -q 'is not signed\|NO_PUBKEY'; then
      failed "a package repository is not signed by the key that was meant: $KUBERNETES_APT by $KUBERNETES_APT_KEY (mirrors.kubernetesAptKey), $CONTAINERD_APT by $CONTAINERD_APT_KEY (mirrors.containerdAptKey)"
    fi
    [ "$SECONDS" -lt "$until" ] || failed "apt-get update fails"
    grep -q 'Could not get lock' <(tail -n 5 "$STATE/apt.log") || failed "apt-get update fails"
    sleep 1
  done
}
fetch_key() { # URL FILE: apt reads keys in ASCII armour
  fetch "$1" "$2.new" || die "the package key $1 cannot be fetched (mirrors.kubernetesApt, mirrors.containerdApt)"
  mv "$2.new" "$2"
}

# ---- etcd tools, in addition to the packages --------------------------------

fetch() { # URL FILE
  if ! within 300 curl -fsSL --retry 5 --retry-connrefused --connect-timeout 10 --max-time 300 -o "$2" "$1" 2>"$2.error"; then
    say "$1: $(grep . "$2.error" | tail -n 1 || echo "no answer in time")"
    return 1
  fi
  rm "$2.error"
}

etcd_tools() {
  local name="etcd-v$ETCD_VERSION-linux-amd64" url="$ETCD_RELEASES/v$ETCD_VERSION" dir sum
  if [ "$(cat "$STATE/etcd-tools" 2>/dev/null)" = "$ETCD_VERSION $ETCD_SHA256" ] && command -v etcdutl >/dev/null; then
    return
  fi
  say "fetching the etcd $ETCD_VERSION tools"
  dir=$(mktemp -d "$STATE/etcd.XXXXXX") || die "$STATE cannot be written: is the disk full or read-only?"
  cd "$dir"
  fetch "$url/$name.tar.gz" "$name.tar.gz" || die "the etcd tools cannot be fetched (mirrors.etcd)"
  sum=$(sha256sum <"$name.tar.gz" | cut -d' ' -f1)
  [ "$sum" = "$ETCD_SHA256" ] ||
    die "$url/$name.tar.gz is not the expected archive: its SHA-256 is $sum, not $ETCD_SHA256. If the mirror has an archive of its own, set mirrors.etcdSha256"
  if ! { tar --no-same-owner -xzf "$name.tar.gz" "$name/etcd" "$name/etcdctl" "$name/etcdutl" &&
    install -d /usr/local/lib/etcd &&
    install -m 755 "$name/etcd" /usr/local/lib/etcd/etcd &&
    install -m 755 "$name/etcdctl" "$name/etcdutl" /usr/local/bin/; }; then
    die "the etcd tools cannot be unpacked: is the disk full or read-only?"
  fi
  cd /
  rm -rf "$dir"
  echo "$ETCD_VERSION $ETCD_SHA256" >"$STATE/etcd-tools"
}

# ---- disk -------------------------------------------------------------------

gib() { echo $(($(cat "$1/size") / 2097152)); } # of a block device; the kernel counts sectors of 512 bytes

# grow_disk grows the partition and the file system to the size of the disk. cloud-init does so only at boot.
grow_disk() {
  local partition disk until message start room
  partition=$(readlink -f "/sys/dev/block/$(findmnt -n -r -o MAJ:MIN /)" || true) disk=${partition%/*}
  [ -r "$partition/partition" ] || return 0 # the root of a container
  until=$((SECONDS + $(atmost 60)))
  until [ "$(gib "$disk")" -ge "$VOLUME_SIZE" ]; do
    [ "$SECONDS" -lt "$until" ] || die "the root disk is smaller than the $VOLUME_SIZE GiB of nodes[].volumeSize: look at the state of the volume in AWS"
    sleep 1
  done
  start=$(cat "$partition/start")
  if [ $(($(gib "$disk") - start / 2097152 - $(gib "$partition"))) -gt 1 ]; then
    say "growing the root partition to the disk's $(gib "$disk") GiB"
    if ! command -v growpart >/dev/null; then
      update
      apt install --no-install-recommends cloud-guest-utils || failed "growpart (cloud-guest-utils) cannot be installed"
    fi
    # The root disk may be full, and growpart writes a copy of the partition table.
    message=$(TMPDIR=/run within 120 growpart "/dev/${disk##*/}" "$(cat "$partition/partition")" 2>&1) || [[ $message = NOCHANGE* ]] ||
      die "growpart fails: ${message//$'\n'/; }"
  fi
  case $(findmnt -n -r -o FSTYPE /) in
    ext4) message=$(within 300 resize2fs "/dev/${partition##*/}" 2>&1) || die "resize2fs fails: ${message//$'\n'/; }" ;;
    xfs) message=$(within 300 xfs_growfs / 2>&1) || die "xfs_growfs fails: ${message//$'\n'/; }" ;;
  esac
  # A file system is smaller than its disk: inodes and the journal need space.
  room=$(df --block-size=1G --output=size / | tail -n 1 | tr -d ' ')
  [ $((room * 10)) -ge $((VOLUME_SIZE * 9)) ] ||
    die "the root file system has $room GiB of a disk with $VOLUME_SIZE: growing it had no effect"
}

# ---- shutdown ---------------------------------------------------------------

delayed() { # succeeds if logind lets the kubelet delay a shutdown for long enough
  local us
  us=$(busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager InhibitDelayMaxUSec 2>/dev/null) &&
    [ "${us#t }" -ge $((SHUTDOWN_SECONDS * 1000000)) ]
}
inhibited() { systemd-inhibit --list --no-legend 2>/dev/null | grep -q '^kubelet '; }

# During a shutdown, the kubelet ends the pods of its node within the time that logind allows. unattended-upgrades sets
# 30 s in a file that is read after the kubelet's own. A file of the same name in /etc replaces it.
delay_shutdown() {
  local file=/etc/systemd/logind.conf.d/unattended-upgrades-logind-maxdelay.conf until
  put $file <<-TEXT || true
		[Login]
		InhibitDelayMaxSec=$SHUTDOWN_SECONDS
	TEXT
  until=$((SECONDS + $(atmost 20)))
  delayed || systemctl kill -s HUP systemd-logind.service || true
  until delayed; do
    [ "$SECONDS" -lt "$until" ] || die "logind does not let the kubelet delay a shutdown by $SHUTDOWN_SECONDS s, which $file asks for; see: systemd-analyze cat-config systemd/logind.conf"
    sleep 0.2
  done
  # A kubelet requests the delay only when it starts.
  if systemctl -q is-active kubelet && ! inhibited; then
    say "restarting the kubelet, so that it ends pods before a shutdown"
    systemctl restart kubelet
    until=$((SECONDS + $(atmost 30)))
    until inhibited; do
      [ "$SECONDS" -lt "$until" ] || {
        say "the kubelet does not delay shutdowns; see: journalctl -u kubelet | grep -i shutdown"
        break
      }
      sleep 0.5
    done
  fi
}

# ---- Kubernetes and containerd ----------------------------------------------

packages() {
  local own=/etc/apt/sources.list.d/kubeadm-aws.list arch
  if [ -n "$(dpkg --audit)" ]; then
    say "finishing an interrupted installation"
    within 600 dpkg --configure -a --force-confold </dev/null >>"$STATE/apt.log" 2>&1 || failed "dpkg --configure -a fails"
  fi
  if ! command -v curl >/dev/null; then
    update
    apt install --no-install-recommends curl ca-certificates || failed "curl cannot be installed"
  fi
  arch=$(dpkg --print-architecture)
  mkdir -p /etc/apt/keyrings
  fetch_key "$kubernetes_repo/Release.key" /etc/apt/keyrings/kubernetes.asc &
  fetch_key "$containerd_repo/gpg" /etc/apt/keyrings/docker.asc
  wait $!
  # The keys come from the same servers as the packages. apt accepts only signatures of the key with the fingerprint.
  put $own <<-TEXT || true
		deb [arch=$arch signed-by=/etc/apt/keyrings/kubernetes.asc,$KUBERNETES_APT_KEY] $kubernetes_repo/ /
		deb [arch=$arch signed-by=/etc/apt/keyrings/docker.asc,$CONTAINERD_APT_KEY] $containerd_repo $VERSION_CODENAME stable
	TEXT
  local kubernetes=() wanted=()
  for p in kubelet kubeadm kubectl; do kubernetes+=("$p=$KUBERNETES_VERSION-*"); done
  if [ -z "$upgrade" ]; then
    wanted=("containerd.io=$CONTAINERD_VERSION" "${kubernetes[@]}")
    say "installing containerd $CONTAINERD_VERSION and Kubernetes $KUBERNETES_VERSION"
  else
    containerd_right || wanted=("containerd.io=$CONTAINERD_VERSION")
    say "downloading Kubernetes $KUBERNETES_VERSION; a later step upgrades this node"
  fi
  # Only the lists of these two repositories, if all other dependencies of the packages are installed.
  update -o Dir::Etc::sourcelist=$own -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any
  [ ${#wanted[@]} = 0 ] || get "${wanted[@]}"
  [ -z "$upgrade" ] || get --download-only "${kubernetes[@]}"
}
get() { # PACKAGE...
  local install=(install --no-install-recommends --allow-change-held-packages --allow-downgrades
    -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io "$@")
  if ! apt "${install[@]}"; then
    say "once more, with all package lists"
    update
    apt "${install[@]}" || failed "the packages cannot be installed"
  fi
}

: >"$STATE/apt.log" || die "$STATE cannot be written: is the disk full or read-only?"
grow_disk
[ "$SHUTDOWN_SECONDS" = 0 ] || delay_shutdown

# shellcheck disable=SC2053 # the version is a pattern
containerd_right() { [[ $(installed containerd.io) = $CONTAINERD_VERSION* ]]; }
# The last configuration with which containerd offered the CRI. All nodes of a cluster get a new one at the same time.
CONFIG=/etc/containerd/config.toml
GOOD=$STATE/containerd.toml
if [ -s $CONFIG ] && [ "$(cat "$STATE/containerd-config" 2>/dev/null)" = "$(sha256sum $CONFIG)" ]; then
  put "$GOOD" 600 <$CONFIG || true
fi
if containerd_right; then
  printf '%s\n' "$CONTAINERD_CONFIG" >"$mirrors/config.toml" || die "$RUN cannot be written"
  if ! said=$(within 30 containerd --config "$mirrors/config.toml" config dump 2>&1 >/dev/null); then
    die "containerd does not accept its configuration (kubernetes.containerd), and keeps the one before: $(tail -n 1 <<<"$said")"
  fi
fi
# Written before the package is installed, so that containerd starts with it.
put $CONFIG <<<"$CONTAINERD_CONFIG" || true

put "$KUBELET_PLUGINS/ecr-credentials" <"$ECR_CREDENTIALS" || true
chmod 755 "$KUBELET_PLUGINS/ecr-credentials"
put "$KUBELET_PLUGINS/credentials.yaml" <<-'TEXT' || true
	apiVersion: kubelet.config.k8s.io/v1
	kind: CredentialProviderConfig
	providers:
	- name: ecr-credentials
	  apiVersion: credentialprovider.kubelet.k8s.io/v1
	  matchImages: ["*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn", "*.dkr.ecr.*.amazonaws.eu"]
	  defaultCacheDuration: 6h0m0s
TEXT

# Registries that are no longer mirrored lose their file.
mirrored=$(while read -r registry _; do echo "$registry"; done <<<"${REGISTRY_MIRRORS:-}")
while read -r registry; do
  [ -n "$registry" ] || continue
  certs=/etc/containerd/certs.d/$registry
  [ -s "$mirrors/$registry/hosts.toml" ] || die "standard input lacks $registry/hosts.toml"
  if [ -s "$mirrors/$registry/ca.crt" ]; then
    put "$certs/ca.crt" <"$mirrors/$registry/ca.crt" || true
  fi
  put "$certs/hosts.toml" 600 <"$mirrors/$registry/hosts.toml" || true
done <<<"$mirrored"
touch "$STATE/registry-mirrors"
while read -r registry; do
  [ -z "$registry" ] || grep -qxF "$registry" <<<"$mirrored" || rm -rf "/etc/containerd/certs.d/${registry:?}"
done <"$STATE/registry-mirrors"
printf '%s\n' "$mirrored" >"$STATE/registry-mirrors"

right() { # succeeds if the packages are installed in the right version
  local p
  for p in kubelet kubeadm kubectl; do [[ $(installed $p) = "$KUBERNETES_VERSION"-* ]] || return 1; done
  containerd_right
}
tools=''
if [ -n "${ETCD_VERSION:-}" ] && command -v curl >/dev/null; then
  etcd_tools &
  tools=$!
fi
right || packages
# Also after a run that was interrupted before it. An upgrade of the system must not move them.
apt-mark hold containerd.io kubelet kubeadm kubectl >/dev/null
if [ -n "$tools" ]; then
  wait "$tools" || exit 1 # it has printed the reason
elif [ -n "${ETCD_VERSION:-}" ]; then
  etcd_tools
fi

# ---- services ---------------------------------------------------------------

systemctl -q enable kubelet
systemctl -q enable --now containerd
offers_cri() {
  local until=$((SECONDS + $(atmost 60)))
  until within 10 ctr --connect-timeout 2s plugins list 2>/dev/null | grep -qE 'io.containerd.grpc.v1 +cri +.* ok'; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.5
  done
}
# starts_with_its_configuration succeeds if containerd offers the CRI with its file.
starts_with_its_configuration() {
  systemctl restart containerd && offers_cri || return 1
  put "$GOOD" 600 <$CONFIG || true
  sha256sum $CONFIG | put "$STATE/containerd-config" || true
}
if [ "$(cat "$STATE/containerd-config" 2>/dev/null)" = "$(sha256sum $CONFIG)" ]; then
  offers_cri || die "containerd does not offer the CRI; see: journalctl -u containerd"
else
  say "starting containerd with its configuration"
  if ! starts_with_its_configuration; then
    [ -s "$GOOD" ] || die "containerd does not offer the CRI; see: journalctl -u containerd"
    put $CONFIG <"$GOOD" || true
    starts_with_its_configuration ||
      die "containerd offers the CRI neither with its new configuration nor with the one before; see: journalctl -u containerd"
    die "containerd does not offer the CRI with its new configuration (kubernetes.containerd), and runs with the one before again; see: journalctl -u containerd"
  fi
fi

# ---- reboots ----------------------------------------------------------------

# Nothing else reboots a node. unattended-upgrades installs the security updates of the operating system.
command -v unattended-upgrade >/dev/null ||
  say "unattended-upgrades is not installed, so this machine gets no security updates by itself"
changed=''
put /usr/local/sbin/kubeadm-aws-reboot 755 <"$REBOOT" || true
put /etc/systemd/system/kubeadm-aws-reboot.service <<-TEXT && changed=1
	[Unit]
	Description=Request of a reboot that an update needs
	After=network-online.target kubelet.service

	[Service]
	Type=oneshot
	Environment=NODE=$NODE HOME=/root
	ExecStart=/usr/local/sbin/kubeadm-aws-reboot
	TimeoutStartSec=2min
TEXT
put /etc/systemd/system/kubeadm-aws-reboot.timer <<-'TEXT' && changed=1
	[Unit]
	Description=Requests of reboots that updates need

	[Timer]
	OnCalendar=minutely

	[Install]
	WantedBy=timers.target
TEXT
[ -z "$changed" ] || systemctl daemon-reload
systemctl -q enable --now kubeadm-aws-reboot.timer

# ---- images -----------------------------------------------------------------

pull() {
  local image=$1 try
  [ -z "$(ctr -n k8s.io images list -q "name==$image" 2>/dev/null)" ] || return 0
  for try in 1 2 3; do
    within 300 ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$image" >"$STATE/pull.${image##*/}.log" 2>&1 </dev/null && return
    sleep "$try"
  done
  tail -n 3 "$STATE/pull.${image##*/}.log" >&2
  # kubeadm and the kubelet pull missing images themselves, with better messages.
  say "$image could not be pulled ahead"
}
if [ -n "${IMAGES:-}" ]; then
  say "pulling images"
  for image in $IMAGES; do pull "$image" & done
  wait
fi

# An upgrade does not begin while one of several control planes has no room for it.
if [ -n "$upgrade" ] && [ -d /var/lib/etcd/member ]; then
  needs=$(($(du -sk /var/lib/etcd | cut -f1) + 1048576)) free=$(df --output=avail -k "$STATE" | tail -n 1 | tr -d ' ')
  [ "$free" -ge "$needs" ] ||
    die "the disk of this control plane has $((free / 1024)) MiB left, and the upgrade to Kubernetes $KUBERNETES_VERSION needs $((needs / 1024)): make its nodes[].volumeSize larger. No node has been upgraded"
fi

systemctl start apt-daily.timer apt-daily-upgrade.timer >/dev/null 2>&1 || true
echo "prepared $KUBERNETES_VERSION"
