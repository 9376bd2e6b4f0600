#!/usr/bin/env bash
# Writes what the tests have to know of every chart in catalog/: its value keys to internal/chartvalues/keys/, and the pods it
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
keys=../internal/chartvalues/keys
mkdir -p "$keys" testdata/pods
rm -f "$keys"/*.txt testdata/pods/*.txt
kubernetes=$(sed -n 's/.*{Version: "\([^"]*\)".*/\1/p' ../config/releases.go | tail -n 1)
charts=$("$work/chartfacts" charts)
while read -r name version _ repository release facts; do
  dir=$(fetch "$name" "$version" "$repository")
  extras=()
  for fact in $facts; do
    # The definition of a key's fields is in another chart of the same repository and version.
    if [[ $fact = *=* ]]; then
      chart=${fact#*=} && chart=${chart%%/*}
      fact=${fact%%=*}=$(fetch "$chart" "$version" "$repository")/${fact#*=*/}
    fi
    extras+=("$fact")
  done
  "$work/chartfacts" keys "$dir" "${extras[@]}" >"$keys/$name-$version.txt"
  helm template "$release" "$dir" --values "testdata/values/$release.yaml" --api-versions monitoring.coreos.com/v1 --kube-version "$kubernetes" |
    "$work/chartfacts" pods >"testdata/pods/$release.txt"
  echo "$name $version: $(wc -l <"$keys/$name-$version.txt") keys, $(wc -l <"testdata/pods/$release.txt") containers" >&2
done <<<"$charts"
