#!/usr/bin/env bash
# Removes from a prepared machine what belongs to this machine alone, what is secret, and what only takes space. Its disk
# then becomes an image. Afterwards no key can log in to the machine.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo image-clean.sh
Removes host keys, login keys, the machine id, the settings of registries, what cloud-init, the kubelet and the scripts keep, logs,
and the lists of packages. Refuses on a node of a cluster. Prints "cleaned <version of containerd>".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac

STATE=/var/lib/kubeadm-aws
say() { printf 'image-clean: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
for file in "$STATE/init.done" "$STATE/join.done" /etc/kubernetes/kubelet.conf; do
  [ ! -e "$file" ] || die "this machine is a node of a cluster: $file exists. An image is made of a machine that never was a node"
done
containerd=$(dpkg-query -W -f '${Version}' containerd.io 2>/dev/null) || die "this machine is not prepared: containerd.io is not installed"

# prepare.sh enables both again on a new machine, the timer with the name of its node. Without its configuration, the kubelet would
# start again and again until the machine joins.
systemctl -q disable --now kubelet kubeadm-aws-reboot.timer || die "the kubelet and the timer of reboots cannot be stopped"
systemctl stop containerd || die "containerd cannot be stopped; see: systemctl status containerd"

say "removing what belongs to this machine"
if command -v cloud-init >/dev/null; then
  cloud-init clean --logs --seed >&2 || die "cloud-init clean fails"
fi
apt-get clean || die "apt-get clean fails"
remove=(/etc/ssh/ssh_host_* /etc/systemd/system/kubeadm-aws-reboot.*
  # They may hold passwords.
  /etc/containerd/certs.d
  /var/lib/kubelet/* /var/lib/dhcp/* /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/apt/lists/*
  /var/log/journal/* /var/log/apt/* /var/log/unattended-upgrades/*)
while IFS=: read -r _ _ _ _ _ home _; do
  remove+=("$home/.ssh/authorized_keys" "$home/.bash_history")
done < <(getent passwd)
# etcd's tools stay, with the file by which prepare.sh knows their version.
for file in "$STATE"/*; do
  [ "$file" = "$STATE/etcd-tools" ] || remove+=("$file")
done
rm -rf -- "${remove[@]}" || die "what belongs to this machine cannot be removed: is the disk read-only?"
# systemd makes another id at the next boot.
: >/etc/machine-id
sync
echo "cleaned $containerd"
