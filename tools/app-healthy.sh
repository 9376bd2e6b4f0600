#!/usr/bin/env bash
# Says whether an environment runs the digest of this checkout and is well: Argo CD has synced both Applications, calls them
# healthy and runs that digest, and jobs go through the whole application from outside.
#
#   ARGOCD_URL=https://argocd.example.com ARGOCD_TOKEN=... APPLICATION_URL=https://app.example.com tools/app-healthy.sh ENVIRONMENT
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${ARGOCD_URL:?is not set: the address of Argo CD in the environment}" "${ARGOCD_TOKEN:?is not set: a token that may get applications}"
: "${APPLICATION_URL:?is not set: where the API of the environment is reached}"
digest=$(tools/app-release.sh digest "${1:?an environment}")
for app in api worker; do
  # The token goes in by a file of configuration, so it is in no list of processes.
  printf 'header = "Authorization: Bearer %s"\n' "$ARGOCD_TOKEN" |
    curl -fsS --max-time 30 --config - "$ARGOCD_URL/api/v1/applications/$app" |
    python3 -c '
import json, sys
app, digest, status = sys.argv[1], sys.argv[2], json.load(sys.stdin).get("status", {})
found = status.get("sync", {}).get("status"), status.get("health", {}).get("status")
images = status.get("summary", {}).get("images", [])
if found != ("Synced", "Healthy"):
    sys.exit(f"{app} is {found[0]} and {found[1]}; wanted Synced and Healthy")
if not any(image.endswith("@" + digest) for image in images):
    sys.exit(f"{app} runs {images}, not {digest}: has Argo CD seen the commit?")
print(f"{app}: Synced, Healthy, {digest}")
' "$app" "$digest"
done
PYTHONPATH=apps/src PYTHONDONTWRITEBYTECODE=1 python3 -m app.smoke "$APPLICATION_URL"
