#!/usr/bin/env bash
# Opens or edits the issue of a stack with a title and the output of the driver, or closes it if FILE is missing.
# usage: stack-issue.sh LABEL TITLE TEXT [FILE]
# TEXT is the first line of the issue, or the last comment. An open issue gets a comment if FILE has nodes to repair that are not in it
# yet, or another plan: an edit alone notifies no one. A new issue and such a comment write tell=true into GITHUB_OUTPUT.
set -euo pipefail
label=$1 title=$2 text=$3 file=${4:-}

# nodes prints the nodes that the command repair names in its output, and whether it replaces them.
nodes() { sed -nE 's/.*((Not|To be) replaced: [a-z0-9-]+).*/- \1/p' | sort -u; }

# plan prints the plan in the output of the command preview.
plan() { tr -d '\r' | grep -E '^(plan|          )' || true; }

issue=$(gh issue list --state open --label "$label" --json number,title --jq ".[] | select(.title == \"$title\") | .number" | head -n 1)
if [ -z "$file" ]; then
  [ -z "$issue" ] || gh issue close "$issue" --comment "$text"
  exit 0
fi
body=$(mktemp)
{
  echo "$text"
  echo
  echo '```'
  tail -c 60000 "$file"
  echo '```'
} >"$body"
if [ -n "$issue" ]; then
  before=$(gh issue view "$issue" --json body --jq .body)
  new=$(comm -13 <(nodes <<<"$before") <(nodes <"$file"))
  if [ -n "$new" ]; then
    # The comment comes first: after the edit the next run would find these nodes in the issue.
    gh issue comment "$issue" --body $'New here:\n\n'"$new"
    echo 'tell=true' >>"${GITHUB_OUTPUT:-/dev/null}"
  fi
  if [ "$(plan <<<"$before")" != "$(plan <"$body")" ]; then gh issue comment "$issue" --body-file "$body"; fi
  gh issue edit "$issue" --body-file "$body"
  exit 0
fi
gh label create "$label" --force --description "of the workflow $label"
gh issue create --title "$title" --label "$label" --body-file "$body"
echo 'tell=true' >>"${GITHUB_OUTPUT:-/dev/null}"
