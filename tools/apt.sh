#!/usr/bin/env bash
# Installs packages of Debian: tools/apt.sh PACKAGES...  Needs root. Waits up to five minutes for another apt, such as the
# daily one of the system.
set -euo pipefail
# The message of a lock is read below, so it has to be in English.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# The lists have a lock of their own, for which DPkg::Lock::Timeout does not wait.
for ((attempt = 1; ; attempt++)); do
  if said=$(apt-get update -qq 2>&1); then break; fi
  if [ "$attempt" = 60 ] || ! grep -q 'Could not get lock' <<<"$said"; then
    printf '%s\n' "$said" >&2
    exit 1
  fi
  sleep 5
done
exec apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >&2
