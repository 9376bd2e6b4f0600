#!/usr/bin/env bash
# Writes superseded=true into GITHUB_OUTPUT if STACK has a later commit than the one that is checked out. CI of an older push can end
# last, and an old run can be started again. A run that a person dispatched fails instead. The driver notes in a tag of the stack which
# commit it brought up.
set -euo pipefail
head=$(git rev-parse HEAD)
# "tag get" fails without the tag. The list succeeds, and then lacks it.
tags=$("$PULUMI" stack tag ls --json --stack "$STACK" 2>&1) || case $tags in
  *'no stack named'*) tags='' ;; # its first run
  *)
    printf '%s\n' "$tags" >&2
    exit 1
    ;;
esac
applied=$(sed -n 's/.*"kubeadm-aws:applied": *"\([0-9a-f]*\)[ "].*/\1/p' <<<"$tags")
superseded=false
if [ -n "$applied" ] && [ "$applied" != "$head" ] && git merge-base --is-ancestor "$head" "$applied"; then
  superseded=true
  echo "Stack $STACK has the later commit ${applied:0:10} already, so nothing is done." | tee -a "$GITHUB_STEP_SUMMARY"
  if [ "$GITHUB_EVENT_NAME" = workflow_dispatch ]; then
    echo "To go back on purpose, dispatch the workflow rollback with the commit ${head:0:10}." | tee -a "$GITHUB_STEP_SUMMARY"
    exit 1
  fi
fi
echo "superseded=$superseded" >>"$GITHUB_OUTPUT"
