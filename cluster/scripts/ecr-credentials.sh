#!/usr/bin/env bash
# The kubelet's credential provider for ECR. It reads a CredentialProviderRequest and answers with a login that AWS issues
# to the role of this machine. prepare.sh installs it.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: ecr-credentials.sh < request.json > response.json
The request names an image, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/dev/fastapi:1.0.
Environment:
  METADATA       metadata service, default http://169.254.169.254
  ECR_ENDPOINT   API of ECR, default that of the region in the image's name
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
die() {
  printf 'ecr-credentials: %s\n' "$*" >&2
  exit 1
}

request=$(cat)
image=$(sed -n 's/.*"image" *: *"\([^"]*\)".*/\1/p' <<<"$request")
[[ $image =~ ^([0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.(amazonaws\.(com|com\.cn|eu)))/ ]] || die "not an image in ECR: ${image:-nothing}"
registry=${BASH_REMATCH[1]} region=${BASH_REMATCH[2]}
endpoint=${ECR_ENDPOINT:-https://api.ecr.$region.${BASH_REMATCH[3]}}

# field NAME < json: prints the text at a key, on whatever line it is.
field() { tr -d '\n' | sed -n "s/.*\"$1\" *: *\"\\([^\"]*\\)\".*/\\1/p"; }

metadata=${METADATA:-http://169.254.169.254}/latest
get() { curl -fsS --connect-timeout 2 --max-time 10 --retry 2 "$@"; }
credentials() {
  local token role
  token=$(get -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token") || return 1
  role=$(get -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/iam/security-credentials/") || return 1
  get -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/iam/security-credentials/$role"
}
keys=$(credentials) || die "the metadata service gives no credentials: has this machine an instance profile?"

# curl reads secrets from its standard input, because every process can read its command line.
answer=$(
  curl -sS --fail-with-body --connect-timeout 5 --max-time 30 --retry 3 --aws-sigv4 "aws:amz:$region:ecr" -K - \
    -H 'Content-Type: application/x-amz-json-1.1' \
    -H 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken' \
    -d '{}' "$endpoint/" <<TEXT
user = "$(field AccessKeyId <<<"$keys"):$(field SecretAccessKey <<<"$keys")"
header = "x-amz-security-token: $(field Token <<<"$keys")"
TEXT
) || die "ECR in $region refuses: $(field message <<<"$answer")"
login=$(field authorizationToken <<<"$answer" | base64 -d) || die "ECR in $region gives no login"
[[ $login =~ ^AWS:([A-Za-z0-9+/=_.-]+)$ ]] || die "ECR in $region gives a login of an unknown kind"

# A login is valid for 12 hours.
printf '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"6h0m0s","auth":{"%s":{"username":"AWS","password":"%s"}}}\n' \
  "$registry" "${BASH_REMATCH[1]}"
