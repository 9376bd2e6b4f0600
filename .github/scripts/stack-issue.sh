#!/usr/bin/env bash
# Opens or edits the issue of a stack with a title and the output of the driver, or closes it if FILE is missing.
# usage: stack-issue.sh LABEL TITLE TEXT [FILE]
# TEXT is the first line of the issue, or the last comment. A new issue writes opened=true into GITHUB_OUTPUT.
set -euo pipefail
label=$1 title=$2 text=$3 file=${4:-}
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
  gh issue edit "$issue" --body-file "$body"
  exit 0
fi
gh label create "$label" --force --description "of the workflow $label"
gh issue create --title "$title" --label "$label" --body-file "$body"
echo 'opened=true' >>"${GITHUB_OUTPUT:-/dev/null}"
