#!/usr/bin/env bash
# Ends a stage in the rotation of the key of service-account tokens, or checks the Secrets before a key is dropped.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo env ACCEPTS="0 1" SIGNS=0 ENDS=1 ADDRESSES=10.0.1.10 token-keys.sh
         waits until the API servers accept and sign with these keys; prints "signing with 0 since <time>"
       sudo token-keys.sh secrets FOLDER
         fails if a Secret holds a token of another key than those in FOLDER/sa-*.pub
Environment:
  ACCEPTS    numbers of the keys that are accepted, separated by blanks; /etc/kubernetes/pki/sa-<number>.pub
  SIGNS      number of the key that signs
  ENDS       number of the only key after the rotation
  ADDRESSES  addresses of the API servers, separated by blanks
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
case $#,${1:-} in
  0,)
    for v in ACCEPTS SIGNS ENDS ADDRESSES; do
      [ -n "${!v:-}" ] || {
        echo "token-keys: $v is not set" >&2
        usage >&2
        exit 2
      }
    done
    ;;
  2,secrets) ;;
  *)
    usage >&2
    exit 2
    ;;
esac

STATE=/var/lib/kubeadm-aws
PKI=/etc/kubernetes/pki
export KUBECONFIG=/etc/kubernetes/admin.conf
say() { printf 'token-keys: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
kube() { kubectl --request-timeout=20s "$@" </dev/null; }

# The API server gives a key the id that is the digest of its public part.
key_id() { # FILE
  openssl pkey -pubin -in "$1" -outform DER | openssl dgst -sha256 -binary | base64 -w 0 | tr '/+' '_-' | tr -d =
}
# token_key prints the id of the key that has signed the token on standard input.
token_key() {
  local header
  header=$(cut -d. -f1 | tr '_-' '/+')
  while [ $((${#header} % 4)) != 0 ]; do header+='='; done
  base64 -d <<<"$header" 2>/dev/null | sed -n 's/.*"kid":"\([^"]*\)".*/\1/p' || true
}

# has_keys succeeds if an API server shows the keys that are wanted, and signs with the right one.
has_keys() { # ADDRESS
  [ "$(kube --server "https://$1:6443" get --raw /openid/v1/jwks 2>/dev/null | grep -o '"kid":"[^"]*"' | sort)" = "$wanted" ] &&
    [ "$(kube --server "https://$1:6443" -n kube-system create token default 2>/dev/null | token_key)" = "$signing" ]
}

in_use() {
  local n wanted signing address until=$((SECONDS + 240)) stage="accepts $ACCEPTS signs $SIGNS ends $ENDS"
  wanted=$(for n in $ACCEPTS; do printf '"kid":"%s"\n' "$(key_id "$PKI/sa-$n.pub")"; done | sort)
  signing=$(key_id "$PKI/sa-$SIGNS.pub")
  for address in $ADDRESSES; do
    until has_keys "$address"; do
      [ "$SECONDS" -lt "$until" ] ||
        die "the API server at $address does not accept the keys $ACCEPTS of service accounts, or does not sign with $SIGNS; see the manifest of kube-apiserver there, and run pulumi up again"
      sleep 1
    done
  done
  # A step that runs again does not begin the wait of its stage again.
  [ "$(head -n 1 "$STATE/token-keys" 2>/dev/null)" = "$stage" ] ||
    { printf '%s\n%s\n' "$stage" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$STATE/token-keys.new" && mv "$STATE/token-keys.new" "$STATE/token-keys"; }
  echo "signing with $SIGNS since $(tail -n 1 "$STATE/token-keys")"
}

# A token in a Secret has no end, and no kubelet renews it.
secrets() { # FOLDER
  local f known='' all name token old=''
  for f in "$1"/sa-*.pub; do known+=" $(key_id "$f")"; done
  # shellcheck disable=SC2016 # a Go template
  all=$(kube get secrets --all-namespaces --field-selector type=kubernetes.io/service-account-token \
    -o go-template='{{range .items}}{{.metadata.namespace}}/{{.metadata.name}} {{with .data}}{{with .token}}{{.}}{{end}}{{end}}{{"\n"}}{{end}}') ||
    die "the API does not list the Secrets with tokens, so no key is dropped and nothing has been changed. Repair the API, then run pulumi up again; to change other settings first, set identity.rotateHours to 8760 meanwhile"
  while read -r name token; do
    [ -z "$token" ] || [[ "$known " = *" $(base64 -d <<<"$token" | token_key) "* ]] || old+=" $name"
  done <<<"$all"
  [ -z "$old" ] ||
    die "these Secrets hold tokens of a key that would be dropped, and nothing has been changed:$old. Renew each token, and give the new one to the programs that use it: kubectl -n <namespace> patch secret <name> -p '{\"data\":{\"token\":null}}'. Delete those that nobody uses. Then run pulumi up again"
}

if [ $# = 0 ]; then in_use; else secrets "$2"; fi
