#!/usr/bin/env bash
# Lets the nodes that ask for a reboot have it one after the other, within the hours of the settings. Installed by reboots.sh
# on the control plane that began the cluster. A systemd timer runs it every minute.
#
# The annotation kubeadm-aws/reboot records in the cluster which node has its turn: "draining", then "granted:TIME". So an
# interrupted run goes on, and upgrades and removals of nodes wait. They share a lock on this machine with this script.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: sudo reboot-turn.sh         returns the node that has rebooted, then drains the next one
       sudo reboot-turn.sh stop    returns every node that has its turn, whether it has rebooted or not
Environment, by default from /etc/kubernetes/reboots.env:
  NODE         name of this node
  DAYS         days on which the hours begin, from 1 (Monday) to 7, separated by blanks
  START, END   minutes since midnight; the hours end on the next day if END is not after START
  TIME_ZONE    zone of the days and hours, such as Europe/Berlin
  TIMEOUT      seconds that pods have to leave, default 900. Disruption budgets are respected all the time.
  LIMIT        seconds in which a node has to reboot and return, default 1800
Prints nothing.
TEXT
}
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
case $#,${1:-} in
  0, | 1,stop) ;;
  *)
    usage >&2
    exit 2
    ;;
esac
if [ -z "${DAYS:-}" ] && [ -r /etc/kubernetes/reboots.env ]; then
  # shellcheck source=/dev/null
  . /etc/kubernetes/reboots.env
fi
for v in NODE DAYS START END TIME_ZONE; do
  [ -n "${!v:-}" ] || {
    echo "reboot-turn: $v is not set" >&2
    usage >&2
    exit 2
  }
done

