#!/usr/bin/env bash
# Takes a snapshot of this machine's etcd into S3, or fetches one. Installed on the control plane by backup.sh.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo etcd-snapshot.sh now              takes a snapshot and uploads it
       sudo etcd-snapshot.sh timed            the same on the leader of etcd; elsewhere it does nothing but to remove the
                                              metrics, because the leader has them
       sudo etcd-snapshot.sh fetch KEY FILE   downloads a snapshot ("latest" or a key) and checks it
       sudo etcd-snapshot.sh ours             prints what shows that this very cluster has run before: the key of its
                                              newest snapshot, else of its marker; prints nothing for a new cluster
       sudo etcd-snapshot.sh mark             writes the marker that this cluster has run
       sudo etcd-snapshot.sh forget           takes the marker back, because the cluster is destroyed on purpose;
                                              snapshots stay, and "latest" still names the newest
       sudo etcd-snapshot.sh failed           writes only the metric of a failed run, for a run that was killed
Environment, by default from /etc/kubernetes/etcd-backup.env:
  BUCKET, PREFIX   snapshots go to s3://BUCKET/PREFIX/<time>.db, each with <time>.db.sha256; PREFIX/latest names the
                   newest, PREFIX/initialised is the marker. Older snapshots get the tag superseded=true; the bucket's
                   lifecycle may delete only these
  AWS_REGION       region of the bucket
  S3_ENDPOINT      such as https://s3.eu-central-1.amazonaws.com
  CA_FILE          authority of the cluster, by which its snapshots are known; default /etc/kubernetes/pki/ca.crt
  NODE             name of this node, which gets an annotation with the time of the last snapshot; empty skips it
Credentials are those of the instance's role.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
case $#,${1:-} in
  1,now | 1,timed | 1,ours | 1,mark | 1,forget | 1,failed | 3,fetch) ;;
  *)
    usage >&2
    exit 2
    ;;
esac
STATE=/var/lib/kubeadm-aws
METRICS=/var/lib/node-exporter/textfile/etcd_backup.prom
say() { printf 'etcd-snapshot: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

command=$1 work=''

metrics() { # FAILED: the state of backups for node-exporter's textfile collector
  local success=0 size=0
  if [ -s "$STATE/last-snapshot" ]; then read -r success size <"$STATE/last-snapshot"; fi
  mkdir -p "${METRICS%/*}" && cat >"$METRICS.new" <<-TEXT && chmod 644 "$METRICS.new" && mv "$METRICS.new" "$METRICS"
		# HELP kubeadm_aws_etcd_backup_last_success_timestamp_seconds When a snapshot last reached the bucket; 0 is never.
		# TYPE kubeadm_aws_etcd_backup_last_success_timestamp_seconds gauge
		kubeadm_aws_etcd_backup_last_success_timestamp_seconds $success
		# HELP kubeadm_aws_etcd_backup_last_size_bytes Size of that snapshot.
		# TYPE kubeadm_aws_etcd_backup_last_size_bytes gauge
		kubeadm_aws_etcd_backup_last_size_bytes $size
		# HELP kubeadm_aws_etcd_backup_last_run_timestamp_seconds When a snapshot was last tried.
		# TYPE kubeadm_aws_etcd_backup_last_run_timestamp_seconds gauge
		kubeadm_aws_etcd_backup_last_run_timestamp_seconds $(date +%s)
		# HELP kubeadm_aws_etcd_backup_last_run_failed Whether that failed.
		# TYPE kubeadm_aws_etcd_backup_last_run_failed gauge
		kubeadm_aws_etcd_backup_last_run_failed $1
	TEXT
}
# A full disk has no space for a new file. The result is the last byte but one of the old file, so it is written in place.
metrics_in_place() { # FAILED
  local size
  size=$(stat -c %s "$METRICS") && printf '%s' "$1" | dd of="$METRICS" bs=1 seek=$((size - 2)) conv=notrunc status=none
}
# The trap is set before any command that can fail, because the alert reads what it writes.
finish() {
  local failed=$(($? != 0))
  [ -z "$work" ] || rm -rf "$work"
  case $command in now | timed | failed)
    metrics $failed 2>/dev/null || metrics_in_place $failed 2>/dev/null ||
      say "the metrics in $METRICS cannot be written"
    ;;
  esac
}
trap finish EXIT
# Without these traps, an interrupted run would report the status of its last command, which may be 0.
trap 'say "stopped by a signal"; exit 143' TERM INT HUP

[ "$command" != failed ] || exit 1
if [ -z "${BUCKET:-}" ] && [ -r /etc/kubernetes/etcd-backup.env ]; then
  # shellcheck source=/dev/null
  . /etc/kubernetes/etcd-backup.env
fi
for v in BUCKET PREFIX AWS_REGION S3_ENDPOINT; do
  [ -n "${!v:-}" ] || {
    echo "etcd-snapshot: $v is not set" >&2
    usage >&2
    exit 2
  }
