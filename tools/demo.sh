#!/usr/bin/env bash
# Shows everything on this machine, step by step: a platform from nothing, an application on it, a second release, its rollback, and
# the removal of everything. AWS is simulated, the cluster is made by a real kubeadm on docker hosts, and the add-ons, the Git
# server and the application run for real. docs/platform-on-hosts.md says what stands in for what.
#
#   tools/demo.sh            all steps; what an earlier run left is removed first
#   tools/demo.sh --keep     stops before the removal. A run that fails or is stopped is kept too, and the next --keep goes on with it
#   tools/demo.sh --remove   only removes what an earlier run left
#   tools/demo.sh --steps    prints the steps and does nothing
#
# Needs root, docker and the images of the add-ons (tools/mirror/build platform).
# shellcheck disable=SC2317 # steps are called by their names
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stack=demo
directory=.demo
driver=.bin/kubeadm-aws
steps=(prepare up verify job release rollback destroy)
begun=()

fail() {
  printf 'demo: %s\n' "$*" >&2
  exit 1
}

# describe STEP prints its title, then what it does, why, where to look, and what one types on AWS.
describe() {
  case $1 in
    prepare)
      cat <<'TEXT'
Settings and a Git repository
What  The stack "demo" gets the settings of dev, with PostgreSQL. A Git server here gets apps/ and envs/ of this checkout.
Why   A stack is one file of settings. Argo CD deploys what a repository says. It reads it with a deploy key.
Look  .demo/project/Pulumi.demo.yaml; .demo/clone, a clone of the repository. Its first release is version one.
AWS   pulumi stack init dev
      pulumi config set --path kubeadm-aws:addons.argocd.repoUrl git@github.com:<you>/<repository>.git
      pulumi config set --secret kubeadm-aws:argocdRepositoryKey <deploy-key
TEXT
      ;;
    up)
      cat <<'TEXT'
The platform, from an empty account
What  The driver creates all resources: network, four machines, a cluster by kubeadm, add-ons by Helm.
Why   One program creates everything in the order of its dependencies. Independent resources are created at the same time.
Look  The first lines say which charts run for real. The plan says how long the same takes on AWS.
AWS   pulumi up
TEXT
      ;;
    verify)
      cat <<'TEXT'
The check
What  The driver checks every part, also as a client of the data services, and waits until Argo CD has deployed.
Why   A created resource may not work. A pipeline rolls back an up whose check fails.
Look  The line "argo cd": the root Application, the API and the worker are synced and healthy.
AWS   go run ./cmd/kubeadm-aws verify --stack dev --cloud aws --wait 10m
TEXT
      ;;
    job)
      cat <<'TEXT'
A job through the application
What  The API stores a job in PostgreSQL and sends it by RabbitMQ to the worker. The result comes back through Redis.
Why   The answer needs every data service, with passwords that the program made. None of them is in Git.
Look  "result" is the number of words. "version" is that of the image.
AWS   curl https://api.<domain>/jobs (without a domain: kubectl -n apps port-forward service/api 8000:80)
TEXT
      ;;
    release)
      cat <<'TEXT'
Version two, by a commit
What  A commit sets the digest of version two in envs/dev. Argo CD migrates the schema and replaces pod after pod.
Why   What runs is what Git says. Pods of version one serve until those of version two are ready.
Look  The digest of the commit, and the digest of the pods that run at the end.
AWS   A push to main: the workflow builds the image and commits its digest. By hand: tools/app-release.sh set dev DIGEST
TEXT
      ;;
    rollback)
      cat <<'TEXT'
Back to version one
What  A commit sets the digest that the environment had before.
Why   A rollback is a release like any other, and Git records who made it and when.
Look  The command finds the digest in the history. It never releases a digest that was rolled back.
AWS   tools/app-release.sh rollback dev
TEXT
      ;;
    destroy)
      cat <<'TEXT'
