#!/bin/bash
# Sends a message through the server and receives it. It uses the management API, which needs no client library. The
# check sets HOST, USERNAME and PASSWORD.
set -euo pipefail

queue=kubeadm-aws-verify-$RANDOM$RANDOM
login=$(printf '%s:%s' "$USERNAME" "$PASSWORD" | base64 -w 0)

# call METHOD PATH BODY [PART] prints nothing, and fails unless the status is a success and the answer holds PART.
call() {
  local status answer
  exec 3<>"/dev/tcp/$HOST/${PORT:-15672}"
  printf '%s /api%s HTTP/1.0\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" "$2" "$login" "${#3}" "$3" >&3
  answer=$(tr -d '\r' <&3)
  exec 3>&-
  read -r _ status _ <<<"$answer"
  if [[ $status != 2* || $answer != *"${4:-}"* ]]; then
    printf '%s %s: %s %s\n' "$1" "$2" "$status" "${answer##*$'\n'}" >&2
    return 1
  fi
}

# The type is set, so the server's default does not matter. If this script is interrupted, the queue expires.
call PUT "/queues/%2F/$queue" '{"durable":true,"auto_delete":false,"arguments":{"x-queue-type":"classic","x-expires":60000}}'
call POST /exchanges/%2F/amq.default/publish \
  "{\"properties\":{},\"routing_key\":\"$queue\",\"payload\":\"hello\",\"payload_encoding\":\"string\"}" '"routed":true'
call POST "/queues/%2F/$queue/get" '{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}' '"payload":"hello"'
call DELETE "/queues/%2F/$queue" ''
echo "a message was sent and received"
