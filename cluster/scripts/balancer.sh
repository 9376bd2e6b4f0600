#!/usr/bin/env bash
# Installs the balancer of a worker: haproxy, which listens on the loopback address and leads to the control planes whose API
# is ready. The API's name then means this balancer. A changed list of control planes is loaded without a restart.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env ENDPOINT=api.dev.internal:6443 ... balancer.sh
Environment:
  TIME_LIMIT        seconds after which the script gives up, whatever it waits for
  ENDPOINT          host:port of the API
  BALANCER_CONFIG   content of haproxy's configuration
  BALANCER_CA       authority of the API servers
  API_NAME ...      the path of api-name.sh, and its settings
Prints "balances <host>".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in TIME_LIMIT ENDPOINT BALANCER_CONFIG BALANCER_CA API_NAME; do
  [ -n "${!v:-}" ] || {
    echo "balancer: $v is not set" >&2
    usage >&2
    exit 2
  }
done

STATE=/var/lib/kubeadm-aws
say() { printf 'balancer: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# atmost SECONDS: prints the seconds, or the rest of the script's time if that is less.
atmost() {
  local left=$((TIME_LIMIT - SECONDS))
  echo $((left < 1 ? 1 : left < $1 ? left : $1))
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
mkdir -p "$STATE"
exec 9>/run/kubeadm-aws-host.lock
flock -w "$(atmost 600)" 9 || die "another run is still changing this machine; find it with: fuser -v /run/kubeadm-aws-host.lock"

put() { # FILE < content
  install -D -m 644 /dev/stdin "$1.new"
  mv "$1.new" "$1"
}

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt() {
  timeout -k 5 "$(atmost 300)" apt-get -q -y -o DPkg::Lock::Timeout=100 -o Acquire::Retries=3 -o Acquire::Languages=none \
    -o Acquire::http::Timeout=30 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@" </dev/null >>"$STATE/balancer.log" 2>&1
}
failed() {
  tail -n 10 "$STATE/balancer.log" >&2
  die "$1; the whole output is in $STATE/balancer.log"
}
: >"$STATE/balancer.log"
# A run that was killed may have left the program without its user and its service.
if [ "$(dpkg-query -W -f '${db:Status-Status}' haproxy 2>/dev/null)" != installed ]; then
  say "installing haproxy"
  if [ -n "$(dpkg --audit)" ]; then
    timeout -k 5 "$(atmost 300)" dpkg --configure -a --force-confold </dev/null >>"$STATE/balancer.log" 2>&1 || failed "dpkg --configure -a fails"
  fi
  apt install --no-install-recommends haproxy || { apt update && apt install --no-install-recommends haproxy; } ||
    failed "haproxy cannot be installed from the repositories of the operating system"
fi

# Not the package's own file: unattended-upgrades leaves out a package whose file was changed.
put /etc/systemd/system/haproxy.service.d/kubeadm-aws.conf <<-'TEXT'
	[Unit]
	StartLimitIntervalSec=0

	[Service]
	Environment=CONFIG=/etc/haproxy/kubernetes.cfg
	RestartSec=1
	OOMScoreAdjust=-900
TEXT
printf '%s\n' "$BALANCER_CA" | put /etc/haproxy/kubernetes-ca.crt
printf '%s\n' "$BALANCER_CONFIG" | install -D -m 644 /dev/stdin /etc/haproxy/kubernetes.cfg.new
haproxy -c -q -f /etc/haproxy/kubernetes.cfg.new >>"$STATE/balancer.log" 2>&1 || {
  tail -n 5 "$STATE/balancer.log" >&2
  die "haproxy refuses its configuration /etc/haproxy/kubernetes.cfg.new; nothing has been changed"
}
mv /etc/haproxy/kubernetes.cfg.new /etc/haproxy/kubernetes.cfg
systemctl daemon-reload
systemctl -q enable haproxy
# A haproxy that runs with the package's configuration has to be restarted, once.
if systemctl -q is-active haproxy && pgrep -f '^/usr/sbin/haproxy .*/etc/haproxy/kubernetes.cfg' >/dev/null; then
  systemctl reload haproxy || die "haproxy does not load its configuration; see: journalctl -u haproxy"
else
  systemctl restart haproxy || die "haproxy does not start; see: journalctl -u haproxy"
fi
bash "$API_NAME" "${ENDPOINT%:*}" 127.0.0.1
echo "balances ${ENDPOINT%:*}"
