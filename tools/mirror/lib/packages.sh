# shellcheck shell=bash
# Debian packages and the archive of etcd, with the names, files and dependencies of the official ones.

# make_deb NAME VERSION SECTION ROOT packs the files below ROOT; further fields of the control file come on stdin.
make_deb() {
  local name=$1 version=$2 section=$3 root=$4
  mkdir -p "$root/DEBIAN"
  {
    printf '%s\n' "Package: $name" "Version: $version" 'Architecture: amd64' "Section: $section" 'Priority: optional' \
      'Maintainer: kubeadm-aws mirror <root@localhost>' "Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)"
    cat
  } >"$root/DEBIAN/control"
  # Level 1 packs the kubelet in 2 s; disk space matters less than time here.
  SOURCE_DATE_EPOCH=1735689600 dpkg-deb --root-owner-group -Zgzip -z1 --build "$root" "$out/${name}_${version}_amd64.deb" >&2
  rm -rf "$root"
}

# No package of Kubernetes enables or starts the kubelet; kubeadm carries the kubelet's drop-in.
package_kubernetes() {
  local version=$1-1.1 programs=$2/bin root=$out/root
  install -D "$programs/kubectl" "$root/usr/bin/kubectl"
  make_deb kubectl "$version" admin "$root" <<<'Description: Command-line utility for interacting with a Kubernetes cluster'

  install -D "$programs/kubeadm" "$root/usr/bin/kubeadm"
  install -D -m 644 "$mirror/files/10-kubeadm.conf" "$root/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"
  make_deb kubeadm "$version" admin "$root" <<<'Description: Command-line utility for administering a Kubernetes cluster'

  install -D "$programs/kubelet" "$root/usr/bin/kubelet"
  install -D -m 644 "$mirror/files/kubelet.service" "$root/usr/lib/systemd/system/kubelet.service"
  install -d "$root/var/lib/kubelet" "$root/etc/kubernetes/manifests" "$root/etc/default" "$root/DEBIAN"
  touch "$root/var/lib/kubelet/.kubelet-keep" "$root/etc/kubernetes/manifests/.kubelet-keep"
  echo 'KUBELET_EXTRA_ARGS=' >"$root/etc/default/kubelet"
  echo '/etc/default/kubelet' >"$root/DEBIAN/conffiles"
  make_deb kubelet "$version" net "$root" <<E
Depends: kubernetes-cni (>= 1.2.0), mount, util-linux
Recommends: iptables (>= 1.8.4)
Description: Node agent for Kubernetes clusters
E
}

package_cni() {
  local root=$out/root
  install -d "$root/opt/cni/bin"
  install "$2"/bin/* "$root/opt/cni/bin/"
  make_deb kubernetes-cni "${1#v}-1.1" net "$root" <<<'Description: Binaries required to provision container networking'
}

# The shipped configuration switches the CRI plugin off, as Docker's package does.
package_containerd() {
  local root=$out/root f
  install -d "$root/usr/bin" "$root/DEBIAN" "$root/etc/containerd"
  install "$2"/bin/* "$3/bin/runc" "$root/usr/bin/"
  install -D -m 644 "$mirror/files/containerd.service" "$root/usr/lib/systemd/system/containerd.service"
  echo 'disabled_plugins = ["cri"]' >"$root/etc/containerd/config.toml"
  echo '/etc/containerd/config.toml' >"$root/DEBIAN/conffiles"
  for f in postinst prerm postrm; do install -m 755 "$mirror/files/containerd.$f" "$root/DEBIAN/$f"; done
  make_deb containerd.io "${1#v}-1~debian.12~bookworm" devel "$root" <<E
Depends: libc6 (>= 2.34), libseccomp2 (>= 2.5.0)
Provides: containerd, runc
Conflicts: containerd, runc
Replaces: containerd, runc
Description: An open and reliable container runtime
E
}

archive_etcd() {
  local name=etcd-$1-linux-amd64
  mkdir -p "$out/$name"
  install "$2"/bin/etcd "$2"/bin/etcdctl "$2"/bin/etcdutl "$out/$name/"
  tar -C "$out" --sort=name --owner=0 --group=0 --mtime=@1735689600 -I 'gzip -n1' -cf "$out/$name.tar.gz" "$name"
  rm -rf "${out:?}/$name"
  (cd "$out" && sha256sum "$name.tar.gz" >SHA256SUMS)
}

# build_packages sets the array debs and publishes the archive of etcd.
declare -A debs
build_packages() {
  local v files
  install_missing dpkg-dev apt-utils gnupg
  files=$(content "$mirror"/files/*)
  for v in $(releases); do
    stage "packages-k8s-$v" "$files" package_kubernetes "$v" "${bin[k8s - $v]}"
    debs[k8s - $v]=$result
  done
  stage "packages-cni-$cni_version" "$files" package_cni "$cni_version" "${bin[cni]}"
  debs[cni]=$result
  stage "packages-containerd-$containerd_version" "$files" package_containerd "$containerd_version" "${bin[containerd]}" "${bin[runc]}"
  debs[containerd]=$result
  stage "archive-etcd-$etcd_version" '' archive_etcd "$etcd_version" "${bin[etcd]}"
  publish "etcd/$etcd_version"
}
