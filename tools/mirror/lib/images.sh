# shellcheck shell=bash
# Container images: what kubeadm pulls, in one OCI layout that the server offers as a registry.

# Debian packages that make up the userland of the kube-proxy image.
proxy_packages='libc6 iptables nftables conntrack netbase libnftables1 libnftnl11 libmnl0 libxtables12 libip4tc2 libip6tc2
  libnfnetlink0 libnetfilter-conntrack3 libjansson4 libgmp10 libedit2 libtinfo6 libbsd0 libmd0'

proxy_root() {
  local p lib=usr/lib/x86_64-linux-gnu
  mkdir -p "$out/debs" "$out/root/tmp" "$out/root/run"
  # shellcheck disable=SC2086 # one word for each package
  (cd "$out/debs" && apt-get -qq -o APT::Sandbox::User=root download $proxy_packages)
  for p in "$out"/debs/*.deb; do dpkg-deb -x "$p" "$out/root"; done
  rm -rf "$out/debs" "$out/root/usr/share" "$out/root/usr/include" "$out/root/$lib/gconv" "$out/root/${lib#usr/}/gconv"
  for p in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-nft-multi "$out/root/usr/sbin/$p"
  done
  for p in 'iptables --version' 'ip6tables-restore --version' 'nft --version' 'conntrack --version'; do
    # shellcheck disable=SC2086 # a program and its argument
    chroot "$out/root" /usr/sbin/$p >&2
  done
}

# add_image NAME CONFIG SOURCE=PATH... adds a one-layer image to the layout in $out. NAME is like registry.k8s.io/pause:3.10.
add_image() { "$server" image "$out" "$@" >&2; }

# One etcd, one CoreDNS and one pause image stand behind all the tags that the releases of kubeadm ask for.
make_registry() {
  local v name repository programs
  while read -r v name; do
    repository=${name#registry.k8s.io/}
    repository=${repository%:*}
    programs=${bin[k8s - $v]}/bin
    case $repository in
      etcd)
        programs=${bin[etcd]}/bin
        add_image "$name" '{}' "$programs/etcd=/usr/local/bin/etcd" "$programs/etcdctl=/usr/local/bin/etcdctl" \
          "$programs/etcdutl=/usr/local/bin/etcdutl"
        ;;
      coredns/coredns) add_image "$name" '{"Entrypoint":["/coredns"]}' "${bin[coredns]}/bin/coredns=/coredns" ;;
      pause) add_image "$name" '{"Entrypoint":["/pause"],"User":"65535:65535"}' "${bin[pause]}/bin/pause=/pause" ;;
      kube-proxy) add_image "$name" '{}' "${bin[proxy - root]}/root=/" "$programs/kube-proxy=/usr/local/bin/kube-proxy" ;;
      *)
        add_image "$name" "{\"Entrypoint\":[\"/usr/local/bin/$repository\"]}" "$programs/$repository=/usr/local/bin/$repository"
        ;;
    esac
  done < <(for v in $(releases); do
    "${bin[k8s - $v]}/bin/kubeadm" config images list --kubernetes-version "v$v" | sed "s/^/$v /"
  done | sort -u)
}

build_registry() {
  server=$(server_program)
  stage proxy-root "$proxy_packages" proxy_root
  bin[proxy - root]=$result
  stage registry "${bin[*]} $server $(declare -f add_image)" make_registry
  publish registry
  ln -sfn "$server" "$MIRROR_DIR/server"
}
