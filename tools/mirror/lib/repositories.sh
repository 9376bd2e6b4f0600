# shellcheck shell=bash
# Two apt repositories, laid out like pkgs.k8s.io and download.docker.com, and signed with keys made on this machine.

# signing_key NAME makes a key once, in a GnuPG home of its own.
signing_key() {
  local home=$MIRROR_DIR/gpg/$1
  if [ ! -s "$home/key.asc" ]; then
    rm -rf "$home"
    install -d -m 700 "$home"
    GNUPGHOME=$home gpg -q --batch --pinentry-mode loopback --passphrase '' \
      --quick-generate-key "$1 mirror <root@localhost>" rsa3072 sign never 2>/dev/null
    GNUPGHOME=$home gpg -q --batch --armor --export >"$home/key.asc"
  fi
  # Hosts are told this fingerprint; the key itself comes with the repository.
  GNUPGHOME=$home gpg -q --batch --with-colons --fingerprint | awk -F: '$1 == "fpr" { print $10; exit }' >"$home/fingerprint"
  GNUPGHOME=$home gpgconf --kill gpg-agent
}

# sign NAME DIR signs the Release file in DIR with the key NAME.
sign() {
  local home=$MIRROR_DIR/gpg/$1
  GNUPGHOME=$home gpg -q --batch --yes --digest-algo SHA512 --clearsign -o "$2/InRelease" "$2/Release"
  GNUPGHOME=$home gpg -q --batch --yes --digest-algo SHA512 --armor --detach-sign -o "$2/Release.gpg" "$2/Release"
  GNUPGHOME=$home gpgconf --kill gpg-agent
}

# index POOL DIR writes the package index of POOL, relative to the current directory, to DIR.
index() {
  apt-ftparchive packages "$1" >"$2/Packages"
  gzip -kn9 "$2/Packages"
}

# release DIR FIELDS... writes DIR/Release, which lists the indexes below DIR.
release() {
  local dir=$1 field options=()
  shift
  for field; do options+=(-o "APT::FTPArchive::Release::$field"); done
  # The file may not list itself, so it is written outside first.
  apt-ftparchive "${options[@]}" release "$dir" >"$out/Release.part"
  mv "$out/Release.part" "$dir/Release"
}

repository_kubernetes() {
  local minor=v${1%.*} dir
  dir=$out/kubernetes/core:/stable:/$minor/deb
  mkdir -p "$dir/amd64"
  # Two patch releases of one minor share the package of the CNI plugins.
  ln -f "${debs[cni]}"/*.deb "${debs[k8s - $1]}"/*.deb "$dir/amd64/"
  cd "$dir"
  rm -f Packages*
  index amd64 .
  release . "Origin=obs://build.opensuse.org/isv:kubernetes:core:stable:$minor/deb" \
    "Label=isv:kubernetes:core:stable:$minor" Suite=deb Architectures=amd64
  cp "$MIRROR_DIR/gpg/kubernetes/key.asc" Release.key
  sign kubernetes .
}

repository_docker() {
  local dir=$out/docker/linux/debian pool=dists/bookworm/pool/stable/amd64 suite=dists/bookworm/stable/binary-amd64
  mkdir -p "$dir/$pool" "$dir/$suite"
  ln "${debs[containerd]}"/*.deb "$dir/$pool/"
  cd "$dir"
  index "$pool" "$suite"
  release dists/bookworm Origin=Docker 'Label=Docker CE' Suite=bookworm Codename=bookworm Architectures=amd64 Components=stable
  cp "$MIRROR_DIR/gpg/docker/key.asc" gpg
  sign docker dists/bookworm
}

make_repositories() {
  local v
  for v in $(releases); do repository_kubernetes "$v"; done
  repository_docker
}

build_repositories() {
  signing_key kubernetes
  signing_key docker
  stage apt "${debs[*]} $(content "$MIRROR_DIR"/gpg/*/key.asc) $(declare -f repository_kubernetes repository_docker index release sign)" \
    make_repositories
  publish apt
}
