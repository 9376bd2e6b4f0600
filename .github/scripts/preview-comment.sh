#!/usr/bin/env bash
# Writes the preview of a stack into the one comment that a pull request has for it. usage: preview-comment.sh STACK NUMBER FILE
set -euo pipefail
stack=$1 number=$2 file=$3
marker="<!-- preview of $stack -->"

body=$(mktemp)
{
  echo "$marker"
  echo "### preview of $stack"
  echo '```'
  tail -c 60000 "$file"
  echo '```'
} >"$body"
comment=$(gh api --paginate "repos/$GH_REPO/issues/$number/comments" --jq ".[] | select(.body | startswith(\"$marker\")) | .id" | head -n 1)
if [ -n "$comment" ]; then
  gh api --silent --method PATCH "repos/$GH_REPO/issues/comments/$comment" --field "body=@$body"
else
  gh pr comment "$number" --body-file "$body"
fi
