#!/usr/bin/env bash
# Sends one line to the webhook NOTIFY_URL, if it is set: which workflow, which STACK, how the job ended (OUTCOME) and its RUN.
set -euo pipefail
[ -n "${NOTIFY_URL:-}" ] || exit 0
export TEXT="$GITHUB_WORKFLOW of $STACK: $OUTCOME, $RUN"
# Slack and most webhooks read text, Discord reads content. The address is a secret, so it is in no list of processes.
python3 -c 'import json, os; print(json.dumps({"text": os.environ["TEXT"], "content": os.environ["TEXT"]}))' |
  curl -fsS --max-time 30 --config <(printf 'url = "%s"\n' "$NOTIFY_URL") -H 'Content-Type: application/json' --data @-
