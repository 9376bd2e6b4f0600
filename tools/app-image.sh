#!/usr/bin/env bash
# Builds the application's image once, and makes of it what environments may run. Each part is a step of application-build.yml:
#
#   tools/app-image.sh build     builds apps/src and pushes it without a tag; keeps its digest in .bin/image.digest
#   tools/app-image.sh scan      lists what is in it (.bin/image.spdx.json) and fails on a known high or critical vulnerability
#                                that has a fix and no exception in apps/vulnerabilities.txt
#   tools/app-image.sh sign      signs the digest and its list of parts with the identity of the workflow
#   tools/app-image.sh tag       gives it the commit as its tag, so that the registry keeps it
#   tools/app-image.sh digest    prints the digest
#
# REGISTRY is the host of the registry, with its path if it has one; COMMIT the commit that is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p .bin
image=${REGISTRY:?is not set: the variable IMAGE_REGISTRY of the repository, which make bootstrap prints}/app
: "${COMMIT:?is not set}"

digest() {
  local found
  found=$(cat .bin/image.digest 2>/dev/null) || true
  [[ $found =~ ^sha256:[0-9a-f]{64}$ ]] || {
    echo "there is no digest: did the build end well?" >&2
    exit 1
  }
  printf '%s\n' "$found"
}

build() {
  rm -f .bin/image.digest
  # A run that is repeated must not build another image: tags cannot be moved.
  if docker buildx imagetools inspect "$image:$COMMIT" --format '{{.Manifest.Digest}}' >.bin/image.digest 2>.bin/inspect.log; then
    echo "$image:$COMMIT is there already"
    return
  fi
  # Anything but a missing tag is an error.
  grep -qiE ': not found|manifest unknown' .bin/inspect.log || {
    cat .bin/inspect.log >&2
    exit 1
  }
  docker buildx build apps/src --build-arg "VERSION=$COMMIT" --provenance mode=max \
    --output "type=image,name=$image,push-by-digest=true,name-canonical=true,push=true" --metadata-file .bin/image.json
  python3 -c 'import json; print(json.load(open(".bin/image.json"))["containerimage.digest"])' >.bin/image.digest
  digest
}

# exceptions writes grype's configuration. An exception that has ended is an error, so that it is looked at again.
exceptions() {
  python3 - "$(date -u +%F)" <<'PYTHON'
import json, re, sys
today, ignored = sys.argv[1], []
for number, line in enumerate(open("apps/vulnerabilities.txt"), 1):
    line = line.split("#", 1)[0].strip()
    if not line:
        continue
    match = re.fullmatch(r"(\S+)\s+(\d{4}-\d\d-\d\d)\s+(\S.*)", line)
    if not match:
        sys.exit(f"apps/vulnerabilities.txt:{number}: want an id, the last day as YYYY-MM-DD, and a reason")
    if match[2] < today:
        sys.exit(f"apps/vulnerabilities.txt:{number}: the exception for {match[1]} ended on {match[2]}: fix it, or give it another day")
    ignored.append({"vulnerability": match[1], "reason": match[3]})
json.dump({"ignore": ignored}, open(".bin/grype.json", "w"))
PYTHON
}

scan() {
  exceptions
  syft "registry:$image@$(digest)" --output "spdx-json=.bin/image.spdx.json"
  grype "sbom:.bin/image.spdx.json" --config .bin/grype.json --only-fixed --fail-on high
}

sign() {
  cosign sign --yes "$image@$(digest)"
  cosign attest --yes --type spdxjson --predicate .bin/image.spdx.json "$image@$(digest)"
}

tag() {
  local found
  if found=$(docker buildx imagetools inspect "$image:$COMMIT" --format '{{.Manifest.Digest}}' 2>/dev/null); then
    [ "$found" = "$(digest)" ] || {
      echo "$image:$COMMIT is another image: $found" >&2
      exit 1
    }
    return
  fi
  docker buildx imagetools create --tag "$image:$COMMIT" "$image@$(digest)"
}

case ${1:-} in
  build | scan | sign | tag | digest) "$1" ;;
  *)
    echo 'build, scan, sign, tag or digest' >&2
    exit 2
    ;;
esac
