#!/usr/bin/env bash
# Puts the scripts of this machine's steps into their directory, and runs one of them.
#
# The name of a file contains the digest of its text, so a new version does not replace the one that commands in an older
# state run. Each file appears complete or not at all, also when this run is interrupted.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env STEP=ready bash -c "$(cat install.sh)" bash ARCHIVE LIMIT SECONDS SCRIPT < input
ARCHIVE is base64 of a compressed tar archive of scripts. LIMIT, SECONDS and SCRIPT are the path of limit.sh and its
arguments. Prints what SCRIPT prints.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
[ $# = 4 ] || {
  usage >&2
  exit 2
}
say() { printf 'install: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
dir=${2%/*}
# Others may see the directory, which also holds logs, but not write the scripts: they run as root.
(umask 022 && mkdir -p "$dir") || die "$dir cannot be made: is the disk full or read-only?"
exec 9>"$dir/.lock"
flock -w 60 9 || die "another run has been writing $dir for a minute"
umask 077
new=$dir/.new
rm -rf "$new"
mkdir "$new" || die "$dir cannot be written: is the disk full or read-only?"
base64 -d <<<"$1" | tar -xzm --no-same-owner -C "$new" || die "the scripts cannot be unpacked into $new"
# A file that has its name also has its content, even if the machine loses its power now.
sync "$new"/* || die "the scripts cannot be written to the disk"
mv -f "$new"/* "$dir"
rmdir "$new"
exec 9>&-
exec bash "${@:2}"
