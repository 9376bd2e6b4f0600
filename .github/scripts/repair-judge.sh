#!/usr/bin/env bash
# Writes for the job that repairs whether a stack has workers to replace. usage: repair-judge.sh STACK EXIT-CODE FILE
# The exit code is the driver's: 0 all is well, 1 there is no such stack yet, 4 an upgrade or another run is under way, 8 workers would
# be replaced. Any other fails this step: a node is left to a person, or the cluster could not be looked at.
set -euo pipefail
stack=$1 code=$2 file=$3
case $code in
  0) ;;
  4) echo "$stack is being changed. The next look decides." ;;
  8) echo "$stack=true" >>"$GITHUB_OUTPUT" ;;
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
