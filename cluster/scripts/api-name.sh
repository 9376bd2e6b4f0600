#!/usr/bin/env bash
# Makes the name of the Kubernetes API mean one address on this machine, now and after every boot. On a worker that is the
# balancer, on a control plane its own API server. kube-proxy has a copy of /etc/hosts from when it started, so it is started
# again when its copy differs.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODE=worker-1 api-name.sh NAME ADDRESS
       sudo env NODE=worker-1 api-name.sh NAME dns
         ends the line of a balancer, so that the name means again what DNS says
Environment:
  NODE        name of this node
  API_SERVER  URL of the API server to ask, if not that of the machine's kubeconfig
Prints nothing.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
if [ $# != 2 ] || [ -z "${NODE:-}" ]; then
  usage >&2
  exit 2
fi
name="[[:space:]]${1//./[.]}\$"
if [ "$2" = dns ]; then line='' old="^127[.]0[.]0[.]1$name"; else line="$2 $1" old=$name; fi
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
if [ "\$(grep "$old" /etc/hosts)" != "$line" ]; then
  { ${line:+echo "$line"; }grep -v "$old" /etc/hosts || [ \$? = 1 ]; } >\$copy.new
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
if [ -z "$line" ]; then systemctl -q disable kubeadm-aws-api-name.service; fi

# stale succeeds if a kube-proxy of this machine has a copy with another line.
stale() {
  local pod
  for pod in /var/lib/kubelet/pods/*; do
    if [ -e "$pod/volumes/kubernetes.io~configmap/kube-proxy" ] && [ -e "$pod/etc-hosts" ] &&
      [ "$(grep "$name" "$pod/etc-hosts")" != "$(grep "$name" /etc/hosts)" ]; then return; fi
  done
  return 1
}
stale || exit 0
KUBECONFIG=/etc/kubernetes/kubelet.conf
[ ! -e /etc/kubernetes/admin.conf ] || KUBECONFIG=/etc/kubernetes/admin.conf
export KUBECONFIG
until=$((SECONDS + 60))
until said=$(kubectl --request-timeout=20s ${API_SERVER:+--server "$API_SERVER"} -n kube-system delete pod -l k8s-app=kube-proxy \
  --field-selector "spec.nodeName=$NODE" --ignore-not-found --wait=false </dev/null 2>&1); do
  [ "$SECONDS" -lt "$until" ] || die "kube-proxy of $NODE cannot be started again: $(tail -n 1 <<<"$said"). Run pulumi up again"
  sleep 1
done
