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
  STATEFULSET  a StatefulSet to replace if it makes claims of another size. Its pods stay. The ConfigMap claims-STATEFULSET
               holds it meanwhile, so an interrupted run goes on.
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
# bytes prints a quantity of Kubernetes in whole bytes, as BYTES is. It fails for another text.
bytes() {
  awk -v q="$1" 'BEGIN {
    if (!match(q, /^([0-9]+[.]?[0-9]*|[.][0-9]+)/)) exit 1
    n = substr(q, 1, RLENGTH); unit = substr(q, RLENGTH + 1)
    if (unit ~ /^[kKMGTPE]$/) n *= 1000 ^ index("kMGTPE", unit == "K" ? "k" : unit)
    else if (unit ~ /^[KMGTPE]i$/) n *= 1024 ^ index("KMGTPE", substr(unit, 1, 1))
    else if (unit ~ /^[num]$/) n /= 1000 ^ (4 - index("num", unit))
    else if (unit ~ /^[eE][+-]?[0-9]+$/) n *= 10 ^ substr(unit, 2)
    else if (unit != "") exit 1
    printf "%.0f\n", int(n)
  }'
}

# replace makes the StatefulSet again, with the size of the settings. Helm only patches a StatefulSet that has changed, so one that
# is missing would stay away after a rollback. Its labels and annotations show that the release owns it.
replace() {
  kube delete statefulset "$STATEFULSET" --cascade=orphan --ignore-not-found --timeout=120s >&2 ||
    die "cannot remove the StatefulSet $NAMESPACE/$STATEFULSET, which makes claims of ${made:-another size}"
  kube get configmap "$saved" -o 'jsonpath={.data.object}' |
    kube patch --local -f - --type=json -o json -p "[{\"op\": \"remove\", \"path\": \"/metadata/resourceVersion\"},
      {\"op\": \"replace\", \"path\": \"/spec/volumeClaimTemplates/0/spec/resources/requests/storage\", \"value\": \"$SIZE\"}]" |
    kube create -f - >&2 ||
    die "cannot make the StatefulSet $NAMESPACE/$STATEFULSET again. Its pods run; the ConfigMap $NAMESPACE/$saved holds it. Correct the reason, then run pulumi up again: it goes on from here"
}
if [ -n "${STATEFULSET:-}" ]; then
  saved=claims-$STATEFULSET
  state=$(kube get statefulset "$STATEFULSET" --ignore-not-found \
    -o jsonpath='{.spec.volumeClaimTemplates[0].spec.resources.requests.storage} {.metadata.deletionTimestamp}') ||
    die "cannot read the StatefulSet $NAMESPACE/$STATEFULSET"
  read -r made leaves <<<"$state"
  makes=''
  [ -z "$made" ] || makes=$(bytes "$made") ||
    die "the StatefulSet $NAMESPACE/$STATEFULSET makes claims of $made, which is not a quantity; nothing has been changed"
  held=$(kube get configmap "$saved" --ignore-not-found -o name) || die "cannot read the ConfigMap $NAMESPACE/$saved"
  if [ -n "$made" ] && [ -z "$leaves" ] && [ "$makes" != "$BYTES" ]; then
    # What an earlier run has saved may be old.
    [ -z "$held" ] || kube delete configmap "$saved" >&2 || die "cannot remove the ConfigMap $NAMESPACE/$saved"
    object=$(kube get statefulset "$STATEFULSET" -o json) || die "cannot read the StatefulSet $NAMESPACE/$STATEFULSET"
    kube create configmap "$saved" --from-file=object=/dev/stdin <<<"$object" >&2 ||
      die "cannot save the StatefulSet $NAMESPACE/$STATEFULSET in the ConfigMap $NAMESPACE/$saved; nothing has been changed"
    held=yes
  fi
  if [ -n "$held" ]; then
    if [ -n "$leaves" ] || [ "$makes" != "$BYTES" ]; then replace; fi
    kube delete configmap "$saved" >&2 || die "cannot remove the ConfigMap $NAMESPACE/$saved, which is not needed any more"
  fi
fi
claims=$(kube get persistentvolumeclaims -l "$SELECTOR" \
  -o jsonpath='{range .items[*]}{.metadata.name} {.spec.resources.requests.storage}{"\n"}{end}') ||
  die "cannot list the claims in $NAMESPACE"
result=unchanged
while read -r name has; do
  [ -n "$name" ] || continue
  now=$(bytes "$has") || die "the claim $NAMESPACE/$name has the size $has, which is not a quantity"
  if [ "$now" -lt "$BYTES" ]; then
    kube patch persistentvolumeclaim "$name" --type=merge \
      -p "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"$SIZE\"}}}}" >&2 ||
      die "cannot make $NAMESPACE/$name larger than $has: its class must have allowVolumeExpansion, as gp3 has"
    result=grown
  fi
done <<<"$claims"
echo "$result"