The removal
What  The driver removes everything in the opposite order: applications, add-ons and their volumes, machines, network.
Why   A controller that is removed too early leaves load balancers and volumes behind, which cost money.
Look  The receipt: "left 0". Then docker lists what it still has of the stack.
AWS   pulumi destroy
TEXT
      ;;
  esac
}

# show STEP prints the text of a step with its number.
show() {
  local i
  for i in "${!steps[@]}"; do
    if [ "${steps[i]}" = "$1" ]; then printf '\n== %d of %d  ' "$((i + 1))" "${#steps[@]}"; fi
  done
  describe "$1"
  echo
}

# typed prints a command as a person types it, and runs it.
typed() {
  local word
  printf '$'
  for word; do
    if [[ $word =~ [^a-zA-Z0-9_./:=@%+,-] ]]; then word=${word@Q}; fi
    printf ' %s' "$word"
  done
  echo
  "$@"
}

needs() {
  [ "$(id -u)" = 0 ] || fail 'needs root: hosts are led to their metadata service by iptables. Run it with sudo.'
  local program
  for program in docker go git curl iptables python3; do
    command -v "$program" >/dev/null ||
      fail "$program is missing (Debian: apt-get install docker.io git curl iptables python3; Go from https://go.dev/dl/)"
  done
  docker info >/dev/null 2>&1 || fail 'docker does not answer; start it (systemctl start docker, or dockerd)'
  exec 9>/run/lock/kubeadm-aws-demo.lock
  flock -n 9 || fail 'another demo is under way on this machine; wait for its end, or stop it with Ctrl-C'
}

# images makes sure that minutes are not spent before an image turns out to be missing.
images() {
  [ "${MIRROR:-}" != off ] || fail 'MIRROR is off, and the add-ons run from images of the mirror; unset MIRROR'
  MIRROR_CACHED=1 tools/mirror/build platform >/dev/null ||
    fail 'programs or images of the platform are not built. Once, about half an hour on 2 cores: tools/mirror/build platform'
}

remove() {
  local removed
  removed=$(tools/remove-hosts.sh "$stack") || fail "docker could not remove every host of the stack: docker ps --all --filter label=kubeadm-aws.stack=$stack"
  rm -rf "$directory"
  if [ -n "$removed" ]; then printf 'demo: removed %d containers and networks\n' "$(wc -l <<<"$removed")"; fi
}

# finish keeps or removes what there is. A run that failed says where.
finish() {
  local code=$?
  trap '' INT TERM
  # The services end with their input.
  exec 7>&-
  if [ -n "${services:-}" ]; then wait "$services" || true; fi
  if [ "$code" != 0 ]; then
    printf '\ndemo: stopped in step "%s" with %d\n' "$step" "$code"
    if [ -s "$directory/services.log" ]; then tail -n 5 "$directory/services.log"; fi
  fi
  times
  if [ -n "$keep" ] && [ -e "$directory" ]; then
    echo 'demo: kept. Go on: tools/demo.sh --keep   Remove it: tools/demo.sh --remove'
    printf 'demo: The last step of the demo is: %s destroy --stack %s --cloud hosts --dir %s/project\n' "$driver" "$stack" "$directory"
  elif [ "$code" != 0 ]; then
    remove
    echo 'demo: nothing is left. To look at a run that stops: tools/demo.sh --keep'
  else
    rm -rf "$directory"
  fi >&2
  exit "$code"
}

