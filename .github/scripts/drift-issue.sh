#!/usr/bin/env bash
# Opens, edits or closes the issue that says how a stack differs. usage: drift-issue.sh STACK EXIT-CODE FILE
# The exit code is the driver's: 0 nothing differs, 1 there is no such stack yet, 8 something differs. Any other fails this step too.
set -euo pipefail
stack=$1 code=$2 file=$3
title="drift: $stack is not what main says"

issue=$(gh issue list --state open --label drift --json number,title --jq ".[] | select(.title == \"$title\") | .number" | head -n 1)
case $code in
  0)
    [ -z "$issue" ] || gh issue close "$issue" --comment 'Nothing differs any more.'
    exit 0
    ;;
  8) ;;
  1)
    grep -q 'there is no stack' "$file" || {
      echo 'The comparison could not start.'
      exit 1
    }
    echo "There is no stack $stack yet."
    exit 0
    ;;
  *)
    echo "The comparison failed with exit code ${code:-none}."
    exit 1
    ;;
esac
body=$(mktemp)
{
  echo 'Compared with AWS and with the program of main:'
  echo
  echo '```'
  tail -c 60000 "$file"
  echo '```'
} >"$body"
if [ -n "$issue" ]; then
  gh issue edit "$issue" --body-file "$body"
else
  gh label create drift --force --description 'a stack is not what main says'
  gh issue create --title "$title" --label drift --body-file "$body"
fi
