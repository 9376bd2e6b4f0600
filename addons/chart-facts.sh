#!/usr/bin/env bash
# Writes what the tests have to know of every chart in versions.go: its value keys to keys/, and the pods it
# makes of the program's values to testdata/pods/. Run it after changing a version or a value; the tests then say which
# of the values the chart does not know, and whether what it runs is what is counted.
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

kubernetes=$(sed -n 's/.*{Version: "\([^"]*\)".*/\1/p' ../config/releases.go | tail -n 1)
go build -o "$work/chartfacts" ./chartfacts
mkdir -p keys testdata/pods
rm -f keys/*.txt testdata/pods/*.txt
sed -n 's/.*= chart{"\([^"]*\)", "\([^"]*\)", "\([^"]*\)"}.*/\1 \2 \3/p' versions.go |
  while read -r name version repository; do
    dir=$(fetch "$name" "$version" "$repository")
    release=$name
    extras=()
    case $name in
      crd.projectcalico.org.v1) release=calico-crds ;;
      tigera-operator)
        release=calico
        # The chart passes this value on as the spec of an Installation, whose fields another chart defines.
        definitions=$(fetch crd.projectcalico.org.v1 "$version" "$repository")
        extras+=("installation=$definitions/templates/operator.tigera.io_installations.yaml")
        ;;
      argo-cd) extras+=('configs/params/**') ;;
      loki) extras+=('loki/storage/bucketNames/**' 'loki/limits_config/**') ;;
      kube-prometheus-stack) extras+=('grafana/grafana.ini/**') ;;
    esac
    "$work/chartfacts" keys "$dir" "${extras[@]}" >"keys/$name-$version.txt"
    helm template "$release" "$dir" --values "testdata/values/$release.yaml" --api-versions monitoring.coreos.com/v1 --kube-version "$kubernetes" |
      "$work/chartfacts" pods >"testdata/pods/$release.txt"
    echo "$name $version: $(wc -l <"keys/$name-$version.txt") keys, $(wc -l <"testdata/pods/$release.txt") containers" >&2
  done
