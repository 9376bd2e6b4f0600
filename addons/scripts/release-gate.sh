#!/usr/bin/env bash
# Removes what users and GitOps created in the cluster, while the controller that can clean up after it still runs, and
# waits until the removal is complete. Safe to run again at any point.
#
# ACTION      hold: remove nothing; release: remove
# RELEASE     applications | load-balancers | resources | volumes: what to remove
# CONTROLLER  namespace/kind/name of the controller that does the work; several are separated by blanks
# SNAPSHOT_CONTROLLER  for "volumes": the same for snapshots, in addition to CONTROLLER
# RESOURCES   for "resources": the custom resources, separated by blanks
# VOLUMES     for "volumes": delete | keep
# LIMIT       seconds to wait in total if the controller runs (default 600); DEAD_LIMIT if it does not (default 60)
set -euo pipefail

export KUBECONFIG=${KUBECONFIG:-/etc/kubernetes/admin.conf}
limit=${LIMIT:-600}
dead_limit=${DEAD_LIMIT:-60}
interval=${INTERVAL:-3}

say() { printf '%s\n' "$*" >&2; }
kube() { kubectl --request-timeout=30s "$@"; }

# Succeeds if the API serves a custom resource such as applications.argoproj.io.
known() {
  local found
  found=$(kube get crd "$1" --ignore-not-found -o name) || exit 1
  [[ -n $found ]]
}

# Prints "<namespace> <name>" for every object of a resource.
names() {
  kube get "$1" --all-namespaces -o go-template='{{range .items}}{{.metadata.namespace}} {{.metadata.name}}{{"\n"}}{{end}}'
}

# Prints the same for objects that are being deleted.
deleted_names() {
  kube get "$1" --all-namespaces -o go-template='{{range .items}}{{if .metadata.deletionTimestamp}}{{or .metadata.namespace "default"}} {{.metadata.name}}{{"\n"}}{{end}}{{end}}'
}

# Prints the same for Services that have a load balancer.
balanced_services() {
  kube get services --all-namespaces -o go-template='{{range .items}}{{if eq .spec.type "LoadBalancer"}}{{.metadata.namespace}} {{.metadata.name}}{{"\n"}}{{end}}{{end}}'
}

# Succeeds if every controller has a ready pod.
alive() {
  local controller namespace kind name ready
  for controller in ${CONTROLLER:?}; do
    IFS=/ read -r namespace kind name <<<"$controller"
    ready=$(kube -n "$namespace" get "$kind" "$name" -o jsonpath='{.status.readyReplicas}' 2>/dev/null) || return 1
    [[ ${ready:-0} -gt 0 ]] || return 1
  done
}

# Waits until the function $1 prints nothing. Fails if it still prints objects after the limit, which is short if no
# controller can do the work. If the API does not answer, objects may be left, so the wait continues.
wait_until_gone() {
  local list=$1 left='' shown='' dead_since=''
  while :; do
    left=$("$list") || left="the API does not answer"
    if [[ -z $left ]]; then
      return 0
    fi
    if [[ $left != "$shown" ]]; then
      say "waiting for: ${left//$'\n'/, }"
      shown=$left
    fi
    if alive; then
      dead_since=''
    else
      dead_since=${dead_since:-$SECONDS}
      if ((SECONDS - dead_since >= dead_limit)); then
        say "The controller $CONTROLLER does not run."
        return 1
      fi
    fi
    if ((SECONDS >= limit)); then
      say "These still exist after $limit s."
      return 1
    fi
    sleep "$interval"
  done
}

# Deletes every object of a resource without waiting, and prints each.
delete_all() { kube delete "$1" --all --all-namespaces --wait=false --ignore-not-found >&2; }

# Removes the finalizers of every object of a resource that is being deleted, so that no deletion waits for a controller
# that does not run.
strip_finalizers() {
  local resource=$1 objects namespace name
  objects=$(deleted_names "$resource")
  while read -r namespace name; do
    [[ -n $name ]] || continue
    say "removing the finalizers of $resource $namespace/$name: its controller does not run"
    kube -n "$namespace" patch "$resource" "$name" --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null ||
      say "could not: look at kubectl -n $namespace get $resource $name -o yaml"
  done <<<"$objects"
}

