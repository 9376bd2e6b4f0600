#!/usr/bin/env bash
# Judges how a job of repair.yml ended. usage: repair-judge.sh JOB STACK EXIT-CODE FILE
#
# JOB is look, which replaces nothing, or repair. The exit code is the driver's: 0 all is well, 1 there is no such stack yet, 4 an upgrade or
# another run is under way, 5 a replacement failed, 8 workers would be replaced, 10 nodes are left to a person. The stack has one issue for
# what needs a person. 0 closes it, unless the cluster is stopped: its nodes are not judged then. Any other code fails this step: the
# cluster could not be looked at.
#
# Writes STACK=true into GITHUB_OUTPUT if workers are to be replaced, and tell=true if the issue is new or names another node.
set -euo pipefail
job=$1 stack=$2 code=$3 file=$4
issue() { "$(dirname "$0")/stack-issue.sh" repair "repair: $stack has nodes that need a person" "$@"; }
left() { issue 'The driver leaves this to a person (docs/driver.md, "repair"):' "$file"; }

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

case $job:$code in
  look:0)
    if grep -q 'nothing is judged' "$file"; then
      echo "$stack is stopped. An issue stays as it is."
    else
      issue 'All nodes are well, or were stopped on purpose.'
    fi
    ;;
  look:4) echo "$stack is being changed. The next look decides." ;;
  look:8)
    if grep -q 'Not replaced: ' "$file"; then left; fi
    other=$(under_way)
    if [ -n "$other" ]; then
      echo "Another run repairs $stack, or waits for its reviewers: $other"
    else
      echo "$stack=true" >>"$GITHUB_OUTPUT"
    fi
    ;;
  look:10 | repair:10) left ;;
  look:1)
    grep -qE 'there is no stack|has no cluster yet' "$file" || {
      echo 'repair could not start.'
      exit 1
    }
    echo "There is nothing to repair in $stack yet."
    ;;
  repair:5) issue 'A replacement failed. The next run, within the hour, tries it again:' "$file" ;;
  *)
    echo "$job ended with exit code ${code:-none}."
    exit 1
    ;;
esac
