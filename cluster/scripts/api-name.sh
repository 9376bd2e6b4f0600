#!/usr/bin/env bash
# Makes the name of the Kubernetes API mean one address on this machine, now and after every boot. On a worker that is the
# balancer, on a control plane its own API server.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo api-name.sh NAME ADDRESS
Prints nothing.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
[ $# = 2 ] || {
  usage >&2
  exit 2
}
say() { printf 'api-name: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

put() { # MODE FILE < content
  install -D -m "$1" /dev/stdin "$2.new"
  mv "$2.new" "$2"
}
# Written in place and without another line of the name. Where /etc/hosts is a mount point, it cannot be replaced.
put 755 /usr/local/sbin/kubeadm-aws-api-name <<TEXT
#!/bin/sh
set -eu
exec flock /etc/hosts sh -c '
rest=\$(grep -v "[[:space:]]${1//./[.]}\$" /etc/hosts || true)
printf "%s\n" "$2 $1" "\$rest" >/etc/hosts'
TEXT
# Some images write /etc/hosts again at every boot.
put 644 /etc/systemd/system/kubeadm-aws-api-name.service <<-'TEXT'
	[Unit]
	Description=Address of the Kubernetes API on this machine
	After=local-fs.target cloud-init.service
	Before=kubelet.service haproxy.service

	[Service]
	Type=oneshot
	RemainAfterExit=yes
	ExecStart=/usr/local/sbin/kubeadm-aws-api-name

	[Install]
	WantedBy=multi-user.target
TEXT
systemctl daemon-reload
systemctl -q enable kubeadm-aws-api-name.service
systemctl restart kubeadm-aws-api-name.service || die "/etc/hosts cannot be written: is the disk full or read-only?"
