#!/usr/bin/env bash
# Runs the script of a step and ends it, with every process that it started, when its time is over. The command provider
# waits without a limit for a command that runs.
set -euo pipefail

usage() {
	cat <<'TEXT'
usage: sudo env STEP=join bash -c "$(cat limit.sh)" bash SECONDS SCRIPT < input
Prints what the script prints and ends with its status; 124 when the time was over.
TEXT
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac
[ $# = 2 ] || { usage >&2; exit 2; }

# A session of its own holds every process of the script, those that left its process group included.
setsid --wait timeout --kill-after=10 "$1" bash -c "$2" <&0 &
session=$!
trap 'kill -TERM $session 2>/dev/null || true' TERM HUP INT
rc=0
wait $session || rc=$?
# 137: it had to be killed. The clock tells that from a script that ended so by itself.
if [[ $rc = 124 || $rc = 137 ]] && [ "$SECONDS" -ge "$1" ]; then
	printf '%s: stopped, because it was not done after %s minutes. A program that it started hangs; see on this machine: ' "${STEP:-script}" "$(($1 / 60))" >&2
	printf 'ps -ef, df -h, journalctl -n 100, and the logs in /var/lib/kubeadm-aws\n' >&2
	pkill -KILL --session $session || true
	exit 124
fi
exit $rc
