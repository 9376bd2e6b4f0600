#!/usr/bin/env bash
# Copies RabbitMQ's definitions (users with hashed passwords, queues, exchanges, policies) to the backup bucket. They do
# not contain messages. Without an argument it installs itself with a systemd timer.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env BUCKET=... KEY=... ... bash rabbitmq-backup.sh   installs
       sudo rabbitmq-backup now      takes a copy
       sudo rabbitmq-backup failed   writes only the metric of a failed run, for a run that was killed
       sudo env ACTION=remove bash rabbitmq-backup.sh            removes the timer; copies stay in the bucket
Environment, for "now" by default from /etc/kubernetes/rabbitmq-backup.env:
  BUCKET, KEY   the copy is s3://BUCKET/KEY; the bucket keeps replaced versions
  AWS_REGION    region of the bucket
  S3_ENDPOINT   such as https://s3.eu-central-1.amazonaws.com
  SCHEDULE      systemd calendar expression, only to install
  METADATA      metadata service, default http://169.254.169.254
  METRICS       file for node-exporter, default /var/lib/node-exporter/textfile/rabbitmq_backup.prom
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
command=${1:-${ACTION:-install}}
settings=/etc/kubernetes/rabbitmq-backup.env
units=/etc/systemd/system/rabbitmq-backup
metrics=${METRICS:-/var/lib/node-exporter/textfile/rabbitmq_backup.prom}
work=''
say() { printf 'rabbitmq-backup: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

report() { # FAILED: the metrics of this run
  local success=0
  # The last success is read from the file itself, so that a failed run keeps it.
  if [ "$1" = 0 ]; then
    success=$(date +%s)
  elif [ -s "$metrics" ]; then
    success=$(sed -n 's/^kubeadm_aws_rabbitmq_backup_last_success_timestamp_seconds //p' "$metrics")
  fi
  mkdir -p "${metrics%/*}" && cat >"$metrics.new" <<-TEXT && chmod 644 "$metrics.new" && mv "$metrics.new" "$metrics"
	# HELP kubeadm_aws_rabbitmq_backup_last_success_timestamp_seconds When definitions last reached the bucket; 0 is never.
	# TYPE kubeadm_aws_rabbitmq_backup_last_success_timestamp_seconds gauge
	kubeadm_aws_rabbitmq_backup_last_success_timestamp_seconds ${success:-0}
	# HELP kubeadm_aws_rabbitmq_backup_last_run_failed Whether the last run failed.
	# TYPE kubeadm_aws_rabbitmq_backup_last_run_failed gauge
	kubeadm_aws_rabbitmq_backup_last_run_failed $1
	TEXT
}
# A full disk has no space for a new file. The result is the last byte but one of the old file, so it is written in place.
report_in_place() { # FAILED
  local size
  size=$(stat -c %s "$metrics") && printf '%s' "$1" | dd of="$metrics" bs=1 seek=$((size - 2)) conv=notrunc status=none
}
finish() {
  local failed=$(($? != 0))
  [ -z "$work" ] || rm -rf "$work"
  case $command in
    now | failed)
      report $failed 2>/dev/null || report_in_place $failed 2>/dev/null || say "the metrics in $metrics cannot be written"
      ;;
  esac
}
trap finish EXIT
# Without it, an interrupted run would report the status of its last command, which may be 0.
trap 'say "stopped by a signal"; exit 143' TERM INT HUP

