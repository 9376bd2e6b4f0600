# shellcheck shell=bash
# The images of the add-ons, as platform.txt lists them: programs compiled from their own Go modules, and servers of Debian 14.

# platform_rows prints the rows of the table that have an image.
platform_rows() { sed -e '/^#/d' -e '/ -$/d' "$mirror/platform.txt"; }

# compile_module MODULE@VERSION PACKAGE USER FLAGS makes $out/program. The module is built in a copy of its folder, because only
# there its own go.mod, go.sum and replacements count. Go checks the download by its public checksum database.
compile_module() {
  local dir
  dir=$(cd / && go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [ -n "$dir" ] || die "$1 cannot be downloaded"
  cp -r "$dir" "$out/source"
  chmod -R u+w "$out/source"
  (cd "$out/source" && CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false' \
    go build -trimpath -ldflags "-s -w ${*:4}" -o "$out/program" "./$2")
  rm -rf "$out/source"
}

# image_of_module IMAGE MODULE@VERSION PACKAGE=PATH USER FLAGS
image_of_module() {
  compile_module "$2" "${3%%=*}" "${@:4}"
  add_image "$1" "{\"Entrypoint\":[\"${3#*=}\"],\"User\":\"$4\"}" "$out/program=${3#*=}" \
    /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt
  rm "$out/program"
}

# image_of_packages IMAGE PACKAGES FILES CONFIG: files/FILES-root prepares the system before its packages are configured, and
# files/FILES-serve is its entrypoint.
image_of_packages() {
  local debian
  debian=$(debian_mirror)
  # A copy of the repository may stand still for longer than its release file is valid.
  mmdebstrap --variant=essential --include="$2" --aptopt='Acquire::Check-Valid-Until "false"' \
    --essential-hook="$mirror/files/$3-root" --customize-hook="install -m 755 $mirror/files/$3-serve \"\$1/usr/local/bin/serve\"" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' forky "$out/root" "deb $debian/debian forky main" >&2
  rm -rf "${out:?}"/root/{dev,proc,sys,var/cache,var/lib/apt}
  add_image "$1" "$4" "$out/root=/"
  rm -rf "${out:?}/root"
}

# gather puts the layouts of all images side by side, and names the releases whose images are there.
gather() {
  local layout
  for layout; do
    cp -al "$layout" "$out/$(basename "$layout")"
    rm -f "$out/$(basename "$layout")/.done"
  done
  sed -e '/^#/d' -e 's/ .*//' "$mirror/platform.txt" | sort -u >"$out/releases"
}

build_platform() {
  local image from path rest name packer layouts=()
  packer=$(content "$mirror"/server/*)
  install_missing mmdebstrap ca-certificates
  while read -r _ image from path rest <&3; do
    name=image-$(basename "${image/:/-}")
    case $from in
      forky:*)
        stage "$name" "$packer $(content "$mirror/files/$path"-*) $(declare -f debian_mirror)" \
          image_of_packages "$image" "${from#forky:}" "$path" "$rest"
        ;;
      *)
        # shellcheck disable=SC2086 # user and flags are words
        stage "$name" "$packer $go_version $(declare -f compile_module)" image_of_module "$image" "$from" "$path" $rest
        ;;
    esac
    layouts+=("$result")
  done 3< <(platform_rows)
  stage platform "$(content "$mirror/platform.txt")" gather "${layouts[@]}"
  publish platform
}
