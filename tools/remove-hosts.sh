#!/usr/bin/env bash
# Removes the hosts of stacks from this machine without asking the driver: containers, networks, and the rules of metadata services
# whose process was killed. Prints a line for each container and network. Fails when docker cannot remove one.
#
#   tools/remove-hosts.sh STACK...
set -euo pipefail

failed=0
for stack; do
  ids=$(docker ps --all --quiet --filter "label=kubeadm-aws.stack=$stack")
  # shellcheck disable=SC2086 # one word for each id
  if [ -n "$ids" ]; then docker rm --force --volumes $ids || failed=1; fi
  ids=$(docker network ls --quiet --filter "label=kubeadm-aws.stack=$stack")
  # shellcheck disable=SC2086
  if [ -n "$ids" ]; then docker network rm $ids || failed=1; fi
  iptables -w -t nat -S PREROUTING | grep -E -- "--comment \"?kubeadm-aws-$stack\"? " | sed 's/^-A/-D/' |
    while IFS= read -r rule; do xargs iptables -w -t nat <<<"$rule"; done || true
done
exit "$failed"
