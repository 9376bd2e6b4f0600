#!/usr/bin/env bash
# Runs the script of a step. After its time limit, it ends the script and every process that the script started. The
# command provider waits for a running command without a limit.
set -euo pipefail

usage() {
	cat <<'TEXT'
usage: sudo env STEP=join bash -c "$(cat limit.sh)" bash SECONDS SCRIPT < input
Prints what the script prints and ends with its status; 124 when the time was over.
TEXT
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac
[ $# = 2 ] || { usage >&2; exit 2; }

# Its own session contains every process of the script, including those that left its process group.
setsid --wait timeout --kill-after=10 "$1" bash -c "$2" <&0 &
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
