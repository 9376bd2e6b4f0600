#!/usr/bin/env bash
# Installs the systemd timer that takes etcd snapshots on the control plane.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env BACKUP_SCHEDULE="*-*-* 00/6:00:00" ... backup.sh
Environment:
  BACKUP_SCHEDULE   systemd calendar expression
  ETCD_SNAPSHOT     path of etcd-snapshot.sh
  NODE              name of this node
  BUCKET, PREFIX, AWS_REGION, S3_ENDPOINT   where snapshots go, see etcd-snapshot.sh --help
Prints "snapshots at <schedule>". Take one at once: sudo etcd-snapshot now
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in BACKUP_SCHEDULE ETCD_SNAPSHOT NODE BUCKET PREFIX AWS_REGION S3_ENDPOINT; do
  [ -n "${!v:-}" ] || {
    echo "backup: $v is not set" >&2
    usage >&2
    exit 2
  }
done

say() { printf 'backup: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
exec 9>/run/kubeadm-aws-backup.lock
flock -w 60 9 || die "another run has been changing this for a minute"

systemd-analyze calendar "$BACKUP_SCHEDULE" >/dev/null 2>&1 ||
  die "\"$BACKUP_SCHEDULE\" is not a systemd calendar expression; right is for example \"*-*-* 00/6:00:00\""

put() { # MODE FILE < content
  install -D -m "$1" /dev/stdin "$2.new"
  mv "$2.new" "$2"
}
put 755 /usr/local/sbin/etcd-snapshot <"$ETCD_SNAPSHOT"
# The script sources this file, so %q writes each value as one word of bash.
for v in BUCKET PREFIX AWS_REGION S3_ENDPOINT NODE; do printf '%s=%q\n' "$v" "${!v}"; done | put 600 /etc/kubernetes/etcd-backup.env
put 644 /etc/systemd/system/etcd-snapshot.service <<-'TEXT'
	[Unit]
	Description=Snapshot of etcd to S3
	After=network-online.target kubelet.service

	[Service]
	Type=oneshot
	ExecStart=/usr/local/sbin/etcd-snapshot timed
	# Reports the failure of a run that was killed by the kernel or by the limit below.
	ExecStopPost=/bin/sh -c 'test "$$SERVICE_RESULT" = success || exec /usr/local/sbin/etcd-snapshot failed'
	TimeoutStartSec=20min
	Nice=10
	IOSchedulingClass=idle
TEXT
put 644 /etc/systemd/system/etcd-snapshot.timer <<-TEXT
	[Unit]
	Description=Snapshots of etcd to S3

	[Timer]
	OnCalendar=$BACKUP_SCHEDULE
	# A snapshot that was due while the machine was off is taken after its next boot.
	Persistent=true

	[Install]
	WantedBy=timers.target
TEXT
systemctl daemon-reload
systemctl -q enable etcd-snapshot.timer
systemctl restart etcd-snapshot.timer
# An unfinished destroy may have withdrawn the marker.
/usr/local/sbin/etcd-snapshot mark || die "the bucket cannot be told that this cluster runs. Check that the instance reaches $S3_ENDPOINT with the role of the control plane, then run again"
echo "snapshots at $BACKUP_SCHEDULE"
