# shellcheck shell=bash
# Stages: each result is built once for each content of its inputs, in a directory named after both.

if [ "$(id -u)" = 0 ]; then cache=/var/cache; else cache=${XDG_CACHE_HOME:-$HOME/.cache}; fi
export MIRROR_DIR=${MIRROR_DIR:-$cache/kubeadm-aws-mirror}
mirror=$here

say() { printf 'mirror: %s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

used=()

# built NAME INPUT FUNCTION [ARGS...] sets $result to the directory of a stage, and returns whether the stage has run.
built() {
  local code
  code=$(declare -f "$3" make_deb go_build add_image)
  result=$MIRROR_DIR/build/$1-$(printf '%s\n' "$2" "${*:3}" "$code" | sha256sum | cut -c1-12)
  used+=("$result")
  [ -e "$result/.done" ]
}

# stage NAME INPUT FUNCTION [ARGS...] runs FUNCTION with $out set to an empty directory, and sets $result to that directory.
# A result that was built from the same INPUT, ARGS and code is taken again.
stage() {
  local name=$1 begun=$SECONDS log
  if built "$@"; then return; fi
  shift 2
  if [ -n "${MIRROR_CACHED:-}" ]; then die "$name is not built, and MIRROR_CACHED is set"; fi
  out=$result.part
  log=$result.log
  rm -rf "$result" "$out"
  mkdir -p "$out"
  say "building $name"
  # A subshell of its own keeps errexit in force, which a condition would switch off.
  set +e
  (
    set -e
    "$@"
  ) 2>"$log"
  local rc=$?
  set -e
  if [ "$rc" != 0 ]; then
    grep -v '^go: downloading' "$log" | tail -n 30 >&2
    die "building $name failed; the whole log is $log"
  fi
  touch "$out/.done"
  mv "$out" "$result"
  rm -f "$log"
  say "built $name in $((SECONDS - begun)) s"
}

# content FILES... prints one checksum of the files.
content() { cat "$@" | sha256sum; }

# publish NAME replaces $MIRROR_DIR/NAME by the last result, with hard links.
publish() {
  local target=$MIRROR_DIR/$1
  [ "$(cat "$target/.stage" 2>/dev/null)" = "$result" ] && return
  rm -rf "$target.new" "$target.old"
  mkdir -p "$(dirname "$target")"
  cp -al "$result" "$target.new"
  rm -f "$target.new/.done"
  printf '%s\n' "$result" >"$target.new/.stage"
  if [ -e "$target" ]; then mv "$target" "$target.old"; fi
  mv "$target.new" "$target"
  rm -rf "$target.old"
}

# prune removes results that this build did not use.
prune() {
  local dir
  for dir in "$MIRROR_DIR"/build/*; do
    if ! printf '%s\n' "${used[@]}" | grep -qxF "$dir"; then
      say "removing $(basename "$dir")"
      rm -rf "$dir"
    fi
  done
}

# install_missing PACKAGES... installs the Debian packages that are missing.
install_missing() {
  local p missing=()
  for p; do
    dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing ${missing[*]}"
  "$mirror/../apt.sh" "${missing[@]}"
}

# debian_mirror prints where Debian's packages come from: DEBIAN_MIRROR, else where the apt of this machine gets them.
debian_mirror() {
  local found=${DEBIAN_MIRROR:-}
  # shellcheck disable=SC2016 # apt fills this in
  [ -n "$found" ] || found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    sed -n 's#/debian/*$##p' | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
  [ -n "$found" ] || die 'the apt of this machine names no Debian repository; set DEBIAN_MIRROR'
  printf '%s\n' "$found"
}
