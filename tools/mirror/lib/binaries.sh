# shellcheck shell=bash
# Programs, compiled from the Go modules in modules/. Each go.mod names its programs with tool directives.

needs_go() {
  PATH=$PATH:/usr/local/go/bin
  command -v go >/dev/null || die 'Go is missing: https://go.dev/dl/'
  export GOFLAGS='-mod=readonly -buildvcs=false' GOOS=linux GOARCH=amd64 GOWORK=off
  go_version=$(go env GOVERSION)
}

releases() { find "$mirror/modules" -name 'k8s-*' -printf '%f\n' | sed 's/^k8s-//' | sort -V; }

# module_version MODULE PATH prints the version of PATH that modules/MODULE/go.mod requires.
module_version() { (cd "$mirror/modules/$1" && go list -m -f '{{.Version}}' "$2"); }

# module_content MODULE prints one checksum of what the module's programs are made of.
module_content() { printf '%s %s\n' "$go_version" "$(content "$mirror/modules/$1"/go.* "$mirror/modules/$1"/*.go 2>/dev/null)"; }

# go_build MODULE LDFLAGS TAGS [PACKAGES] compiles static programs into $out/bin; without PACKAGES all tools of the module.
go_build() {
  mkdir -p "$out/bin"
  (cd "$mirror/modules/$1" &&
    CGO_ENABLED=${CGO_ENABLED:-0} go build -trimpath -tags "$3" -ldflags "-s -w $2" -o "$out/bin/" "${4:-tool}")
}

build_kubernetes() {
  local version=$1 flags='' p minor
  minor=${version#*.}
  # Without these, kubeadm calls itself a development build and refuses the skew between its version and the cluster's.
  for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $p.gitVersion=v$version -X $p.gitMajor=${version%%.*} -X $p.gitMinor=${minor%%.*}"
    flags+=" -X $p.gitTreeState=clean -X $p.gitCommit=unknown -X $p.buildDate=1970-01-01T00:00:00Z"
  done
  go_build "k8s-$version" "$flags" ''
}

build_etcd() {
  go_build etcd '' ''
  # The import path of the server ends in server/v3, but the program is called etcd.
  mv "$out/bin/server" "$out/bin/etcd"
}

build_coredns() { go_build coredns '' '' .; }

build_containerd() {
  local p=github.com/containerd/containerd/v2/version
  go_build containerd "-X $p.Version=$1 -X $p.Package=github.com/containerd/containerd/v2" 'no_btrfs no_devmapper no_zfs'
}

build_runc() { CGO_ENABLED=1 go_build runc '' seccomp; }

build_cni() { go_build cni "-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=$1" ''; }

# The name is the one by which Pulumi knows its providers.
build_provider() {
  go_build kubernetes-provider '' '' .
  mv "$out/bin/kubernetes-provider" "$out/bin/pulumi-resource-kubernetes"
}

build_pause() {
  mkdir -p "$out/bin"
  gcc -Os -Wall -static -s -o "$out/bin/pause" "$mirror/files/pause.c"
}

build_server() {
  mkdir -p "$out/bin"
  (cd "$mirror/server" && CGO_ENABLED=0 go build -trimpath -o "$out/bin/mirror" .)
}

# server_program prints the path of the program that writes and serves container images.
server_program() {
  needs_go
  stage server "$go_version $(content "$mirror"/server/*)" build_server >&2
  printf '%s\n' "$result/bin/mirror"
}

# test_programs publishes the control plane of a release in the layout that KUBEBUILDER_ASSETS names, and Pulumi's provider.
test_programs() {
  local p
  for p in kube-apiserver kube-controller-manager kube-scheduler kubeadm kubectl; do ln "$1/bin/$p" "$out/$p"; done
  ln "$2/bin/etcd" "$out/etcd"
  ln "$3/bin/pulumi-resource-kubernetes" "$out/pulumi-resource-kubernetes"
}

# build_binaries WHAT compiles what tests need (binaries), or everything. It sets the array bin and the versions.
declare -A bin
build_binaries() {
  local v
  etcd_version=$(module_version etcd go.etcd.io/etcd/server/v3)
  containerd_version=$(module_version containerd github.com/containerd/containerd/v2)
  cni_version=$(module_version cni github.com/containernetworking/plugins)
  stage "etcd-$etcd_version" "$(module_content etcd)" build_etcd
  bin[etcd]=$result
  stage "kubernetes-provider-$(module_version kubernetes-provider github.com/pulumi/pulumi-kubernetes/provider/v4)" \
    "$(module_content kubernetes-provider) $(find "$mirror/modules/kubernetes-provider/sdk" -type f | sort | xargs cat | sha256sum)" build_provider
  bin[provider]=$result
  for v in $(releases); do
    # Tests need the newest release only.
    if [ "$1" = binaries ] && [ "$v" != "$(releases | tail -n 1)" ]; then continue; fi
    stage "k8s-$v" "$(module_content "k8s-$v")" build_kubernetes "$v"
    bin[k8s - $v]=$result
    stage "test-programs-$v" "${bin[k8s - $v]} ${bin[etcd]}" test_programs "${bin[k8s - $v]}" "${bin[etcd]}" "${bin[provider]}"
    publish "test-programs/$v"
  done
  if [ "$1" = binaries ]; then return; fi
  install_missing ca-certificates gcc libc6-dev libseccomp-dev pkg-config
  stage "coredns-$(module_version coredns github.com/coredns/coredns)" "$(module_content coredns)" build_coredns
  bin[coredns]=$result
  stage "containerd-$containerd_version" "$(module_content containerd)" build_containerd "$containerd_version"
  bin[containerd]=$result
  stage "runc-$(module_version runc github.com/opencontainers/runc)" "$(module_content runc)" build_runc
  bin[runc]=$result
  stage "cni-$cni_version" "$(module_content cni)" build_cni "$cni_version"
  bin[cni]=$result
  stage pause "$(content "$mirror/files/pause.c")" build_pause
  bin[pause]=$result
}
