#!/usr/bin/env bash
# Writes superseded=true into GITHUB_OUTPUT if STACK has a later commit than the one that is checked out. CI of an older push can end
# last, and an old run can be started again. The driver notes in a tag of the stack which commit it brought up.
set -euo pipefail
head=$(git rev-parse HEAD)
applied=$("$PULUMI" stack tag get kubeadm-aws:applied --stack "$STACK" || true)
applied=${applied%% *}
superseded=false
if [ -n "$applied" ] && [ "$applied" != "$head" ] && git merge-base --is-ancestor "$head" "$applied"; then
  superseded=true
  echo "Stack $STACK has the later commit ${applied:0:10} already, so nothing is done." | tee -a "$GITHUB_STEP_SUMMARY"
fi
echo "superseded=$superseded" >>"$GITHUB_OUTPUT"
