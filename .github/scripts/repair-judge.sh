#!/usr/bin/env bash
# Judges how a repair of a stack ended, or a look for failed workers. usage: repair-judge.sh STACK EXIT-CODE FILE
#
# The exit code is the driver's: 0 all is well, 1 there is no such stack yet, 4 an upgrade or another run is under way, 8 workers would
# be replaced, 10 nodes are left to a person. For 10 the stack has one issue, which 0 closes. Any other code fails this step: the
# cluster could not be looked at, or a replacement failed.
#
# Writes STACK=true into GITHUB_OUTPUT if workers are to be replaced, and opened=true if the issue is new.
set -euo pipefail
stack=$1 code=$2 file=$3
issue() { "$(dirname "$0")/stack-issue.sh" repair "repair: $stack has nodes that need a person" "$@"; }

# under_way prints the job of another run that repairs the stack or waits for its reviewers. Without this one more job
# would wait each hour.
under_way() {
  local runs status run
  runs=$(for status in waiting pending queued requested in_progress; do
    gh api --paginate "repos/$GH_REPO/actions/workflows/repair.yml/runs?status=$status&per_page=100" \
      --jq ".workflow_runs[] | select(.id != $GITHUB_RUN_ID) | .id" || exit 1
  done) || return 1
  while read -r run; do
    [ -n "$run" ] || continue
    gh api --paginate "repos/$GH_REPO/actions/runs/$run/jobs?per_page=100" \
      --jq ".jobs[] | select(.name == \"repair ($stack)\" and .status != \"completed\") | .html_url" || return 1
  done < <(sort -u <<<"$runs")
}

case $code in
  0) issue 'All nodes are well, or were stopped on purpose.' ;;
  4) echo "$stack is being changed. The next look decides." ;;
  8)
    job=$(under_way)
    if [ -n "$job" ]; then
      echo "Another run repairs $stack, or waits for its reviewers: $job"
    else
      echo "$stack=true" >>"$GITHUB_OUTPUT"
    fi
    ;;
  10) issue "The driver leaves this to a person (docs/driver.md, \"repair\"):" "$file" ;;
  1)
    grep -qE 'there is no stack|has no cluster yet' "$file" || {
      echo 'repair could not start.'
      exit 1
    }
    echo "There is nothing to repair in $stack yet."
    ;;
  *)
    echo "repair ended with exit code ${code:-none}."
    exit 1
    ;;
esac