TIMEOUT=${TIMEOUT:-900}
LIMIT=${LIMIT:-1800}
STATE=/var/lib/kubeadm-aws
run=${RUN_DIR:-/run}
# away exists while a node may have its turn. failed has a file for each node that could not be drained in these hours.
away=$STATE/reboots.away failed=$run/kubeadm-aws-reboots-failed
export KUBECONFIG=${KUBECONFIG:-/etc/kubernetes/admin.conf}
say() { printf 'reboot-turn: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(id -u)" = 0 ] || die "needs root: run it with sudo"
exec 9>"$run/kubeadm-aws-reboots.lock"
if [ "${1:-}" = stop ]; then
  flock -w 60 9 || die "another run of this program has not ended within a minute, so a node may have its turn; see: pgrep -af reboot-turn"
else
  flock -n 9 || exit 0 # another run drains a node
fi

kube() { kubectl --request-timeout=20s "$@" </dev/null; }

# in_hours succeeds within the hours of the settings.
in_hours() {
  local day hour minute now
  read -r day hour minute < <(TZ=$TIME_ZONE date '+%u %H %M')
  now=$((10#$hour * 60 + 10#$minute))
  if [ "$now" -lt "$START" ] && [ "$END" -le "$START" ]; then
    # The hours have begun on the day before.
    day=$((day == 1 ? 7 : day - 1)) now=$((now + 1440))
  fi
  [ "$now" -ge "$START" ] && [ "$now" -lt $((END <= START ? END + 1440 : END)) ] && [[ " $DAYS " = *" $day "* ]]
}

# nodes prints for each node: its name, whether it is Ready, the release of its kubelet, whether it accepts no pods, its role,
# "half" in an upgrade, "asks" for a reboot, and its turn in quotation marks.
nodes() {
  # shellcheck disable=SC2016 # a Go template
  kube get nodes -o go-template='{{range .items}}{{$ready := "Unknown"}}{{$role := "worker"}}{{$half := "-"}}{{$asks := "-"}}{{$turn := ""}}{{range .status.conditions}}{{if eq .type "Ready"}}{{$ready = .status}}{{end}}{{end}}{{range $k, $v := .metadata.labels}}{{if eq $k "node-role.kubernetes.io/control-plane"}}{{$role = "control-plane"}}{{end}}{{end}}{{range $k, $v := .metadata.annotations}}{{if eq $k "kubeadm-aws/upgrade"}}{{$half = "half"}}{{end}}{{if eq $k "kubeadm-aws/reboot-required"}}{{$asks = "asks"}}{{end}}{{if eq $k "kubeadm-aws/reboot"}}{{$turn = $v}}{{end}}{{end}}{{.metadata.name}} {{$ready}} {{.status.nodeInfo.kubeletVersion}} {{if .spec.unschedulable}}cordoned{{else}}open{{end}} {{$role}} {{$half}} {{$asks}} {{printf "%q" $turn}}{{"\n"}}{{end}}'
}

turn() { # NODE TURN UNSCHEDULABLE: records the turn of a worker; a control plane is not drained
  local spec=''
  [ "$3" = - ] || spec=", \"spec\": {\"unschedulable\": $3}"
  kube patch node "$1" --type=merge -p "{\"metadata\": {\"annotations\": {\"kubeadm-aws/reboot\": $2}}$spec}" >/dev/null
}
unschedulable() { if [ "$1" = worker ]; then echo "$2"; else echo -; fi; } # ROLE VALUE

# give_back ends the turn of a node and returns it to service, unless something else has ended the turn meanwhile: a removal of
# the node keeps it cordoned.
give_back() { # NODE ROLE TURN
  local at='"path": "/metadata/annotations/kubeadm-aws~1reboot"' spec=''
  [ "$2" != worker ] || spec=', {"op": "add", "path": "/spec/unschedulable", "value": false}'
  kube patch node "$1" --type=json -p "[{\"op\": \"test\", $at, \"value\": $3}, {\"op\": \"remove\", $at}$spec]" >/dev/null ||
    die "the API does not record that the turn of $1 has ended; the next run tries again"
}
could_not() { mkdir -p "$failed" && touch "$failed/$1"; } # NODE

# ---- the node that has its turn ---------------------------------------------

# finish ends the turns of nodes. It fails while a node is away.
finish() {
  local name ready role asks turn value age waits='' late=''
  while read -r name ready _ _ role _ asks turn; do
    [ "$turn" != '""' ] || continue
    value=$turn turn=${turn//\"/}
    age=${turn#granted:}
    [[ $age =~ ^[0-9]+$ ]] || age=0
    age=$(($(date +%s) - age))
    if [[ $turn != granted:* ]]; then
      say "node $name returns to service: the run that drained it was interrupted"
    elif [ "$ready,$asks" = True,- ]; then
      say "node $name has rebooted and returns to service"
    elif [ "$1" = stop ]; then
      say "node $name returns to service, because reboots are switched off"
    elif [ "$ready" = True ] && [ "$age" -ge "$LIMIT" ]; then
      could_not "$name"
      say "node $name returns to service: it has not rebooted within $LIMIT s, or asks again; see on it: journalctl -u kubeadm-aws-reboot"
    else
      waits=$name
      [ "$age" -lt "$LIMIT" ] || late="node $name has not returned from its reboot for $((age / 60)) minutes"
      continue
    fi
    give_back "$name" "$role" "$value"
  done <<<"$all"
  [ -z "$late" ] ||
    die "$late, and no other node reboots. Look at its machine, or replace it: kubeadm-aws repair, or nodes[].generation"
  [ -z "$waits" ] || return 1
  rm -f "$away"
}

# ---- the next node ----------------------------------------------------------

# next_node prints the node whose turn it is, and its role: workers first, and this control plane last. A node that a person
# has cordoned keeps its state.
next_node() {
  # shellcheck disable=SC2153 # the file of the settings has it
  awk -v own="$NODE" '$2 == "True" && $4 == "open" && $7 == "asks" {print ($1 == own ? 2 : $5 == "worker" ? 0 : 1), $1, $5}' <<<"$all" |
    sort -k 1,1n -k 2,2 | while read -r _ name role; do
    [ -e "$failed/$name" ] || echo "$name $role"
  done | head -n 1
}

# stopping prints whether the machine of a control plane is about to stop (control-planes.sh).
stopping() {
  local times time age
  times=$(kube get nodes -o 'jsonpath={.items[*].metadata.annotations.kubeadm-aws/stops}') ||
    echo "the API does not show whether a control plane is about to stop;"
  for time in $times; do
    [[ $time =~ ^[0-9]+$ ]] || continue
    # The clocks of two machines differ.
    age=$(($(date +%s) - time))
    if [ ${age#-} -lt 900 ]; then
      echo "the machine of a control plane is about to stop;"
      return
    fi
  done
}

# hindrance prints why no node may leave now.
hindrance() {
  local bad file
  stopping
  if pgrep -f "^bash $STATE/scripts/limit.sh " >/dev/null; then echo "a step of pulumi up runs on this machine;"; fi
  [ ! -e "$STATE/upgrade.started" ] || echo "the control plane on this machine is upgraded;"
  bad=$(awk '$2 != "True" {print $1}' <<<"$all" | xargs)
  [ -z "$bad" ] || echo "not Ready: $bad;"
  bad=$(awk '$6 == "half" {print $1}' <<<"$all" | xargs)
  [ -z "$bad" ] || echo "upgraded: $bad;"
  [ "$(awk '{print $3}' <<<"$all" | sort -u | wc -l)" = 1 ] || echo "an upgrade has not reached every node;"
  for file in "$run"/kubeadm-aws-left/*; do
    if [ -e "$file" ] && [ $(($(date +%s) - $(stat -c %Y "$file"))) -lt 900 ] && ! grep -q "^${file##*/} " <<<"$all"; then
      echo "${file##*/} was removed and may return;"
    fi
  done
}

# without_majority prints why etcd or the API would not serve without one more control plane, or why that is unknown. The only
# control plane reboots too, if no other one is about to join it.
without_majority() {
  local pki=/etc/kubernetes/pki/etcd said addresses ip planes
  planes=$(awk '$5 == "control-plane"' <<<"$all" | wc -l)
  etcd() { timeout 60 etcdctl --endpoints https://127.0.0.1:2379 --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt --key $pki/healthcheck-client.key "$@" 2>&1 </dev/null; }
  said=$(etcd endpoint health --cluster) || echo "etcd: $(tail -n 1 <<<"$said");"
  said=$(etcd member list) || said=''
  [ "$(awk -F', ' '$2 == "started" && $6 == "false"' <<<"$said" | wc -l),$(grep -c . <<<"$said")" = "$planes,$planes" ] ||
    echo "etcd has other members than the control planes, or one that does not vote;"
  [ "$planes" -gt 1 ] || return 0
  [ "$planes" != 2 ] || echo "etcd has two members and needs both;"
  addresses=$(kube get nodes -l node-role.kubernetes.io/control-plane -o 'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}') || addresses=''
  [ "$(wc -w <<<"$addresses")" = "$planes" ] || echo "the API does not list the addresses of the control planes;"
  for ip in $addresses; do
    [ "$(kube --server "https://$ip:6443" get --raw=/readyz 2>/dev/null)" = ok ] || echo "the API of $ip is not ready;"
  done
}

drain() { # NODE
  local log=$run/kubeadm-aws-reboot-$1.log held
  say "draining $1"
  turn "$1" '"draining"' true || die "node $1 cannot be cordoned, so it does not reboot"
  kubectl drain "$1" --ignore-daemonsets --delete-emptydir-data --force --timeout="${TIMEOUT}s" </dev/null >"$log" 2>&1 && return
  could_not "$1"
  give_back "$1" worker '"draining"'
  held=$(sed -n 's/^error when evicting pods\/"\([^"]*\)" -n "\([^"]*\)".*/\2\/\1/p' "$log" | sort -u | xargs)
  die "$1 could not be drained within $TIMEOUT s: ${held:-$(tail -n 1 "$log")}. It is back in service without a reboot, and has its next turn in the next hours of maintenance. Give the pods a replica elsewhere, or relax their disruption budget"
}

if ! in_hours; then
  rm -rf "$failed"
elif [ -d "$failed" ]; then
  # Hours that last the whole day do not end.
  find "$failed" -mindepth 1 -mmin +1440 -delete
fi
if [ "${1:-}" != stop ] && [ ! -e "$away" ] && ! in_hours; then exit 0; fi
all=$(nodes) || die "the API does not answer, so no node reboots"
finish "${1:-}" || exit 0
if [ "${1:-}" = stop ] || ! in_hours || [ -z "$(next_node)" ]; then exit 0; fi

exec 8>"$run/kubeadm-aws-drain.lock"
flock -n 8 || exit 0 # another run drains or upgrades nodes
all=$(nodes) || die "the API does not answer, so no node reboots"
read -r node role < <(next_node) || exit 0
postpone() { # WHY
  say "$node waits for its reboot: ${1%;}"
  exit
}
why=$(hindrance | xargs -r -d '\n')
if [ -z "$why" ] && [ "$role" = control-plane ]; then why=$(without_majority | xargs -r -d '\n'); fi
[ -z "$why" ] || postpone "$why"
touch "$away"
if [ "$role" = worker ]; then
  drain "$node"
else
  turn "$node" '"draining"' - || die "the API does not record the turn of $node, so it does not reboot; the next run tries again"
  why=$(stopping | xargs -r -d '\n')
  if [ -n "$why" ]; then
    give_back "$node" "$role" '"draining"'
    postpone "$why"
  fi
fi
turn "$node" "\"granted:$(date +%s)\"" "$(unschedulable "$role" true)" || die "the API does not record that $node may reboot; the next run tries again"
say "$node reboots"
