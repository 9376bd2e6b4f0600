#!/usr/bin/env bash
# Checks style and the mistakes that tools can find: Go, shell, YAML and the pipelines. Prints what is wrong and fails.
# shellcheck disable=SC2317 # functions are called through check
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
mkdir -p .bin

failed=0
check() {
  local name=$1
  shift
  if "$@"; then
    printf 'lint  %-12s ok\n' "$name"
  else
    printf 'lint  %-12s FAILED\n' "$name"
    failed=1
  fi
}

# tool NAME MODULE PACKAGE builds a Go tool at the version that the module pins.
tool() { go build -C "$2" -o "$PWD/.bin/$1" "$3"; }

formatted() {
  local bad
  bad=$(git ls-files -z '*.go' | xargs -0 -r gofmt -l)
  [ -z "$bad" ] || {
    printf 'not gofmt-ed: %s\n' "$bad"
    return 1
  }
}
# scripts prints the shell scripts of the repository, by their first line, each ended by NUL.
scripts() {
  git ls-files -z | while IFS= read -r -d '' f; do
    if [ -f "$f" ] && head -n 1 "$f" | grep -qaE '^#!.*\b(ba)?sh\b'; then printf '%s\0' "$f"; fi
  done
}
# shformatted also checks the files that scripts source. shfmt reads its style from .editorconfig.
shformatted() {
  go build -C tools/shfmt -o ../../.bin/shfmt mvdan.cc/sh/v3/cmd/shfmt &&
    { scripts && git ls-files -z '*.sh'; } | sort -zu | xargs -0 .bin/shfmt --diff
}
# layered refuses an import of the workshop (internal/, cmd/) by a package of the product. Tests may import it.
layered() {
  local bad
  bad=$(go list -f '{{range .Imports}}{{$.ImportPath}} imports {{.}}{{"\n"}}{{end}}' \
    . ./bootstrap/... ./config/... ./stack/... ./infra/... ./cluster/... ./addons/... ./sweep/... | grep -E 'imports kubeadm-aws/(internal|cmd)/')
  [ -z "$bad" ] || {
    printf '%s\n' "$bad"
    return 1
  }
}
# tidy compares go.mod and go.sum of each module that is ours with what its packages import.
tidy() {
  local module
  for module in . tools/mirror/server apps/projecttest apps/releasetest; do
    go mod -C "$module" tidy -diff >.bin/tidy.diff || {
      cat .bin/tidy.diff
      echo "run: go mod -C $module tidy"
      return 1
    }
  done
}
staticchecked() { tool staticcheck tools honnef.co/go/tools/cmd/staticcheck && .bin/staticcheck -tags e2e ./...; }
# small holds the functions of the product to 60 lines and 5 parameters.
small() {
  go build -C tools/revive -o ../../.bin/revive github.com/mgechev/revive &&
    .bin/revive -config tools/revive/revive.toml -set_exit_status . ./bootstrap/... ./config/... ./stack/... ./infra/... ./cluster/... ./addons/... ./sweep/...
}
workflows() {
  [ -d .github/workflows ] || {
    echo 'no workflows'
    return 0
  }
  # GitHub knows concurrency.queue and environment.deployment; this version does not yet.
  # In a module of its own: it does not compile with the YAML library that the other tools need.
  go build -C tools/actionlint -o ../../.bin/actionlint github.com/rhysd/actionlint/cmd/actionlint &&
    .bin/actionlint -ignore 'unexpected key "queue" for "concurrency" section' -ignore 'unexpected key "deployment" for "environment" section'
}
# audited looks for security faults in the workflows. The audits that ask GitHub are left out, so the result is the same
# everywhere.
audited() {
  local venv=.bin/zizmor
  if ! cmp -s tools/zizmor.txt "$venv/installed.txt"; then
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tools/zizmor.txt; }; then
      echo 'zizmor cannot be installed: python3-venv and a package index are needed'
      return 1
    fi
    cp tools/zizmor.txt "$venv/installed.txt"
  fi
  "$venv/bin/zizmor" --offline --quiet --no-progress .github 2>.bin/zizmor.log || {
    cat .bin/zizmor.log
    return 1
  }
}
# needs CMD WHAT: these two are not Go and not built here.
needs() {
  command -v "$1" >/dev/null && return
  echo "$1 is missing: apt-get install $1"
  return 1
}
shells() { needs shellcheck && scripts | xargs -0 -r shellcheck; }
yamls() { needs yamllint && yamllint --strict .; }

check gofmt formatted
check imports layered
check tidy tidy
check vet go vet -tags e2e ./...
check staticcheck staticchecked
check functions small
check shfmt shformatted
check shellcheck shells
check yamllint yamls
check actionlint workflows
check zizmor audited
exit "$failed"
