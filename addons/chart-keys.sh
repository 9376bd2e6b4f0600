#!/usr/bin/env bash
# Writes the value keys of every chart in versions.go to testdata/keys/<chart>-<version>.txt. Run it after changing a
# version; the tests then say which of the program's values the chart does not know.
#
# Needs helm and go. CHARTS may name a directory with unpacked charts, <chart>/, to be used instead of the network.
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Fetches chart $1 at version $2 from repository $3 and prints the directory it is in.
fetch() {
  if [[ -n ${CHARTS:-} ]]; then
    echo "$CHARTS/$1"
    return
  fi
  local into="$work/$1-$2"
  case $3 in
    oci://*) helm pull "$3/$1" --version "$2" --untar --untardir "$into" >&2 ;;
    *) helm pull "$1" --repo "$3" --version "$2" --untar --untardir "$into" >&2 ;;
  esac
  echo "$into/$1"
}

go build -o "$work/chartkeys" ./chartkeys
mkdir -p testdata/keys
rm -f testdata/keys/*.txt
sed -n 's/.*= chart{"\([^"]*\)", "\([^"]*\)", "\([^"]*\)"}.*/\1 \2 \3/p' versions.go |
  while read -r name version repository; do
    dir=$(fetch "$name" "$version" "$repository")
    extras=()
    case $name in
      tigera-operator)
        # The chart passes this value on as the spec of an Installation, whose fields another chart defines.
        definitions=$(fetch crd.projectcalico.org.v1 "$version" "$repository")
        extras+=("installation=$definitions/templates/operator.tigera.io_installations.yaml")
        ;;
      argo-cd) extras+=('configs/params/**') ;;
      loki) extras+=('loki/storage/bucketNames/**' 'loki/limits_config/**') ;;
      kube-prometheus-stack) extras+=('grafana/grafana.ini/**') ;;
    esac
    "$work/chartkeys" "$dir" "${extras[@]}" >"testdata/keys/$name-$version.txt"
    echo "$name $version: $(wc -l <"testdata/keys/$name-$version.txt") keys" >&2
  done
