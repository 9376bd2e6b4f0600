#!/bin/bash
# Sends a message through the server and receives it, by the management API, which is what can be spoken without a
# client library. HOST, USERNAME and PASSWORD are set by the check.
set -euo pipefail

queue=kubeadm-aws-verify-$RANDOM$RANDOM
login=$(printf '%s:%s' "$USERNAME" "$PASSWORD" | base64 -w 0)

# call METHOD PATH BODY prints the answer and fails unless its status is a success.
call() {
  local status answer
  exec 3<>"/dev/tcp/$HOST/15672"
  printf '%s /api%s HTTP/1.0\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" "$2" "$login" "${#3}" "$3" >&3
  answer=$(tr -d '\r' <&3)
  exec 3>&-
  read -r _ status _ <<<"$answer"
  if [[ $status != 2* ]]; then
    printf '%s %s: %s\n' "$1" "$2" "$answer" >&2
    return 1
  fi
  printf '%s\n' "$answer"
}

call PUT "/queues/%2F/$queue" '{"auto_delete":true,"durable":false,"arguments":{"x-expires":60000}}' >/dev/null
call POST /exchanges/%2F/amq.default/publish \
  "{\"properties\":{},\"routing_key\":\"$queue\",\"payload\":\"hello\",\"payload_encoding\":\"string\"}" | grep -q '"routed":true'
call POST "/queues/%2F/$queue/get" '{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}' | grep -q '"payload":"hello"'
call DELETE "/queues/%2F/$queue" '' >/dev/null
echo "a message was sent and received"
