#!/usr/bin/env bash
# Sets a password from the settings in a running service. Grafana and RabbitMQ store passwords on their own volumes, and
# read the Secret only when the volume is new. Valkey reads it when it starts. Safe to run again.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env SERVICE=rabbitmq ... password.sh < bundle
Environment:
  SERVICE   rabbitmq | redis | grafana
  USERNAME  user whose password it is
  LIMIT     seconds to wait for the service (default 300)
Standard input: base64 of a compressed tar archive with the file "password".
Prints "unchanged" or "changed".
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in SERVICE USERNAME; do
  [ -n "${!v:-}" ] || {
    echo "password: $v is not set" >&2
    usage >&2
    exit 2
  }
done

export KUBECONFIG=${KUBECONFIG:-/etc/kubernetes/admin.conf}
limit=${LIMIT:-300}
interval=${INTERVAL:-3}
say() { printf 'password: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# The password only passes through pipes, because every process on a machine can read a command line.
password=$(base64 -d | tar -xzO password) || die "standard input is not base64 of a compressed tar archive with the file password"
[ -n "$password" ] || die "the password is empty"
kube() { kubectl --request-timeout=60s "$@"; }
# inside NAMESPACE POD CONTAINER COMMAND...: the command reads the password as the first line of its standard input.
inside() {
  local namespace=$1 pod=$2 container=$3
  shift 3
  kube -n "$namespace" exec -i "$pod" -c "$container" -- "$@" <<<"$password" 2>&1
}

# ask prints an answer that contains $accepted or $refused. apply sets the password in the service.
case $SERVICE in
  rabbitmq)
    ask() { inside data pod/rabbitmq-server-0 rabbitmq rabbitmqctl authenticate_user "$USERNAME"; }
    accepted='Success' refused='failed to authenticate'
    apply() { inside data pod/rabbitmq-server-0 rabbitmq rabbitmqctl change_password "$USERNAME"; }
    ;;
  redis)
    # shellcheck disable=SC2016 # expanded in the container
    ask() { inside data deployment/valkey valkey sh -c 'IFS= read -r REDISCLI_AUTH; export REDISCLI_AUTH; exec valkey-cli --user "$0" ping' "$USERNAME"; }
    accepted='PONG' refused='WRONGPASS'
    # A restart is needed, because the metrics exporter has the password in its environment.
    apply() {
      kube -n data rollout restart deployment/valkey 2>&1 &&
        kubectl -n data rollout status deployment/valkey --timeout="${limit}s" 2>&1
    }
    ;;
  grafana)
    # A question to Grafana would need the password on a command line. Setting it again is harmless.
    ask() { echo unknown; }
    accepted='-' refused='unknown'
    # The sidecars, which load dashboards and data sources, have the password in their environment like Grafana itself.
    apply() {
      inside monitoring deployment/grafana grafana grafana cli admin reset-admin-password --password-from-stdin || return 1
      # shellcheck disable=SC2016 # expanded in the container
      if ! inside monitoring deployment/grafana grafana sh -c 'IFS= read -r given; [ "$given" = "$GF_SECURITY_ADMIN_PASSWORD" ]'; then
        kube -n monitoring rollout restart deployment/grafana 2>&1 &&
          kubectl -n monitoring rollout status deployment/grafana --timeout="${limit}s" 2>&1
      fi
    }
    ;;
  *) die "unknown service: $SERVICE" ;;
esac

# state prints accepted or refused. It fails if the service gives only other answers until the limit.
state() {
  local answer
  while :; do
    answer=$(ask) || true
    case $answer in
      *"$refused"*)
        echo refused
        return
        ;;
      *"$accepted"*)
        echo accepted
        return
        ;;
    esac
    if ((SECONDS >= limit)); then
      say "$SERVICE cannot be asked: $(tail -n 1 <<<"$answer")"
      return 1
    fi
    sleep "$interval"
  done
}

before=$(state)
if [ "$before" = accepted ]; then
  echo unchanged
  exit 0
fi
answer=$(apply) || die "$SERVICE does not take the new password of $USERNAME: $(tail -n 1 <<<"$answer")"
if [ "$accepted" != - ]; then
  [ "$(state)" = accepted ] || die "$SERVICE still refuses the new password of $USERNAME"
fi
echo changed
