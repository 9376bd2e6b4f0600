#!/usr/bin/env bash
# Measures the times that a user waits and prints a table: the build of the program (empty build cache, after a one-line
# edit), a warm simulation, and simulations of 4, 20 and 100 nodes. Takes about 10 minutes on 2 cores; run it on an idle machine.
#
#   tools/bench.sh [build] [simulation] [scale]      default: all
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
edited=stack/zz_bench.go
trap 'rm -rf "$work" "$edited"' EXIT
row() { printf '%-44s %s\n' "$1" "$2"; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f s", b - a }'; }

# Two compilers run at once. The larger figure is the memory that the machine needs, the smaller that of the largest process.
build() {
  go mod download
  (while :; do
    ps -eo rss=,comm= | awk '$2 ~ /^(compile|link|asm|go)$/ { s += $1; if ($1 > m) m = $1 } END { print s + 0, m + 0 }'
    sleep 0.5
  done) >"$work/memory" &
  local sampler=$! began
  began=$(now)
  GOCACHE=$work/cache go build -o "$work/program" .
  row 'cold build of the program' "$(since "$began")"
  kill "$sampler"
  row 'its peak memory, largest process' "$(awk '$2 > m { m = $2 } END { printf "%.1f GB", m / 1e6 }' "$work/memory")"
  row 'its peak memory, all processes' "$(awk '$1 > m { m = $1 } END { printf "%.1f GB", m / 1e6 }' "$work/memory")"
  printf 'package stack\n\nconst edited = true\n\nvar _ = edited\n' >"$edited"
  began=$(now)
  GOCACHE=$work/cache go build -o "$work/program" .
  row 'build after an edit in stack/' "$(since "$began")"
  rm -f "$edited"
}

simulation() {
  make --no-print-directory driver
  tools/pulumi.sh >/dev/null
  local command began
  make --no-print-directory destroy >/dev/null 2>&1 || true
  for command in up up destroy; do
    began=$(now)
    make --no-print-directory $command >/dev/null
    row "make $command, dev stack with all add-ons, warm" "$(since "$began")"
  done
}

# The memory of a size is that of the engine and of the program with its sandbox at once.
scale() {
  local size binary=$work/stack.test
  go test -c -o "$binary" ./stack
  for size in 4 20 100; do
    (while :; do
      ps -eo rss=,comm= | awk '$2 ~ /^(pulumi|stack.test)$/ { s += $1 } END { print s + 0 }'
      sleep 0.2
    done) >"$work/memory" &
    local sampler=$!
    (cd stack && PATH=$(dirname "$(../tools/pulumi.sh)"):$PATH "$binary" -test.run '^$' -test.bench "Simulation/nodes=$size\$" -test.benchtime 1x) | grep '^Benchmark'
    kill "$sampler"
    row "memory with $size nodes" "$(sort -n "$work/memory" | tail -n 1 | awk '{ printf "%.0f MB", $1 / 1e3 }')"
  done
}

row 'machine' "$(nproc) cores, $(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo), $(go env GOVERSION)"
[ $# -gt 0 ] || set -- build simulation scale
for part in "$@"; do "$part"; done
