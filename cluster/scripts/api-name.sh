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
# Nothing is written if the name has this line and no other. Where /etc/hosts is a mount point, it cannot be replaced, so
# it is written in place: from a complete copy, which an interrupted run leaves for the next one.
put 755 /usr/local/sbin/kubeadm-aws-api-name <<TEXT
#!/bin/sh
set -eu
exec flock /etc/hosts sh -euc '
copy=/etc/hosts.kubeadm-aws
if [ -e \$copy ]; then cat \$copy >/etc/hosts; fi
if [ "\$(grep "[[:space:]]${1//./[.]}\$" /etc/hosts)" != "$2 $1" ]; then
  { echo "$2 $1"; grep -v "[[:space:]]${1//./[.]}\$" /etc/hosts || [ \$? = 1 ]; } >\$copy.new
  mv \$copy.new \$copy
  cat \$copy >/etc/hosts
fi
rm -f \$copy'
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