# times prints the seconds of each step that has ended.
times() {
  local i
  if [ "${#begun[@]}" -lt 2 ]; then return 0; fi
  printf '\n   seconds\n'
  for ((i = 0; i + 1 < ${#begun[@]}; i++)); do printf '%10d  %s\n' "$((begun[i + 1] - begun[i]))" "${steps[i]}"; done
  printf '%10d  together\n' "$((begun[-1] - begun[0]))"
}

# ask REQUEST waits until the services have carried it out.
ask() {
  local answer=
  printf '%s\n' "$1" >&7
  read -r answer <&6 || true
  [ "$answer" = "$1" ] || fail "the services of the demo ended; see $directory/services.log"
}

# start_services starts internal/demo. It sets git_url and known_hosts.
start_services() {
  rm -f "$directory/requests" "$directory/answers"
  mkfifo "$directory/requests" "$directory/answers"
  # In the background, Ctrl-C does not end it. Its input ends with this script.
  .bin/demo "$directory" "$stack" <"$directory/requests" >"$directory/answers" 2>>"$directory/services.log" &
  services=$!
  exec 7>"$directory/requests" 6<"$directory/answers"
  { read -r git_url && read -r known_hosts; } <&6 || fail "the Git server does not start; see $directory/services.log"
}

# drive COMMAND FLAGS... runs the driver.
drive() { typed "$driver" "$1" --stack "$stack" --cloud hosts --dir "$directory/project" "${@:2}"; }

# kubectl runs on a host, where it is installed, with the administrator's kubeconfig of the stack.
kubectl() {
  local host
  host=$(docker ps --format '{{.Names}}' --filter "label=kubeadm-aws.stack=$stack" | sort | sed -n 1p)
  docker exec --interactive "$host" kubectl --kubeconfig /dev/stdin --request-timeout 20s "$@" <"$directory/kubeconfig"
}

# wait_for WHAT FUNCTION ARGUMENTS... tries for about five minutes. The function prints what it found.
wait_for() {
  local i found=
  for ((i = 0; i < 75; i++)); do
    if found=$("${@:2}" 2>&1); then
      printf '%s\n' "$found"
      return
    fi
    sleep 4
  done
  fail "$1: not within five minutes. The last answer: $found"
}

applications() {
  local found
  # shellcheck disable=SC2016 # the dollars are those of jsonpath
  found=$(kubectl --namespace argocd get applications --output \
    'jsonpath={range .items[*]}{.metadata.name}: {.status.sync.status} {.status.health.status}{"\n"}{end}')
  printf '%s\n' "$found"
  [ "$(grep -c ': Synced Healthy$' <<<"$found")" = 3 ]
}

# serves VERSION DIGEST: the API answers as the version, and every pod that runs has the digest.
serves() {
  local health running
  health=$(curl -fsS --max-time 10 "$(api)/healthz")
  running=$(kubectl --namespace apps get pods --field-selector status.phase=Running --output \
    'jsonpath={range .items[*]}{.metadata.name} {.spec.containers[0].image}{"\n"}{end}')
  printf '%s\n%s\n' "$health" "$running"
  [[ $health == *"\"version\":\"$1\""* ]] && [ -n "$running" ] && ! grep -vF "@$2" <<<"$running" >/dev/null
}

# api prints the address of the API. A port of every node leads to its Service.
api() {
  local node port
  node=$(kubectl get node worker-1 --output 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}')
  port=$(kubectl --namespace apps get service api --output 'jsonpath={.spec.ports[?(@.name=="http")].nodePort}')
  printf 'http://%s:%s' "$node" "$port"
}

# released VERSION DIGEST waits for what a commit has to bring about.
released() {
  echo 'Argo CD asks Git every three minutes. A webhook tells it at once; here an annotation does.'
  typed kubectl --namespace argocd annotate --overwrite application root api worker argocd.argoproj.io/refresh=normal
  wait_for "version $1 serves" serves "$1" "$2"
  wait_for 'the Applications are synced and healthy' applications
}

# commit ARGUMENTS... runs tools/app-release.sh in the clone.
commit() {
  local script=$PWD/tools/app-release.sh
  printf '$ DIRECT=true tools/app-release.sh %s\n' "$*"
  (cd "$directory/clone" && DIRECT=true "$script" "$@" && git log -1 --format='%h %s' --stat)
}

prepare() {
  if [ ! -e "$directory/project" ]; then
    tools/app-repository.sh "$directory"
    mkdir "$directory/project"
  fi
  start_services
  commit set dev "$one"
  cp Pulumi.yaml "$directory/project/"
  {
    sed 's/platform-dev/demo/' Pulumi.dev.yaml
    cat <<YAML
  # A run on hosts replaces this by a key of its own.
  kubeadm-aws:argocdRepositoryKey: {secure: v1:encrypted}
  kubeadm-aws:addons:
    argocd:
      repoUrl: $git_url
      revision: main
      knownHosts: ["$known_hosts"]
      registry: registry.example.com
    postgresql:
      enabled: true
      storageGiB: 2
      # Backups of the database need temporary keys of AWS.
      backup: {enabled: false}
YAML
  } >"$directory/project/Pulumi.$stack.yaml"
  tail -n 13 "$directory/project/Pulumi.$stack.yaml"
}

up() {
  drive up
  (umask 077 && "$driver" outputs --stack "$stack" --cloud hosts --dir "$directory/project" --output kubeconfig --show-secrets \
    >"$directory/kubeconfig")
  typed kubectl get nodes
}

verify() {
  drive verify --wait 10m
  # From here on no run of the driver serves the images that a release pulls.
  ask open
  wait_for 'the Applications are synced and healthy' applications
}

job() {
  local address answer id i
  address=$(api)
  answer=$(typed curl -fsS --max-time 30 --json '{"text":"three small words"}' "$address/jobs")
  printf '%s\n' "$answer"
  id=$(sed -n 's/.*"id":"\([0-9a-f-]*\)".*/\1/p' <<<"$answer")
  [ -n "$id" ] || fail "the API did not take the job: $answer"
  for ((i = 0; i < 12; i++)); do
    answer=$(curl -fsS --max-time 30 "$address/jobs/$id?wait=10")
    if [[ $answer == *'"state":"done"'* ]]; then break; fi
  done
  printf '$ curl %s\n%s\n' "$address/jobs/$id?wait=10" "$answer"
  [[ $answer == *'"state":"done"'*'"result":3'* ]] || fail "the worker has not counted three words: $answer"
  serves one "$one" || fail 'the pods are not those of version one'
}

release() {
  commit set dev "$two"
  released two "$two"
}

rollback() {
  commit rollback dev
  released one "$one"
}

destroy() {
  local left
  ask close
  drive destroy
  left=$(docker ps --all --quiet --filter "label=kubeadm-aws.stack=$stack" &&
    docker network ls --quiet --filter "label=kubeadm-aws.stack=$stack")
  [ -z "$left" ] || fail "docker still has $left"
  echo '0 left: docker has no container and no network of the stack.'
}

keep=
case ${1:-} in
  '') ;;
  --keep) keep=true ;;
  --remove) ;;
  --steps)
    for step in "${steps[@]}"; do show "$step"; done
    exit
    ;;
  *)
    sed -n '2,/^# shellcheck/{/^# shellcheck/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
[ $# -lt 2 ] || fail 'takes one flag: --keep, --remove or --steps'

needs
if [ -z "$keep" ]; then remove; fi
if [ "${1:-}" = --remove ]; then exit; fi
images
one=$(tools/mirror/digest registry.example.com/app:one)
two=$(tools/mirror/digest registry.example.com/app:two)
PULUMI=$(tools/pulumi.sh)
ADDONS=real
export PULUMI ADDONS
echo 'Compiling the driver: the first time takes about 2 minutes on 2 cores.'
go build -o .bin/ ./cmd/kubeadm-aws ./internal/demo
mkdir -p "$directory"

step=start
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
begun=("$SECONDS")
for step in "${steps[@]}"; do
  if [ "$step" = destroy ] && [ -n "$keep" ]; then
    printf '\nThe application: curl %s/healthz\nThe cluster: kubectl --kubeconfig %s get pods --all-namespaces\n' "$(api)" "$directory/kubeconfig"
    printf 'Git: commit in %s/clone and push. Images are served until you press Enter; the hosts stay.\n' "$directory"
    read -r || true
    break
  fi
  show "$step"
  "$step"
  begun+=("$SECONDS")
done
