#!/usr/bin/env bash
# Sends one line to the webhook NOTIFY_URL, if it is set: which workflow, which STACK, how the job ended (OUTCOME) and its RUN.
#
# VERIFY is the exit code of a verify, or empty. ROLLBACK is how an automatic rollback ended; it is empty or "skipped" without one.
# ROLLBACK_CODE is the rollback's exit code. A rollback that failed is also sent to PAGE_URL, because a person has to repair the
# stack. Code 12 is not sent there: there was no verified commit, so no rollback was tried.
set -euo pipefail
said=$OUTCOME
if [ "${VERIFY:-}" = 11 ]; then
  said="$OUTCOME. The platform is verified and stays, but applications are not well: correct or revert them in Git"
fi
rollback=${ROLLBACK:-}
if [ "${ROLLBACK_CODE:-}" = 12 ]; then rollback=impossible; fi
case $rollback in
  impossible) said="$OUTCOME. There was no earlier verified commit to go back to, so the stack stays as it is: correct what failed" ;;
  success) said="$OUTCOME. The stack is back at the last verified commit and verified again. The commit that failed is still in main: revert it" ;;
  failure | cancelled) said="$OUTCOME, AND THE ROLLBACK DID NOT SUCCEED. Nothing is tried again: a person has to look now" ;;
esac
export TEXT="$GITHUB_WORKFLOW of $STACK: $said, $RUN"

# Slack and most webhooks read text, Discord reads content. The address is a secret, so it is in no list of processes.
send() {
  python3 -c 'import json, os; print(json.dumps({"text": os.environ["TEXT"], "content": os.environ["TEXT"]}))' |
    curl -fsS --max-time 30 --config <(printf 'url = "%s"\n' "$1") -H 'Content-Type: application/json' --data @-
}
failed=0
if [ -n "${NOTIFY_URL:-}" ]; then send "$NOTIFY_URL" || failed=1; fi
case $rollback in
  failure | cancelled) if [ -n "${PAGE_URL:-}" ]; then send "$PAGE_URL" || failed=1; fi ;;
esac
exit "$failed"
