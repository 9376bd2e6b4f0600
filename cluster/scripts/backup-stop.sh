#!/usr/bin/env bash
# Stops the etcd snapshots of a cluster that is being destroyed, and records in the bucket that this is intended.
# Without the record, a later control plane with the same authority would treat the cluster as lost.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo backup-stop.sh
Stops the timer that backup.sh installed. The snapshots stay in the bucket.
Prints "snapshots are stopped".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac

say() { printf 'backup-stop: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"

systemctl -q disable --now etcd-snapshot.timer || say "there is no timer etcd-snapshot.timer"
# A destroy continues without the record. Only an up after an interrupted destroy reads it.
snapshot=/usr/local/sbin/etcd-snapshot
if [ -x $snapshot ] && ! $snapshot forget; then
  say "the bucket does not record that this cluster is destroyed on purpose. An up before the destroy has ended may take the cluster for lost; its message says what to do"
fi
echo "snapshots are stopped"
