# shellcheck shell=bash
# The images of the add-ons, as platform.txt lists them: programs compiled from their own Go modules, systems of Debian 14,
# and the application of apps/src.

# platform_rows prints the rows of the table that have an image.
platform_rows() { sed -e '/^#/d' -e '/ -$/d' "$mirror/platform.txt"; }

# compile_module MODULE@VERSION PACKAGE [NESTED@VERSION...] [FLAGS...] makes $out/program. The module is built in a copy of
# its folder, because only there its own go.mod, go.sum and replacements count. Go checks the download by its public
# checksum database.
compile_module() {
  local dir module=$1 package=$2 nested folder versions=()
  shift 2
  while [[ ${1:-} == *@* ]]; do
    versions+=("$1")
    shift
  done
  dir=$(cd / && go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [ -n "$dir" ] || die "$module cannot be downloaded"
  cp -r "$dir" "$out/source"
  chmod -R u+w "$out/source"
  # Alertmanager embeds a page that only its releases build.
  case $module in */alertmanager@*) install -D /dev/null "$out/source/ui/app/dist/index.html" ;; esac
  (
    cd "$out/source" || exit
    # A module has no nested ones, which its go.mod takes from its own folders. Most are published at the same version.
    while read -r nested folder; do
      [ -e "$folder" ] || go mod edit -replace "$nested=$nested@${module#*@}"
    done < <(sed -n 's/^\(replace \)\?\t*\([^ ]*\).* => \(\.[^ ]*\)$/\2 \3/p' go.mod)
    for nested in "${versions[@]}"; do go mod edit -replace "${nested%@*}=$nested"; done
    CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false' GOWORK=off \
      go build -trimpath -ldflags "-s -w $*" -o "$out/program" "./$package"
  )
  rm -rf "$out/source"
}

# image_of_module IMAGE MODULE@VERSION PACKAGE=PATH[,PATH] USER FLAGS: the program is at each path, and starts from the first.
image_of_module() {
  local paths
  compile_module "$2" "${3%%=*}" "${@:5}"
  IFS=, read -ra paths <<<"${3#*=}"
  add_image "$1" "{\"Entrypoint\":[\"${paths[0]}\"],\"User\":\"$4\"}" "${paths[@]/#/$out/program=}" \
    /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt
  rm "$out/program"
}

# from_copies makes Git read repositories from bare copies below MIRROR_SOURCES, such as github.com/OWNER/NAME.git there.
from_copies() {
  if [ -z "${MIRROR_SOURCES:-}" ]; then return; fi
  export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.file://$MIRROR_SOURCES/.insteadOf GIT_CONFIG_VALUE_0=https://
}

# readable REPOSITORY@COMMIT returns whether the repository answers.
readable() (
  from_copies
  GIT_TERMINAL_PROMPT=0 git ls-remote --quiet "https://${1%@*}" HEAD >/dev/null 2>&1
)

# image_of_source IMAGE REPOSITORY@COMMIT PACKAGE=PATH USER FLAGS: like image_of_module, for a package that is a module of its
# own, which module proxies do not have. Modules that the proxy lacks are read from their repositories; go.sum of the package
# has the checksums of all.
image_of_source() {
  from_copies
  git -C "$out" init --quiet source
  git -C "$out/source" fetch --quiet --depth 1 "https://${2%@*}" "${2#*@}"
  git -C "$out/source" checkout --quiet FETCH_HEAD
  (
    cd "$out/source/${3%%=*}" || exit
    GOPROXY="$(go env GOPROXY | sed 's/,direct$//')|direct" CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off \
      go build -trimpath -ldflags "-s -w ${*:5}" -o "$out/program" .
  )
  rm -rf "$out/source"
  add_image "$1" "{\"Entrypoint\":[\"${3#*=}\"],\"User\":\"$4\"}" "$out/program=${3#*=}" \
    /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt
  rm "$out/program"
}

# debian_root PACKAGES [HOOKS...] makes $out/root, a system of Debian 14. HOOKS are arguments of mmdebstrap.
debian_root() {
  local debian
  debian=$(debian_mirror)
  # A copy of the repository may stand still for longer than its release file is valid.
  mmdebstrap --variant=essential --include="$1" --aptopt='Acquire::Check-Valid-Until "false"' \
    "${@:2}" --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' forky "$out/root" "deb $debian/debian forky main" >&2
  rm -rf "${out:?}"/root/{dev,proc,sys,var/cache,var/lib/apt}
}

# add_root IMAGE CONFIG adds $out/root as an image and removes it.
add_root() {
  add_image "$1" "$2" "$out/root=/"
  rm -rf "${out:?}/root"
}

