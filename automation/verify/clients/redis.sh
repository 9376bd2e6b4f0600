#!/bin/sh
# Writes a value to the server and reads it back. HOST and REDISCLI_AUTH are set by the check.
set -eu
cli() { valkey-cli -h "$HOST" "$@"; }
written=$(date +%s)
[ "$(cli set kubeadm-aws-verify "$written" EX 60)" = OK ]
[ "$(cli get kubeadm-aws-verify)" = "$written" ]
echo "a value was written and read"
