#!/usr/bin/env bash
# Opens, edits or closes the issue that says how a stack differs. usage: drift-issue.sh STACK EXIT-CODE FILE
# The exit code is the driver's: 0 nothing differs, 1 there is no such stack or nothing in it, 8 something differs. Any other fails this
# step too.
set -euo pipefail
stack=$1 code=$2 file=$3
issue() { "$(dirname "$0")/stack-issue.sh" drift "drift: $stack is not what was brought up" "$@"; }
case $code in
  0) issue 'Nothing differs any more.' ;;
  8) issue 'Compared with AWS and with the commit that the stack was brought up with:' "$file" ;;
  1)
    grep -qE 'there is no stack|has no resources' "$file" || {
      echo 'The comparison could not start.'
      exit 1
    }
    issue 'There is nothing to compare: the stack does not exist, or it is empty.'
    ;;
  *)
    echo "The comparison failed with exit code ${code:-none}."
    exit 1
    ;;
esac
