#!/usr/bin/env bash
# Moves the application between environments, by commits that change the digest in envs/<environment>. Run by the workflows, and
# by a person who takes a release back.
#
#   tools/app-release.sh set ENVIRONMENT DIGEST     writes the digest, commits, opens a pull request
#   tools/app-release.sh promote FROM TO            the digest of FROM for TO
#   tools/app-release.sh rollback ENVIRONMENT [DIGEST]
#                                                   the digest that ENVIRONMENT had before and that was not taken back, or DIGEST
#   tools/app-release.sh digest ENVIRONMENT         prints the digest
#
# With DIRECT=true it pushes to the branch that is checked out, without a pull request. Changes of others are never overwritten.
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  exit 1
}

environment() {
  case $1 in
    dev | staging | prod) ;;
    *) fail "there is no environment '$1': dev, staging or prod" ;;
  esac
}

files() { printf 'envs/%s/api/kustomization.yaml\nenvs/%s/worker/kustomization.yaml\n' "$1" "$1"; }

# digest_at REVISION ENVIRONMENT prints the digest that both apps of the environment have there.
digest_at() {
  local found
  found=$(files "$2" | while IFS= read -r f; do git show "$1:$f" || exit 1; done | sed -n 's/^ *digest: //p' | sort -u)
  [[ $found =~ ^sha256:[0-9a-f]{64}$ ]] || fail "envs/$2 has no digest at $1, or the API and the worker have different ones: $found"
  printf '%s\n' "$found"
}

# set_digest ENVIRONMENT DIGEST SUBJECT commits the digest and hands the commit on.
set_digest() {
  local environment=$1 digest=$2 subject=$3 base branch file
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "'$digest' is not a digest: sha256: and 64 hexadecimal digits"
  [ "$(digest_at HEAD "$environment")" != "$digest" ] || {
    echo "envs/$environment has $digest already"
    return 0
  }
  git diff --quiet HEAD -- envs || fail "there are uncommitted changes in envs/"
  base=$(git symbolic-ref --short HEAD)
  while IFS= read -r file; do sed -i "s/^\( *digest: \).*/\1$digest/" "$file"; done < <(files "$environment")
  if [ "${DIRECT:-}" = true ]; then
    git commit -qm "$subject" -- envs
    # Another push may have come first. A conflict in the same lines ends the script.
    git push -q origin "HEAD:$base" || { git pull -q --rebase origin "$base" && git push -q origin "HEAD:$base"; }
    return
  fi
  branch=release/$environment-${digest:7:12}
  git switch -qC "$branch"
  git commit -qm "$subject" -- envs
  git push -q --force-with-lease origin "$branch"
  git switch -q "$base"
  if [ -n "$(gh pr list --head "$branch" --base "$base" --state open --json number --jq '.[].number')" ]; then
    echo "the pull request for $branch is open already"
  else
    gh pr create --head "$branch" --base "$base" --title "$subject" \
      --body "Merging releases \`$digest\` to $environment. To take it back: \`tools/app-release.sh rollback $environment\`."
  fi
}

promote() {
  local digest
  digest=$(digest_at HEAD "$1")
  case "$1 $2" in 'dev staging' | 'staging prod') ;; *) fail "a release goes from dev to staging and from staging to prod, not from $1 to $2" ;; esac
  set_digest "$2" "$digest" "envs: release ${digest:7:12} to $2"
}

# earlier ENVIRONMENT prints the digests of its history, newest first. "taken-back" follows one that a later commit replaced by an
# older one. The zeros that stand for the first release are left out.
earlier() {
  local commit digest last='' i
  local -A first=() bad=()
  local -a all=()
  for commit in $(git log --reverse --format=%H -- "envs/$1/api/kustomization.yaml"); do
    digest=$(digest_at "$commit" "$1" 2>/dev/null) || continue
    if [ "$digest" = "$last" ] || [[ $digest =~ ^sha256:0+$ ]]; then continue; fi
    : "${first[$digest]:=${#all[@]}}"
    bad[$digest]=
    if [ -n "$last" ] && ((first[$digest] < first[$last])); then bad[$last]=' taken-back'; fi
    all+=("$digest")
    last=$digest
  done
  for ((i = ${#all[@]} - 1; i >= 0; i--)); do printf '%s%s\n' "${all[i]}" "${bad[${all[i]}]}"; done
}

# rollback goes to the newest digest in the history of the environment that is another than its own and that was not taken back, or
# to the given one.
rollback() {
  local now to=${2:-} history
  now=$(digest_at HEAD "$1")
  history=$(earlier "$1")
  if [ -n "$to" ]; then
    grep -Fxq -e "$to" -e "$to taken-back" <<<"$history" || fail "envs/$1 has never had $to, as far as this clone's history goes"
  else
    to=$(grep -x 'sha256:[0-9a-f]*' <<<"$history" | grep -vxm1 "$now") ||
      fail "envs/$1 has had no other digest that was not taken back, as far as this clone's history goes; name one: rollback $1 DIGEST"
  fi
  set_digest "$1" "$to" "envs: take $1 back to ${to:7:12}"
}

case ${1:-} in
  set)
    [ $# = 3 ] || fail 'set ENVIRONMENT DIGEST'
    environment "$2"
    set_digest "$2" "$3" "envs: release ${3:7:12} to $2"
    ;;
  promote)
    [ $# = 3 ] || fail 'promote FROM TO'
    environment "$2"
    environment "$3"
    promote "$2" "$3"
    ;;
  rollback)
    [ $# = 2 ] || [ $# = 3 ] || fail 'rollback ENVIRONMENT [DIGEST]'
    environment "$2"
    rollback "$2" "${3:-}"
    ;;
  digest)
    [ $# = 2 ] || fail 'digest ENVIRONMENT'
    environment "$2"
    digest_at HEAD "$2"
    ;;
  *)
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
