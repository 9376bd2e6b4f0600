#!/usr/bin/env bash
# Prints the path of a Pulumi CLI that is new enough: $PULUMI, the one on PATH, or the pinned one, built into .bin/.
# The pin is the version of github.com/pulumi/pulumi/pkg/v3 in tools/go.mod; it is the SDK's version as well.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '%s\n' "$*" >&2; }

wanted=$(sed -n 's|.*github.com/pulumi/pulumi/pkg/v3 \(v[0-9.]*\).*|\1|p' "$root/tools/go.mod" | head -n 1)
[ -n "$wanted" ] || {
  say "tools/go.mod names no version of github.com/pulumi/pulumi/pkg/v3"
  exit 1
}
built=$root/.bin/$wanted/pulumi

# A CLI is usable when it is of the same major version and not older than the pin.
usable() {
  local found
  found=$(PULUMI_SKIP_UPDATE_CHECK=true "$1" version 2>/dev/null) || return 1
  [ "${found%%.*}" = "${wanted%%.*}" ] || return 1
  [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ]
}

if [ -n "${PULUMI:-}" ]; then
  usable "$PULUMI" || {
    say "PULUMI=$PULUMI is not a Pulumi CLI of $wanted or newer; unset it to have one found or built."
    exit 1
  }
  printf '%s\n' "$PULUMI"
  exit
fi
if [ -x "$built" ]; then
  printf '%s\n' "$built"
  exit
fi
if onpath=$(command -v pulumi) && usable "$onpath"; then
  printf '%s\n' "$onpath"
  exit
fi

command -v go >/dev/null || {
  say "Neither a Pulumi CLI of $wanted or newer nor Go is on PATH. Install Go (https://go.dev/dl/) or Pulumi (https://www.pulumi.com/docs/install/)."
  exit 1
}
say "No Pulumi CLI of $wanted or newer on PATH: building it into ${built#"$root"/}."
say "This happens once and takes about 5 minutes on 2 cores, and 2 GB of disk for Go's caches."
started=$SECONDS
mkdir -p "$(dirname "$built")"
# Without the version stamped in, the CLI calls itself a development build and refuses to be driven by a program.
go build -C "$root/tools" -o "$built.part" \
  -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$wanted" \
  github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
mv "$built.part" "$built"
say "Built Pulumi $wanted in $((SECONDS - started)) s."
printf '%s\n' "$built"
