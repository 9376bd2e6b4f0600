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
  # Alertmanager embeds a page that only its releases build.
  case $1 in */alertmanager@*) install -D /dev/null "$out/source/ui/app/dist/index.html" ;; esac
  (
    cd "$out/source" || exit
    # A module has no nested ones, which its go.mod takes from its own folders. They are published at the same version.
    while read -r nested folder; do
      [ -e "$folder" ] || go mod edit -replace "$nested=$nested@${1#*@}"
    done < <(sed -n 's/^\(replace \)\?\t*\([^ ]*\).* => \(\.[^ ]*\)$/\2 \3/p' go.mod)
    CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false' GOWORK=off \
      go build -trimpath -ldflags "-s -w ${*:4}" -o "$out/program" "./$2"
  )
  rm -rf "$out/source"
}

# image_of_module IMAGE MODULE@VERSION PACKAGE=PATH[,PATH] USER FLAGS: the program is at each path, and starts from the first.
image_of_module() {
  local paths
  compile_module "$2" "${3%%=*}" "${@:4}"
  IFS=, read -ra paths <<<"${3#*=}"
  add_image "$1" "{\"Entrypoint\":[\"${paths[0]}\"],\"User\":\"$4\"}" "${paths[@]/#/$out/program=}" \
    /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt
  rm "$out/program"
}

# image_of_packages IMAGE PACKAGES FILES CONFIG: files/FILES-root prepares the system before its packages are configured, and
# files/FILES-serve is its entrypoint. Both may be absent.
image_of_packages() {
  local debian hooks=()
  if [ -e "$mirror/files/$3-root" ]; then hooks+=("--essential-hook=$mirror/files/$3-root"); fi
  if [ -e "$mirror/files/$3-serve" ]; then
    hooks+=("--customize-hook=install -m 755 $mirror/files/$3-serve \"\$1/usr/local/bin/serve\"")
  fi
  debian=$(debian_mirror)
  # A copy of the repository may stand still for longer than its release file is valid.
  mmdebstrap --variant=essential --include="$2" --aptopt='Acquire::Check-Valid-Until "false"' \
    "${hooks[@]}" --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' forky "$out/root" "deb $debian/debian forky main" >&2
  rm -rf "${out:?}"/root/{dev,proc,sys,var/cache,var/lib/apt}
  add_image "$1" "$4" "$out/root=/"
  rm -rf "${out:?}/root"
}

# image_of_standin IMAGE COMMAND=PATH USER: standins/main.go, with the command before the arguments of the pod.
image_of_standin() {
  (cd "$mirror/standins" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/program" .)
  add_image "$1" "{\"Entrypoint\":[\"${2#*=}\",\"${2%%=*}\"],\"User\":\"$3\"}" "$out/program=${2#*=}"
  rm "$out/program"
}

# gather puts the layouts of all images side by side, and names their releases and their registries.
gather() {
  local layout
  for layout; do
    cp -al "$layout" "$out/$(basename "$layout")"
    rm -f "$out/$(basename "$layout")/.done"
  done
  sed -e '/^#/d' -e 's/ .*//' "$mirror/platform.txt" | sort -u >"$out/releases"
  platform_rows | sed -e 's/^[^ ]* //' -e 's#/.*##' | sort -u >"$out/registries"
}

build_platform() {
  local image from path rest name packer layouts=()
  packer=$(content "$mirror"/server/*)
  install_missing mmdebstrap ca-certificates
  while read -r _ image from path rest <&3; do
    name=image-$(basename "${image/:/-}")
    case $from in
      forky:*)
        stage "$name" "$packer $(find "$mirror/files" -name "$path-*" | sort | xargs -r cat | content) $(declare -f debian_mirror)" \
          image_of_packages "$image" "${from#forky:}" "$path" "$rest"
        ;;
      standin:)
        # shellcheck disable=SC2086
        stage "$name" "$packer $go_version $(content "$mirror"/standins/*)" image_of_standin "$image" "$path" $rest
        ;;
      *)
        # shellcheck disable=SC2086 # user and flags are words
        stage "$name" "$packer $go_version $(declare -f compile_module)" image_of_module "$image" "$from" "$path" $rest
        ;;
    esac
    layouts+=("$result")
  done 3< <(platform_rows)
  stage platform "$(content "$mirror/platform.txt") $(declare -f gather)" gather "${layouts[@]}"
  publish platform
}