# Prints the credentials of the instance as lines of a curl configuration, so that no command line contains them.
instance() {
  local token role json metadata=${METADATA:-http://169.254.169.254}/latest
  ask() { curl -fsS --connect-timeout 2 --max-time 10 --retry 2 "$@"; }
  token=$(ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token") || return 1
  role=$(ask -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/iam/security-credentials/") || return 1
  json=$(ask -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/iam/security-credentials/$role") || return 1
  key() { tr -d '\n' <<<"$json" | sed -n "s/.*\"$1\" *: *\"\\([^\"]*\\)\".*/\\1/p"; }
  printf 'user = "%s:%s"\nheader = "x-amz-security-token: %s"\n' "$(key AccessKeyId)" "$(key SecretAccessKey)" "$(key Token)"
}

now() {
  local keys answer
  umask 077
  work=$(mktemp -d) || die "a temporary directory cannot be created"
  timeout 120 kubectl --kubeconfig "${KUBECONFIG:-/etc/kubernetes/admin.conf}" --cache-dir "$work/cache" -n data \
    exec statefulset/rabbitmq-server -c rabbitmq -- rabbitmqctl -q export_definitions - >"$work/definitions" 2>"$work/error" ||
    die "RabbitMQ gives no definitions: $(tail -n 1 "$work/error")"
  grep -q '"users" *:' "$work/definitions" || die "RabbitMQ answers without definitions"
  keys=$(instance) || die "the metadata service gives no credentials: has this machine an instance profile?"
  answer=$(curl -sS --fail-with-body --connect-timeout 10 --max-time 120 --retry 3 --aws-sigv4 "aws:amz:$AWS_REGION:s3" -K - \
    -H "x-amz-content-sha256: $(sha256sum <"$work/definitions" | cut -d' ' -f1)" -T "$work/definitions" \
    "$S3_ENDPOINT/$BUCKET/$KEY" <<<"$keys" 2>&1) || die "s3://$BUCKET/$KEY cannot be written: $(tr -d '\n' <<<"$answer")"
  echo "s3://$BUCKET/$KEY"
}

put() { # MODE FILE < content
  install -D -m "$1" /dev/stdin "$2.new"
  mv "$2.new" "$2"
}
setup() {
  put 755 /usr/local/sbin/rabbitmq-backup <"$0"
  for v in BUCKET KEY AWS_REGION S3_ENDPOINT; do printf '%s=%q\n' "$v" "${!v}"; done | put 600 "$settings"
  put 644 "$units.service" <<-'TEXT'
	[Unit]
	Description=Copy of RabbitMQ's definitions to S3
	After=network-online.target kubelet.service

	[Service]
	Type=oneshot
	ExecStart=/usr/local/sbin/rabbitmq-backup now
	ExecStopPost=/bin/sh -c 'test "$$SERVICE_RESULT" = success || exec /usr/local/sbin/rabbitmq-backup failed'
	TimeoutStartSec=10min
	TEXT
  # The first run is a minute later, because AWS may still refuse a permission that is seconds old.
  put 644 "$units.timer" <<-TEXT
	[Unit]
	Description=Copies of RabbitMQ's definitions to S3

	[Timer]
	OnActiveSec=1min
	OnCalendar=$SCHEDULE
	Persistent=true

	[Install]
	WantedBy=timers.target
	TEXT
  systemctl daemon-reload
  systemctl -q enable rabbitmq-backup.timer
  systemctl restart rabbitmq-backup.timer
  echo "copies at $SCHEDULE"
}
remove() {
  systemctl -q disable --now rabbitmq-backup.timer || say "there is no timer"
  rm -f "$units.timer" "$units.service" "$settings" /usr/local/sbin/rabbitmq-backup "$metrics"
  systemctl daemon-reload
}

case $command in
  failed) exit 1 ;;
  remove)
    remove
    exit 0
    ;;
  now) needed='BUCKET KEY AWS_REGION S3_ENDPOINT' ;;
  install) needed='BUCKET KEY AWS_REGION S3_ENDPOINT SCHEDULE' ;;
  *)
    usage >&2
    exit 2
    ;;
esac
if [ -z "${BUCKET:-}" ] && [ -r "$settings" ]; then
  # shellcheck source=/dev/null
  . "$settings"
fi
for v in $needed; do
  [ -n "${!v:-}" ] || {
    echo "rabbitmq-backup: $v is not set" >&2
    usage >&2
    exit 2
  }
done
case $command in now) now ;; *) setup ;; esac
