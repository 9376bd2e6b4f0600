#!/usr/bin/env bash
# Runs the whole test suite: Go's tests with the pinned Pulumi CLI on PATH, moto for those that ask an AWS API, and a real
# kube-apiserver with etcd and Pulumi's provider for those that ask Kubernetes. The first run compiles these programs (about 15
# minutes on 2 cores).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pulumi=$(tools/pulumi.sh)
PATH=$(dirname "$pulumi"):$PATH
moto=$(tools/moto.sh)
PATH=$(dirname "$moto"):$PATH
KUBEBUILDER_ASSETS=${KUBEBUILDER_ASSETS:-$(tools/mirror/build binaries)}
export PATH KUBEBUILDER_ASSETS
# A file in the place of the CLI's log keeps it from writing one, which is a third of the time of an operation.
PULUMI_HOME=$PWD/.bin/pulumi-home
mkdir -p "$PULUMI_HOME"
: >"$PULUMI_HOME/logs"
export PULUMI_HOME
failed=0
# A package that fails does not keep the others from running. make lint runs go vet. Go wants -C before every other flag.
check() { # [-C DIRECTORY] FLAG... PACKAGE...
  local in=()
  if [ "$1" = -C ]; then
    in=(-C "$2")
    shift 2
  fi
  # Garbage is collected less often in the tests and in the CLI that they run, but not in Go's compiler.
  go test "${in[@]}" -vet=off -exec 'env GOGC=400' "$@" || failed=1
}
echo 'Compiling and running all tests: about 45 minutes on 2 cores. Packages are printed in order, and the first takes most of that.'
# A package has ten minutes by default, which is too short for the simulations in stack/ on a busy machine.
# The longest packages come first, so that none of them runs alone at the end. One package more than cores uses the time
# in which a test waits for a server.
check -timeout 75m -p "$(($(nproc) + 1))" "$@" ./internal/driver ./stack ./addons ./...
# The types of Kubernetes itself are in modules of their own, one for each release, which the program does not depend on.
# Go's test cache does not see the files that they read outside of their module, hence -count=1.
for release in tools/mirror/modules/k8s-*; do
  check -C cluster/schematest -count=1 -modfile="../../$release/go.mod" "$@" ./...
  check -C config/schematest -count=1 -modfile="../../$release/go.mod" "$@" ./...
done
# So is the code of containerd.
check -C cluster/containerdtest "$@" ./...
# And that of Prometheus and Alertmanager. Go's cache does not see that files outside of a module have changed.
check -C addons/alerttest -count=1 "$@" ./...
# And that of Argo Rollouts, which judges a release.
check -C apps/releasetest -count=1 "$@" ./...
# And that of Argo CD, which decides what Git may do.
check -C apps/projecttest -count=1 "$@" ./...
# The application, with its own dependencies and against real servers.
apps/test.sh || failed=1
exit "$failed"
