#!/bin/sh
# Writes a value to the server and reads it back. The check sets HOST and REDISCLI_AUTH.
set -eu
written=$(date +%s)
# answers WANTED ARGUMENT... The client prints an error on its standard output and exits 0 all the same.
answers() {
  wanted=$1
  shift
  said=$(valkey-cli -h "$HOST" "$@" 2>&1) || true
  [ "$said" = "$wanted" ] || {
    echo "$1: $said" >&2
    exit 1
  }
}
answers OK set kubeadm-aws-verify "$written" EX 60
answers "$written" get kubeadm-aws-verify
echo "a value was written and read"
