#!/usr/bin/env bash
# Compares the pins in config/releases.go with the sources that they are for, and takes over a changed checksum of etcd.
# Run it after EtcdToolsVersion was changed, and when a repository has a new key. Needs curl and gpg.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: config/pins.sh [FILE]
FILE is the table, by default config/releases.go.
Environment:
  KUBERNETES_APT, CONTAINERD_APT, ETCD_RELEASES   where to look, by default the public sources
The checksum of the etcd archive is written into FILE. A changed key is only reported: read the project's announcement of it
before you write its fingerprint into FILE. Exit code 1: a key differs or a source cannot be read.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
table=${1:-config/releases.go}
say() { printf 'pins: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

pin() { # NAME: its value in the table
  sed -n "s/^[[:blank:]]*$1 *= \"\\(.*\\)\"\$/\\1/p" "$table"
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() { # URL FILE
  curl -fsSL --retry 3 --connect-timeout 10 --max-time 600 -o "$work/$2" "$1" || die "$1 cannot be fetched"
}

differ=0
key() { # NAME URL
  local pinned found
  pinned=$(pin "$1")
  fetch "$2" key
  found=$(GNUPGHOME=$work gpg --batch --with-colons --show-keys "$work/key" 2>/dev/null | awk -F: '$1 == "pub" { pub = 1 } pub && $1 == "fpr" { print $10; pub = 0 }')
  if [ "$found" = "$pinned" ]; then
    echo "$1 $pinned is the key at $2"
  else
    say "$1 is $pinned, and $2 has ${found//$'\n'/ }"
    differ=1
  fi
}
kubernetes=${KUBERNETES_APT:-$(pin DefaultKubernetesApt)}
containerd=${CONTAINERD_APT:-$(pin DefaultContainerdApt)}
mapfile -t minors < <(sed -n 's/^[[:blank:]]*{Version: "\(1\.[0-9]*\)\..*/\1/p' "$table")
for minor in "${minors[@]}"; do
  key KubernetesAptKey "$kubernetes/core:/stable:/v$minor/deb/Release.key"
done
for system in debian ubuntu; do
  key ContainerdAptKey "$containerd/$system/gpg"
done

# The archive itself is summed up, and not only the list of its server read.
version=$(pin EtcdToolsVersion)
archive=etcd-v$version-linux-amd64.tar.gz
releases=${ETCD_RELEASES:-$(pin DefaultEtcdReleases)}
fetch "$releases/v$version/$archive" "$archive"
fetch "$releases/v$version/SHA256SUMS" SHA256SUMS
(cd "$work" && grep " \*\?$archive\$" SHA256SUMS | sha256sum --check --status) || die "$archive does not match the SHA256SUMS next to it"
sum=$(sha256sum <"$work/$archive" | cut -d' ' -f1)
if [ "$sum" = "$(pin EtcdToolsSHA256)" ]; then
  echo "EtcdToolsSHA256 $sum is the archive of $version"
else
  sed -i "s/^\\([[:blank:]]*EtcdToolsSHA256 *= \\)\".*\"/\\1\"$sum\"/" "$table"
  echo "EtcdToolsSHA256 is $sum now, for $version"
fi
exit "$differ"