# image_of_packages IMAGE PACKAGES FILES CONFIG: files/FILES-root prepares the system before its packages are configured,
# files/FILES-serve is its entrypoint, and files/FILES-programs lists programs to compile into it. Each may be absent.
image_of_packages() {
  local module program words path paths hooks=()
  if [ -e "$mirror/files/$3-root" ]; then hooks+=("--essential-hook=$mirror/files/$3-root"); fi
  if [ -e "$mirror/files/$3-serve" ]; then
    hooks+=("--customize-hook=install -m 755 $mirror/files/$3-serve \"\$1/usr/local/bin/serve\"")
  fi
  debian_root "$2" "${hooks[@]}"
  while read -r module program words <&4; do
    # shellcheck disable=SC2086 # several words
    compile_module "$module" "${program%%=*}" $words
    IFS=, read -ra paths <<<"${program#*=}"
    install -D "$out/program" "$out/root${paths[0]}"
    for path in "${paths[@]:1}"; do ln -s "${paths[0]}" "$out/root$path"; done
    rm "$out/program"
  done 4< <(sed '/^#/d' "$mirror/files/$3-programs" 2>/dev/null)
  add_root "$1" "$4"
}

# image_of_app IMAGE VERSION lays out the application as apps/src/Dockerfile does, with the packages of its requirements.txt.
image_of_app() {
  local source=$mirror/../../apps/src python
  debian_root python3
  python=$(chroot "$out/root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  python3 -m venv "$out/pip"
  "$out/pip/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --python-version "$python" --target "$out/root/venv" --requirement "$source/requirements.txt" >&2
  sed -i '1s|^#!.*|#!/usr/bin/python3|' "$out"/root/venv/bin/*
  ln -s /usr/bin/python3 "$out/root/venv/bin/python"
  mkdir "$out/root/app"
  cp -r "$source/app" "$out/root/app/app"
  find "$out/root/app" -name __pycache__ -prune -exec rm -r {} +
  rm -rf "$out/pip"
  add_root "$1" "{\"User\":\"10001\",\"WorkingDir\":\"/app\",\"Env\":[\"VERSION=$2\",\"PYTHONPATH=/venv\",
    \"PYTHONUNBUFFERED=1\",\"PYTHONDONTWRITEBYTECODE=1\",\"PATH=/venv/bin:/usr/bin:/bin\"]}"
}

# image_of_standin IMAGE COMMAND=PATH USER: standins/main.go, with the command before the arguments of the pod.
image_of_standin() {
  (cd "$mirror/standins" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/program" .)
  add_image "$1" "{\"Entrypoint\":[\"${2#*=}\",\"${2%%=*}\"],\"User\":\"$3\"}" "$out/program=${2#*=}"
  rm "$out/program"
}

# gather WITHOUT LAYOUTS... puts the layouts of all images side by side, and names their releases and their registries.
# WITHOUT are the releases that lack an image.
gather() {
  local layout
  for layout in "${@:2}"; do
    cp -al "$layout" "$out/$(basename "$layout")"
    rm -f "$out/$(basename "$layout")/.done"
  done
  # shellcheck disable=SC2086 # a word for each
  sed -e '/^#/d' -e 's/ .*//' "$mirror/platform.txt" | sort -u | grep -vxF "$(printf '%s\n' - $1)" >"$out/releases"
  platform_rows | sed -e 's/^[^ ]* //' -e 's#/.*##' | sort -u >"$out/registries"
}

build_platform() {
  local release image from path rest name packer input without='' layouts=()
  packer=$(content "$mirror"/server/*)
  install_missing mmdebstrap ca-certificates git
  while read -r release image from path rest <&3; do
    name=image-$(basename "${image/:/-}")
    case $from in
      forky:*)
        input="$packer $(declare -f debian_mirror debian_root add_root)"
        input+=$(find "$mirror/files" -name "$path-*" | sort | xargs -r cat | content)
        if [ -e "$mirror/files/$path-programs" ]; then input+="$go_version $(declare -f compile_module)"; fi
        stage "$name" "$input" image_of_packages "$image" "${from#forky:}" "$path" "$rest"
        ;;
      app:)
        install_missing python3-venv
        input="$packer $(declare -f debian_mirror debian_root add_root)"
        input+=$(find "$mirror"/../../apps/src/{app,requirements.txt} -name '*.py' -o -name requirements.txt | sort |
          xargs cat | content)
        stage "$name" "$input" image_of_app "$image" "$path"
        ;;
      standin:)
        # shellcheck disable=SC2086
        stage "$name" "$packer $go_version $(content "$mirror"/standins/*)" image_of_standin "$image" "$path" $rest
        ;;
      git:*)
        input="$packer $go_version"
        # shellcheck disable=SC2086 # user and flags are words
        if ! built "$name" "$input" image_of_source "$image" "${from#git:}" "$path" $rest && ! readable "${from#git:}"; then
          say "$image is left out, and $release with it: $from cannot be read (MIRROR_SOURCES names a directory of copies)"
          without+=" $release"
          continue
        fi
        # shellcheck disable=SC2086
        stage "$name" "$input" image_of_source "$image" "${from#git:}" "$path" $rest
        ;;
      *)
        # shellcheck disable=SC2086 # user and flags are words
        stage "$name" "$packer $go_version $(declare -f compile_module)" image_of_module "$image" "$from" "$path" $rest
        ;;
    esac
    layouts+=("$result")
  done 3< <(platform_rows)
  stage platform "$(content "$mirror/platform.txt") $(declare -f gather)" gather "$without" "${layouts[@]}"
  publish platform
}
