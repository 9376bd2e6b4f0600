#!/usr/bin/env bash
# Stops the kubelet of this machine before its settings change, and waits until it works with the new ones.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo kubelet.sh stop      stops it, and removes which CPUs and which memory it gave to pods
       sudo kubelet.sh healthy   waits until it answers
       sudo kubelet.sh steady    waits until one process of it has been healthy for a while
Environment:
  STEADY   seconds of that while, default 10
Prints nothing.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
case $#,${1:-} in
  1,stop | 1,healthy | 1,steady) ;;
  *)
    usage >&2
    exit 2
    ;;
esac

die() {
  printf 'kubelet: %s\n' "$*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

# It does not start with the assignments of another policy, other reserves or another size of the machine, and assigns again
# without these files.
stop() {
  systemctl stop kubelet
  rm -f /var/lib/kubelet/cpu_manager_state /var/lib/kubelet/memory_manager_state
}

answers() { curl -fs --max-time 2 -o /dev/null http://127.0.0.1:10248/healthz; }

healthy() {
  local until=$((SECONDS + 60))
  until answers; do
    if [ "$SECONDS" -ge "$until" ]; then
      journalctl -u kubelet -n 5 --no-pager -o cat >&2 || true
      die "the kubelet is not healthy; see: journalctl -u kubelet, and kubernetes.kubelet in the settings"
    fi
    sleep 0.5
  done
}

# The kubelet answers before it starts the managers of CPUs and memory, and ends if their settings do not work.
steady() {
  local pid now since until
  healthy
  pid=$(systemctl show -p MainPID --value kubelet) since=$SECONDS until=$((SECONDS + 120))
  until [ $((SECONDS - since)) -ge "${STEADY:-10}" ]; do
    now=$(systemctl show -p MainPID --value kubelet)
    if [ "$now" != "$pid" ] || ! answers; then pid=$now since=$SECONDS; fi
    if [ "$SECONDS" -ge "$until" ]; then
      journalctl -u kubelet -n 20 --no-pager -o cat >&2 || true
      die "the kubelet ends again and again; see: journalctl -u kubelet, and kubernetes.kubelet in the settings"
    fi
    sleep 0.5
  done
}

"$1"
