#!/usr/bin/env bash
# Runs the script of a step. After its time limit, it ends the script and every process that the script started. The
# command provider waits for a running command without a limit.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env STEP=join bash limit.sh SECONDS SCRIPT < input
SCRIPT is the path of a script: NAME.DIGEST.sh. Prints what it prints and ends with its status; 124 when the time was over.
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

script=$2
if [ ! -f "$script" ]; then
  # The state is older than this machine: its delete commands name a version of the script that only the machine
  # before had. The version that was installed last reads the same settings.
  script=
  for other in "${2%.*.sh}".*.sh; do
    if [ -f "$other" ] && { [ -z "$script" ] || [ "$other" -nt "$script" ]; }; then script=$other; fi
  done
  if [ -z "$script" ]; then
    printf '%s: %s is not on this machine. The step "ready" of this machine brings it: pulumi up --replace URN, with the URN of that step\n' "${STEP:-script}" "$2" >&2
    exit 1
  fi
  printf '%s: %s is not on this machine, %s runs in its place\n' "${STEP:-script}" "$2" "$script" >&2
fi

# Its own session contains every process of the script, including those that left its process group.
setsid --wait timeout --kill-after=10 "$1" bash "$script" <&0 &
session=$!
trap 'kill -TERM $session 2>/dev/null || true' TERM HUP INT
rc=0
wait $session || rc=$?
# 137: it was killed. The elapsed time distinguishes this from a script that exits with 137 by itself.
if [[ $rc = 124 || $rc = 137 ]] && [ "$SECONDS" -ge "$1" ]; then
  printf '%s: stopped, because it was not done after %s minutes. A program that it started hangs; see on this machine: ' "${STEP:-script}" "$(($1 / 60))" >&2
  printf 'ps -ef, df -h, journalctl -n 100, and the logs in /var/lib/kubeadm-aws\n' >&2
  pkill -KILL --session $session || true
  exit 124
fi
exit $rc
