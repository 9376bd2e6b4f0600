#!/usr/bin/env bash
# Stops the balancer of a worker whose cluster keeps one control plane. The API's name then means what DNS says.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NODE=worker-1 ENDPOINT=api.dev.internal:6443 API_NAME=... balancer-stop.sh
Environment:
  NODE      name of this node
  ENDPOINT  host:port of the API
  API_NAME  path of api-name.sh
Prints "balances nothing".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in NODE ENDPOINT API_NAME; do
  [ -n "${!v:-}" ] || {
    echo "balancer-stop: $v is not set" >&2
    usage >&2
    exit 2
  }
done

die() {
  printf 'balancer-stop: %s\n' "$*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
exec 9>/run/kubeadm-aws-host.lock
flock -w 600 9 || die "another run has been changing this machine for 10 minutes; see: fuser -v /run/kubeadm-aws-host.lock"

bash "$API_NAME" "${ENDPOINT%:*}" dns
# After the name, because the kubelet reaches the API through it.
systemctl -q disable --now haproxy || die "haproxy does not stop; see: journalctl -u haproxy"
echo "balances nothing"
