#!/usr/bin/env bash
# Makes the claims of a StatefulSet as large as the settings say, before its release asks for that. Kubernetes takes the
# size of a StatefulSet for new claims only. Safe to run again.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env NAMESPACE=logging SELECTOR=app=loki SIZE=50Gi BYTES=53687091200 claims.sh
Environment:
  NAMESPACE    namespace of the claims
  SELECTOR     labels of the claims
  SIZE, BYTES  their size as a quantity, and in bytes
  STATEFULSET  a StatefulSet to remove if it makes claims of another size. Its pods stay, and Helm creates it again.
Prints "unchanged" or "grown". A claim that is larger already keeps its size.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
for v in NAMESPACE SELECTOR SIZE BYTES; do
  [ -n "${!v:-}" ] || {
    echo "claims: $v is not set" >&2
    usage >&2
    exit 2
  }
done

export KUBECONFIG=${KUBECONFIG:-/etc/kubernetes/admin.conf}
die() {
  printf 'claims: %s\n' "$*" >&2
  exit 1
}
kube() { kubectl --request-timeout=60s -n "$NAMESPACE" "$@"; }
# A quantity that numfmt does not read counts as 0: the API server then compares the sizes.
bytes() { numfmt --from=auto "$1" 2>/dev/null || echo 0; }

if [ -n "${STATEFULSET:-}" ]; then
  made=$(kube get statefulset "$STATEFULSET" --ignore-not-found \
    -o jsonpath='{.spec.volumeClaimTemplates[0].spec.resources.requests.storage}') ||
    die "cannot read the StatefulSet $NAMESPACE/$STATEFULSET"
  if [ -n "$made" ] && [ "$(bytes "$made")" != "$BYTES" ]; then
    kube delete statefulset "$STATEFULSET" --cascade=orphan --timeout=120s >&2 ||
      die "cannot remove the StatefulSet $NAMESPACE/$STATEFULSET, which makes claims of $made"
  fi
fi
claims=$(kube get persistentvolumeclaims -l "$SELECTOR" \
  -o jsonpath='{range .items[*]}{.metadata.name} {.spec.resources.requests.storage}{"\n"}{end}') ||
  die "cannot list the claims in $NAMESPACE"
result=unchanged
while read -r name has; do
  if [ -n "$name" ] && [ "$(bytes "$has")" -lt "$BYTES" ]; then
    kube patch persistentvolumeclaim "$name" --type=merge \
      -p "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"$SIZE\"}}}}" >&2 ||
      die "cannot make $NAMESPACE/$name larger than $has: its class must have allowVolumeExpansion, as gp3 has"
    result=grown
  fi
done <<<"$claims"
echo "$result"