# Deletes the webhook configurations of a resource such as ingresses.networking.k8s.io. Without their server they would
# refuse the patch.
drop_webhooks() {
  local plural=${1%%.*} group=${1#*.} kind rules name
  for kind in validatingwebhookconfigurations mutatingwebhookconfigurations; do
    # shellcheck disable=SC2016 # the variables are the template's
    rules=$(kube get "$kind" -o go-template='{{range $c := .items}}{{range .webhooks}}{{range $r := .rules}}{{range $g := .apiGroups}}{{range $r.resources}}{{$c.metadata.name}} {{$g}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}{{end}}')
    while read -r name; do
      say "deleting $kind $name, because its server is removed"
      kube delete "$kind" "$name" --ignore-not-found >/dev/null
    done < <(awk -v of="$group/$plural" '$2 == of { print $1 }' <<<"$rules" | sort -u)
  done
}

# Prints "<group> <kind> <namespace> <name> <Application>" for each object that an Application with automated sync
# deploys. An empty automated means on, so the template looks for the key.
deployed() {
  known applications.argoproj.io || return 0
  # shellcheck disable=SC2016 # the variables are the template's
  kube get applications.argoproj.io --all-namespaces -o go-template='{{range $a := .items}}{{range $key, $automated := .spec.syncPolicy}}{{if eq $key "automated"}}{{if ne (printf "%v" $automated.enabled) "false"}}{{with $a.status}}{{range .resources}}{{or .group "-"}} {{.kind}} {{or .namespace "-"}} {{.name}} {{$a.metadata.namespace}}/{{$a.metadata.name}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}{{end}}{{end}}'
}

# Fails if Argo CD would create again what the gate removes. $1 are lines of deployed.
refuse_deployed() {
  [[ -n $1 ]] || return 0
  say "Argo CD would create again what has to go before its controller:"
  awk '{ print "  " $2 " " $3 "/" $4 " of the Application " $5 }' <<<"$1" >&2
  say "Remove it in Git, or switch the automated sync of the Application off, and run up again. Nothing was removed."
  exit 1
}

# Fails if objects of a resource exist that are not being deleted: they were created after the gate had deleted all.
refuse_created_again() {
  local left
  left=$(kube get "$1" --all-namespaces -o go-template='{{range .items}}{{if not .metadata.deletionTimestamp}}{{if or (ne .kind "Service") (eq (printf "%v" .spec.type) "LoadBalancer")}}{{.metadata.namespace}}/{{.metadata.name}} {{end}}{{end}}{{end}}')
  [[ -n $left ]] || return 0
  say "Created again while the gate removed all $1: $left"
  say "Stop what creates them, and run again."
  exit 1
}

applications_left() { names applications.argoproj.io; }

release_applications() {
  local objects namespace name
  known applications.argoproj.io || return 0
  # They would create their Applications again.
  if known applicationsets.argoproj.io; then
    delete_all applicationsets.argoproj.io
  fi
  # Without the finalizer, Argo CD drops an Application and leaves what it deployed.
  objects=$(names applications.argoproj.io)
  while read -r namespace name; do
    [[ -n $name ]] || continue
    kube -n "$namespace" patch applications.argoproj.io "$name" --type=merge \
      -p '{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}' >/dev/null ||
      say "Application $namespace/$name is on its way out already"
  done <<<"$objects"
  delete_all applications.argoproj.io
  if ! wait_until_gone applications_left; then
    strip_finalizers applications.argoproj.io
  fi
}

balancers_left() {
  names ingresses && balanced_services || return 1
  if [[ -n $(kube get crd targetgroupbindings.elbv2.k8s.aws --ignore-not-found -o name) ]]; then
    names targetgroupbindings.elbv2.k8s.aws
  fi
}

release_load_balancers() {
  local services namespace name hosts all found
  hosts=$(kube get ingresses,services --all-namespaces -o go-template='{{range .items}}{{range .status.loadBalancer.ingress}}{{.hostname}} {{end}}{{end}}')
  services=$(balanced_services)
  all=$(deployed)
  found=$(
    awk '$2 == "Ingress"' <<<"$all"
    while read -r namespace name; do
      awk -v namespace="$namespace" -v name="$name" '$2 == "Service" && $3 == namespace && $4 == name' <<<"$all"
    done <<<"$services"
  )
  refuse_deployed "$found"
  delete_all ingresses
  while read -r namespace name; do
    [[ -n $name ]] || continue
    kube -n "$namespace" delete service "$name" --wait=false --ignore-not-found >&2
  done <<<"$services"
  if ! wait_until_gone balancers_left; then
    drop_webhooks ingresses.networking.k8s.io
    drop_webhooks targetgroupbindings.elbv2.k8s.aws
    strip_finalizers ingresses
    strip_finalizers services
    if known targetgroupbindings.elbv2.k8s.aws; then
      delete_all targetgroupbindings.elbv2.k8s.aws
      strip_finalizers targetgroupbindings.elbv2.k8s.aws
    fi
    refuse_created_again ingresses
    refuse_created_again services
    say "Load balancers may be left in AWS, for the sweep to remove: $hosts"
  fi
}

resources_left() { names "$resource"; }

release_resources() {
  local all
  all=$(deployed)
  for resource in ${RESOURCES:?}; do
    refuse_deployed "$(awk -v of="$resource" 'tolower($2) "s." $1 == of' <<<"$all")"
  done
  for resource in $RESOURCES; do
    known "$resource" || continue
    delete_all "$resource"
    if ! wait_until_gone resources_left; then
      drop_webhooks "$resource"
      strip_finalizers "$resource"
      refuse_created_again "$resource"
    fi
  done
}

# Prints "<persistent volume> <EBS volume> <size> <class> <claim>" for every volume of the driver.
volumes() {
  kube get persistentvolumes -o go-template='{{range .items}}{{if .spec.csi}}{{if eq .spec.csi.driver "ebs.csi.aws.com"}}{{.metadata.name}} {{.spec.csi.volumeHandle}} {{.spec.capacity.storage}} {{or .spec.storageClassName "-"}} {{with .spec.claimRef}}{{.namespace}}/{{.name}}{{end}}{{"\n"}}{{end}}{{end}}{{end}}'
}

# Sets the reclaim policy of every volume, or only of one class if there is a second argument.
set_reclaim_policy() {
  local policy=$1 only=${2:-} all name class
  all=$(volumes)
  while read -r name _ _ class _; do
    if [[ -n $name && (-z $only || $class == "$only") ]]; then
      kube patch persistentvolume "$name" --type=merge -p "{\"spec\":{\"persistentVolumeReclaimPolicy\":\"$policy\"}}" >/dev/null
    fi
  done <<<"$all"
}

# Deletes the workloads that use a claim: the topmost owner of each pod that mounts it, or the pod itself. Kubernetes does
# not delete a claim in use, and a pod that is deleted without its owner is created again.
delete_users_of() {
  local namespace=$1 claim=$2 mounts pod kind name owner version
  # shellcheck disable=SC2016 # the variable is the template's
  mounts=$(kube -n "$namespace" get pods -o go-template='{{range $p := .items}}{{range .spec.volumes}}{{with .persistentVolumeClaim}}{{$p.metadata.name}} {{.claimName}}{{"\n"}}{{end}}{{end}}{{end}}')
  while read -r pod; do
    kind=pod name=$pod
    while owner=$(kube -n "$namespace" get "$kind" "$name" --ignore-not-found -o go-template='{{range .metadata.ownerReferences}}{{if .controller}}{{.apiVersion}} {{.kind}} {{.name}}{{end}}{{end}}') && [[ -n $owner ]]; do
      read -r version kind name <<<"$owner"
      # kubectl accepts Kind.version.group; the core group has no name.
      if [[ $version == */* ]]; then
        kind="$kind.${version#*/}.${version%/*}"
      fi
    done
    say "deleting $kind $namespace/$name, which uses the claim $claim"
    kube -n "$namespace" delete "$kind" "$name" --wait=false --ignore-not-found >/dev/null
  done < <(awk -v claim="$claim" '$2 == claim { print $1 }' <<<"$mounts" | sort -u)
}

snapshot_kind=volumesnapshots.snapshot.storage.k8s.io
content_kind=volumesnapshotcontents.snapshot.storage.k8s.io

# Prints "<content> <EBS snapshot> <deletion policy> <class> <VolumeSnapshot>" for every snapshot of the driver.
snapshots() {
  known "$content_kind" || return 0
  kube get "$content_kind" -o go-template='{{range .items}}{{if eq .spec.driver "ebs.csi.aws.com"}}{{.metadata.name}} {{with .status}}{{or .snapshotHandle "-"}}{{else}}-{{end}} {{.spec.deletionPolicy}} {{or .spec.volumeSnapshotClassName "-"}} {{with .spec.volumeSnapshotRef}}{{.namespace}}/{{.name}}{{end}}{{"\n"}}{{end}}{{end}}'
}

# Sets the deletion policy of every snapshot, or only of one class if there is a second argument.
set_deletion_policy() {
  local policy=$1 only=${2:-} all name class
  all=$(snapshots)
  while read -r name _ _ class _; do
    if [[ -n $name && (-z $only || $class == "$only") ]]; then
      kube patch "$content_kind" "$name" --type=merge -p "{\"spec\":{\"deletionPolicy\":\"$policy\"}}" >/dev/null
    fi
  done <<<"$all"
}

# A VolumeSnapshot stays until its content is deleted, and a retained content is not deleted.
snapshots_left() {
  names "$snapshot_kind" && deleted_names "$content_kind"
}

# Deletes VolumeSnapshots. They come before claims, because a claim stays while a snapshot is taken of it. A snapshot of a
# class with the deletion policy Retain stays in EC2.
release_snapshots() {
  local touched left content snapshot of verb=deleted
  known "$snapshot_kind" || return 0
  if [[ $VOLUMES == keep ]]; then
    set_deletion_policy Retain
  fi
  touched=$(snapshots)
  delete_all "$snapshot_kind"
  if ! CONTROLLER="$CONTROLLER ${SNAPSHOT_CONTROLLER:?}" wait_until_gone snapshots_left; then
    strip_finalizers "$snapshot_kind"
    strip_finalizers "$content_kind"
    verb="not confirmed gone, named by the sweep if it is left"
  fi
  left=$(snapshots)
  while read -r content snapshot _ _ of; do
    if [[ -z $content ]]; then
      continue
    elif [[ $'\n'$left == *$'\n'"$content "* ]]; then
      echo "snapshot $snapshot ($of): kept"
    else
      echo "snapshot $snapshot ($of): $verb"
    fi
  done <<<"$touched"
}

# Prints the lines of deployed that are claims, snapshots, and StatefulSets that make claims.
deployed_claims() {
  local all group kind namespace name application claims
  all=$(deployed)
  while read -r group kind namespace name application; do
    case $kind in
      PersistentVolumeClaim | VolumeSnapshot) claims=yes ;;
      StatefulSet) claims=$(kube -n "$namespace" get statefulset "$name" --ignore-not-found -o jsonpath='{.spec.volumeClaimTemplates[*].metadata.name}') ;;
      *) claims='' ;;
    esac
    if [[ -n $claims ]]; then
      echo "$group $kind $namespace $name $application"
    fi
  done <<<"$all"
}

volumes_left() {
  names persistentvolumeclaims || return 1
  if [[ $VOLUMES == delete ]]; then
    volumes | awk '{ print $1 " " $2 }'
  fi
  # A volume that is still attached when its machine is terminated stays attached for some minutes.
  kube get volumeattachments -o go-template='{{range .items}}{{if eq .spec.attacher "ebs.csi.aws.com"}}{{.metadata.name}}{{"\n"}}{{end}}{{end}}'
}

release_volumes() {
  local claims namespace name touched volume size claim verb=deleted policy=Delete
  if [[ $VOLUMES == keep ]]; then
    verb=kept policy=Retain
  fi
  refuse_deployed "$(deployed_claims)"
  release_snapshots
  set_reclaim_policy "$policy"
  touched=$(volumes)
  claims=$(names persistentvolumeclaims)
  while read -r namespace name; do
    if [[ -n $name ]]; then
      delete_users_of "$namespace" "$name"
    fi
  done <<<"$claims"
  delete_all persistentvolumeclaims
  if ! wait_until_gone volumes_left; then
    strip_finalizers persistentvolumeclaims
    refuse_created_again persistentvolumeclaims
    verb="not confirmed gone, left to the sweep"
  fi
  while read -r _ volume size _ claim; do
    if [[ -n $volume ]]; then
      echo "volume $volume ($size, $claim): $verb"
    fi
  done <<<"$touched"
}

case "${ACTION:?}/${RELEASE:?}" in
  hold/volumes)
    if [[ ${VOLUMES:?} == keep ]]; then
      set_reclaim_policy Retain
      set_deletion_policy Retain
    else
      # Volumes and snapshots of the user's own classes keep their policies.
      set_reclaim_policy Delete gp3
      set_deletion_policy Delete ebs
    fi
    echo "on destroy: $VOLUMES volumes"
    ;;
  hold/*)
    echo "holding $RELEASE"
    ;;
  release/applications)
    release_applications
    echo "no Application is left"
    ;;
  release/load-balancers)
    release_load_balancers
    echo "no Ingress and no load balancer is left"
    ;;
  release/resources)
    release_resources
    echo "none is left of: $RESOURCES"
    ;;
  release/volumes)
    release_volumes
    echo "no claim is left"
    ;;
  *)
    say "unknown: ACTION=$ACTION RELEASE=$RELEASE"
    exit 2
    ;;
esac
