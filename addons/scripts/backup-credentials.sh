#!/usr/bin/env bash
# Keeps credentials for PostgreSQL's backups in a Secret. A pod cannot reach the metadata service. So every 20 minutes the
# control plane assumes, for an hour, a role that may use only the backups' folder, and writes the keys to the Secret.
# Without "now" it installs itself with a systemd timer, then runs once.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env ROLE_ARN=... AWS_REGION=... STS_ENDPOINT=... bash backup-credentials.sh   installs
       sudo postgresql-backup-credentials now                                            renews
       sudo env ACTION=remove bash backup-credentials.sh                                 removes the timer and the Secret
Environment, for "now" by default from /etc/kubernetes/postgresql-backup.env:
  ROLE_ARN       role to take
  AWS_REGION     region of the bucket
  STS_ENDPOINT   such as https://sts.eu-central-1.amazonaws.com
  METADATA       metadata service, default http://169.254.169.254
  PATIENCE       seconds in which a refusal by AWS is asked again, default 0; 120 when it installs
Writes the Secret data/postgresql-backup and tells the Cluster data/postgresql of it. Prints "credentials until <time>".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
settings=/etc/kubernetes/postgresql-backup.env
remove() {
  systemctl -q disable --now postgresql-backup-credentials.timer || say "there is no timer"
  rm -f /etc/systemd/system/postgresql-backup-credentials.timer /etc/systemd/system/postgresql-backup-credentials.service \
    "$settings" /usr/local/sbin/postgresql-backup-credentials
  systemctl daemon-reload
  kube -n data delete secret postgresql-backup --ignore-not-found >/dev/null || die "the Secret data/postgresql-backup cannot be deleted"
}
say() { printf 'backup-credentials: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
export KUBECONFIG=${KUBECONFIG:-/etc/kubernetes/admin.conf}
kube() { kubectl --request-timeout=30s "$@"; }
if [ "${ACTION:-}" = remove ]; then
  remove
  exit 0
fi
if [ -z "${ROLE_ARN:-}" ] && [ -r "$settings" ]; then
  # shellcheck source=/dev/null
  . "$settings"
fi
for v in ROLE_ARN AWS_REGION STS_ENDPOINT; do
  [ -n "${!v:-}" ] || {
    echo "backup-credentials: $v is not set" >&2
    usage >&2
    exit 2
  }
done

metadata=${METADATA:-http://169.254.169.254}/latest
ask() { curl -fsS --connect-timeout 2 --max-time 10 --retry 2 "$@"; }
# Prints the credentials of the instance as lines of a curl configuration, so that no command line contains them.
instance() {
  local token role json
  token=$(ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token") || return 1
  role=$(ask -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/iam/security-credentials/") || return 1
  json=$(ask -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/iam/security-credentials/$role") || return 1
  key() { tr -d '\n' <<<"$json" | sed -n "s/.*\"$1\" *: *\"\\([^\"]*\\)\".*/\\1/p"; }
  printf 'user = "%s:%s"\nheader = "x-amz-security-token: %s"\n' "$(key AccessKeyId)" "$(key SecretAccessKey)" "$(key Token)"
}

# field NAME < XML: prints the text of an element.
field() { tr -d '\n' | sed -n "s:.*<$1>\\([^<]*\\)</$1>.*:\\1:p"; }
encoded() { printf %s "$1" | base64 -w 0; }

# assume < credentials of the instance: prints the answer of STS. A role and a policy that were made just before take
# effect after some seconds, and until then STS refuses.
assume() {
  local keys answer
  keys=$(cat)
  while ! answer=$(curl -sS --fail-with-body --connect-timeout 5 --max-time 30 --retry 3 --aws-sigv4 "aws:amz:$AWS_REGION:sts" -K - \
    -d Action=AssumeRole -d Version=2011-06-15 --data-urlencode "RoleArn=$ROLE_ARN" -d RoleSessionName=postgresql-backup -d DurationSeconds=3600 \
    "$STS_ENDPOINT/" <<<"$keys"); do
    if [ "$(field Code <<<"$answer")" != AccessDenied ] || ((SECONDS >= patience)); then
      die "AWS does not give the role $ROLE_ARN: $(field Message <<<"$answer")"
    fi
    say "AWS refuses the role $ROLE_ARN still"
    sleep "${INTERVAL:-3}"
  done
  printf '%s\n' "$answer"
}

renew() {
  local keys answer id secret token until
  keys=$(instance) || die "the metadata service gives no credentials: has this machine an instance profile?"
  answer=$(assume <<<"$keys") || exit 1
  id=$(field AccessKeyId <<<"$answer") secret=$(field SecretAccessKey <<<"$answer") token=$(field SessionToken <<<"$answer")
  until=$(field Expiration <<<"$answer")
  if [ -z "$id" ] || [ -z "$secret" ] || [ -z "$token" ]; then die "AWS answers without credentials for $ROLE_ARN"; fi
  kube apply --server-side --force-conflicts --field-manager=backup-credentials -f - >/dev/null <<-TEXT || die "the Secret data/postgresql-backup cannot be written"
	{"apiVersion":"v1","kind":"Secret","metadata":{"name":"postgresql-backup","namespace":"data"},"data":{
	"ACCESS_KEY_ID":"$(encoded "$id")","SECRET_ACCESS_KEY":"$(encoded "$secret")","SESSION_TOKEN":"$(encoded "$token")","REGION":"$(encoded "$AWS_REGION")"}}
	TEXT
  # The instance reads the Secret when its Cluster changes. Before the first up there is no Cluster.
  if [ -n "$(kube -n data get cluster.postgresql.cnpg.io postgresql --ignore-not-found -o name 2>/dev/null)" ]; then
    kube -n data annotate cluster.postgresql.cnpg.io postgresql --overwrite "kubeadm-aws/credentials-until=$until" >/dev/null ||
      die "the Cluster data/postgresql cannot be told of the new credentials"
  fi
  echo "credentials until $until"
}

put() { # MODE FILE < content
  install -D -m "$1" /dev/stdin "$2.new"
  mv "$2.new" "$2"
}
setup() {
  put 755 /usr/local/sbin/postgresql-backup-credentials <"$0"
  put 600 "$settings" <<<"ROLE_ARN='$ROLE_ARN' AWS_REGION='$AWS_REGION' STS_ENDPOINT='$STS_ENDPOINT'"
  put 644 /etc/systemd/system/postgresql-backup-credentials.service <<-'TEXT'
	[Unit]
	Description=Credentials for the backups of PostgreSQL
	After=network-online.target kubelet.service

	[Service]
	Type=oneshot
	ExecStart=/usr/local/sbin/postgresql-backup-credentials now
	TimeoutStartSec=3min
	TEXT
  put 644 /etc/systemd/system/postgresql-backup-credentials.timer <<-'TEXT'
	[Unit]
	Description=Renews the credentials for the backups of PostgreSQL

	[Timer]
	OnBootSec=1min
	OnUnitActiveSec=20min

	[Install]
	WantedBy=timers.target
	TEXT
  systemctl daemon-reload
  systemctl -q enable --now postgresql-backup-credentials.timer
}

patience=${PATIENCE:-0}
if [ "${1:-}" != now ]; then
  setup
  patience=${PATIENCE:-120}
fi
renew