done
CA_FILE=${CA_FILE:-/etc/kubernetes/pki/ca.crt}
[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
mkdir -p "$STATE" || die "$STATE cannot be written"
exec 8>/run/kubeadm-aws-etcd-snapshot.lock
flock -w 900 8 || die "another snapshot has been running for 15 minutes"
work=$(mktemp -d "$STATE/snapshot.XXXXXX") || die "$STATE cannot be written"
chmod 700 "$work"

# ---- S3 ---------------------------------------------------------------------

metadata() { curl -fsS --connect-timeout 2 --max-time 10 --retry 2 "$@"; }
credentials() { # as lines of a curl configuration, so that they are on no command line
  local token role json
  token=$(metadata -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token) || return 1
  role=$(metadata -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/iam/security-credentials/) || return 1
  json=$(metadata -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/iam/security-credentials/$role") || return 1
  field() { sed -n "s/.*\"$1\" *: *\"\\([^\"]*\\)\".*/\\1/p" <<<"${json//,/$'\n'}"; }
  printf 'user = "%s:%s"\nheader = "x-amz-security-token: %s"\n' "$(field AccessKeyId)" "$(field SecretAccessKey)" "$(field Token)"
}
secrets=$(credentials) || die "the metadata service of the instance gives no credentials: is there an instance profile with the backup policy?"

s3() { # KEY SHA256_OF_BODY CURL_ARGUMENT...
  local key=$1 sum=$2
  shift 2
  : >"$work/answer"
  if ! curl -sS --fail-with-body --connect-timeout 10 --max-time 600 --retry 3 --aws-sigv4 "aws:amz:$AWS_REGION:s3" -K - \
    -H "x-amz-content-sha256: $sum" -o "$work/answer" "$@" "$S3_ENDPOINT/$BUCKET$key" <<<"$secrets" 2>"$work/error"; then
    say "s3://$BUCKET$key: $(tail -n 1 "$work/error") $(sed -n 's:.*<Code>\(.*\)</Code>.*<Message>\(.*\)</Message>.*:(\1, \2):p' "$work/answer" 2>/dev/null)"
    return 1
  fi
}
sum() { sha256sum <"$1" | cut -d' ' -f1; }
put() { # FILE KEY
  s3 "/$2" "$(sum "$1")" -T "$1"
}
get() { # KEY FILE
  s3 "/$1" "$(sum /dev/null)" || return 1
  mv "$work/answer" "$2"
}
# Only an answer of S3 shows that an object does not exist. An unreachable or refusing S3 does not.
missing() { grep -q 'NoSuch\|error: 404' "$1"; } # FILE with the output of get
cluster() { sum "$CA_FILE"; }
forgotten='# destroyed on purpose' # the marker of a cluster that is destroyed

# supersede tags every snapshot before KEY once. $STATE/superseded holds the last key with the tag.
supersede() { # KEY
  local md5 key after keys
  printf '<Tagging><TagSet><Tag><Key>superseded</Key><Value>true</Value></Tag></TagSet></Tagging>' >"$work/tag"
  # S3 requires this header: base64 of the 16 bytes.
  md5=$(printf '%b' "$(md5sum <"$work/tag" | cut -d' ' -f1 | sed 's/../\\x&/g')" | base64)
  after=$(cat "$STATE/superseded" 2>/dev/null) || after=$PREFIX/
  while :; do
    s3 "?list-type=2&prefix=${PREFIX//\//%2F}%2F&start-after=${after//\//%2F}" "$(sum /dev/null)" || return 1
    keys=$(sed 's:<Key>:\n<Key>:g' "$work/answer" | sed -n 's:^<Key>\([^<]*\)</Key>.*:\1:p')
    [ -n "$keys" ] || return 0
    for key in $keys; do
      [[ $key < $1 ]] || return 0
      s3 "/$key?tagging=" "$(sum "$work/tag")" -H "Content-MD5: $md5" -T "$work/tag" || return 1
      after=$key
      echo "$key" >"$STATE/superseded"
    done
  done
}

# ---- commands ---------------------------------------------------------------

# Informs readers of the cluster who cannot read the bucket. The snapshot is valid even if this fails.
announce() { # SECONDS KEY
  [ -n "${NODE:-}" ] || return 0
  kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir "$work/cache" --request-timeout=20s annotate node "$NODE" --overwrite \
    "kubeadm-aws/last-backup=$(date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ)" "kubeadm-aws/last-backup-key=$2" >"$work/log" 2>&1 </dev/null ||
    say "the snapshot is in the bucket, but node $NODE cannot say so: $(tail -n 1 "$work/log")"
}

etcd() {
  local pki=/etc/kubernetes/pki/etcd
  timeout 300 etcdctl --endpoints https://127.0.0.1:2379 --cacert $pki/ca.crt \
    --cert $pki/healthcheck-client.crt --key $pki/healthcheck-client.key "$@" 2>&1 </dev/null
}

# timed lets one of several control planes take the snapshot.
timed() {
  local status leader
  status=$(etcd endpoint status -w json) || die "etcd does not say who its leader is: $(tail -n 1 <<<"$status")"
  leader=$(sed -n 's/.*"leader":\([0-9]*\).*/\1/p' <<<"$status")
  [ -n "$leader" ] || die "etcd has no leader, so none of its members takes a snapshot"
  if [ "$leader" != "$(sed -n 's/.*"member_id":\([0-9]*\).*/\1/p' <<<"$status")" ]; then
    command=elsewhere
    rm -f "$METRICS"
    say "the leader of etcd takes the snapshot"
  elif get "$PREFIX/initialised" "$work/mark" 2>/dev/null && [ "$(cat "$work/mark")" = "$forgotten" ]; then
    # The timers of the other control planes run until their machines end.
    say "the cluster is being destroyed, and a snapshot would say that it goes on"
  else
    now
  fi
}

now() {
  local name at
  name=$(date -u +%Y-%m-%dT%H-%M-%SZ).db
  etcd snapshot save "$work/$name" >"$work/log" || {
    tail -n 3 "$work/log" >&2
    die "etcd gives no snapshot"
  }
  etcdutl snapshot status "$work/$name" >"$work/log" 2>&1 || {
    tail -n 3 "$work/log" >&2
    die "the snapshot cannot be read"
  }
  (cd "$work" && sha256sum "$name" && echo "# cluster $(cluster)") >"$work/sum"
  put "$work/$name" "$PREFIX/$name" || die "the snapshot cannot be uploaded"
  put "$work/sum" "$PREFIX/$name.sha256" || die "the checksum cannot be uploaded"
  printf '%s\n# cluster %s\n' "$PREFIX/$name" "$(cluster)" >"$work/latest"
  # Written after the snapshot, so that it never names an incomplete one.
  put "$work/latest" "$PREFIX/latest" || die "the pointer to the newest snapshot cannot be written"
  at=$(date +%s)
  echo "$at $(stat -c %s "$work/$name")" >"$STATE/last-snapshot"
  announce "$at" "$PREFIX/$name"
  # Done after the pointer, so that the newest complete snapshot never has the tag with which the bucket deletes objects.
  supersede "$PREFIX/$name" || say "the snapshot is in the bucket, but older ones could not be tagged and will not expire; the next run tags them"
  say "s3://$BUCKET/$PREFIX/$name, $(stat -c %s "$work/$name") bytes"
  echo "$PREFIX/$name"
}

newest() { # the key that PREFIX/latest names
  get "$PREFIX/latest" "$work/latest" || return 1
  head -n 1 "$work/latest"
}

fetch() { # KEY FILE
  local key=$1 file=$2 of
  if [ "$key" = latest ]; then
    key=$(newest) || die "there is no newest snapshot in s3://$BUCKET/$PREFIX"
  fi
  get "$key.sha256" "$work/sum" || die "s3://$BUCKET/$key.sha256 cannot be read: there is no such snapshot, or it is not complete"
  of=$(sed -n 's/^# cluster //p' "$work/sum")
  [ "$of" = "$(cluster)" ] || die "s3://$BUCKET/$key is of another cluster, with another identity and another key for its Secrets"
  get "$key" "$work/snapshot" || die "s3://$BUCKET/$key cannot be read"
  [ "$(sum "$work/snapshot")" = "$(head -n 1 "$work/sum" | cut -d' ' -f1)" ] || die "s3://$BUCKET/$key is corrupt: it does not match its checksum"
  etcdutl snapshot status "$work/snapshot" >"$work/log" 2>&1 || {
    tail -n 3 "$work/log" >&2
    die "s3://$BUCKET/$key is not a snapshot of etcd"
  }
  mv "$work/snapshot" "$file"
  say "s3://$BUCKET/$key, $(stat -c %s "$file") bytes, checksum right"
}

# of_cluster prints TEXT if FILE names this cluster.
of_cluster() { # FILE TEXT
  [ "$(sed -n 's/^# cluster //p' "$1")" != "$(cluster)" ] || echo "$2"
}

ours() {
  local key found
  if key=$(newest 2>"$work/why"); then
    found=$(of_cluster "$work/latest" "$key")
    [ -z "$found" ] || {
      echo "$found"
      return
    }
  else
    missing "$work/why" || {
      cat "$work/why" >&2
      return 1
    }
  fi
  # The cluster was lost before its first snapshot.
  if get "$PREFIX/initialised" "$work/mark" 2>"$work/why"; then
    of_cluster "$work/mark" "$PREFIX/initialised"
  else
    missing "$work/why" || {
      cat "$work/why" >&2
      return 1
    }
  fi
}

mark() {
  printf '# cluster %s\n' "$(cluster)" >"$work/mark"
  put "$work/mark" "$PREFIX/initialised" || die "the marker that this cluster has run cannot be written to the bucket"
}

forget() {
  local key
  printf '%s\n' "$forgotten" >"$work/mark"
  put "$work/mark" "$PREFIX/initialised" || die "the marker that this cluster has run cannot be taken back"
  if key=$(newest 2>"$work/why"); then
    printf '%s\n' "$key" >"$work/latest"
    put "$work/latest" "$PREFIX/latest" || die "the pointer to the newest snapshot cannot be written"
  else
    missing "$work/why" || {
      cat "$work/why" >&2
      return 1
    }
  fi
}

case $command in
  fetch) fetch "$2" "$3" ;;
  *) $command ;;
esac
