package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Made holds the settings that a running stack was created with, as its state shows them. It maps a path such as
// "network.podCidr", "nodes[storage].volumeSize" or "aws:region" to the value that exists. A path is absent while no
// resource depends on the setting: before the cluster is initialised, after an add-on is switched off, or for a new
// node.
type Made map[string]any

// changeRule is the kind of change that a running stack can carry out for a setting.
type changeRule int

const (
	// free settings accept any value at any time.
	free changeRule = iota
	// fixed settings keep their value as long as the resources created with it exist.
	fixed
	// growing settings are numbers that cannot decrease.
	growing
	// kept settings may change to another value but cannot become empty.
	kept
	// appended settings are lists whose entries keep their position. Entries at the end may be added and removed.
	appended
)

// settingRule is the rule of one setting. reason explains why it cannot change; remedy is what to do for another
// value.
type settingRule struct {
	key            string
	rule           changeRule
	reason, remedy string
}

const (
	anotherCluster = "for another value destroy the stack and bring it up again"
	issuerInTokens = "the issuer is in the token of every pod that runs and in the trust of every role, and the API server " +
		"would refuse those tokens at once"
	aNewMachine = "give the node another name: a new machine of the new size takes its place"
	aNewVolume  = "back up the data, bring the stack up with %s.enabled: false, which removes the volume, and then " +
		"up again with the smaller size"
)

// settingRules has one row for each setting, in the order of docs/configuration.md.
var settingRules = []settingRule{
	{key: "aws:region", rule: fixed, reason: "every resource of the stack is in that region",
		remedy: "for another region make another stack: pulumi stack init"},
	{key: "aws:profile"}, {key: "aws:allowedAccountIds"}, {key: "aws:forbiddenAccountIds"},
	{key: "aws:assumeRole.roleArn"}, {key: "aws:assumeRole.sessionName"}, {key: "aws:assumeRole.externalId"},
	{key: "aws:assumeRole.duration"},

	{key: "environment"}, {key: "owner"},

	{key: "cluster.name", rule: fixed,
		reason: "the name is in the tags by which controllers and the sweep find the cluster's resources",
		remedy: anotherCluster},
	{key: versionKey}, // refuseVersion
	{key: "cluster.cni", rule: fixed,
		reason: "the pods that run have their addresses from it, and removing it leaves its interfaces and rules on the nodes",
		remedy: anotherCluster},
	{key: "cluster.dnsDomain", rule: fixed,
		reason: "it is in the API server's certificate and in the configuration of every kubelet", remedy: anotherCluster},

	{key: "network.vpcCidr", rule: fixed,
		reason: "AWS does not change the range of a VPC, and another VPC means other machines", remedy: anotherCluster},
	{key: "network.zones", rule: appended,
		reason: "the position of a zone is the position of its subnet's range, and AWS does not change a subnet's range",
		remedy: "keep the order; add zones at the end, and remove them from the end"},
	{key: "network.podCidr", rule: fixed, reason: "every node and every pod has its addresses from it",
		remedy: anotherCluster},
	{key: "network.serviceCidr", rule: fixed, reason: "every Service has its address from it", remedy: anotherCluster},

	{key: "access.adminCidrs"},

	{key: "image.os", rule: fixed,
		reason: "another system means another machine for every node, the control plane included", remedy: anotherCluster},
	{key: "image.ami"}, {key: "image.generation"},

	{key: "nodes[].name"}, {key: "nodes[].count"}, {key: "nodes[].zones"}, {key: "nodes[].without"},
	{key: "nodes[].role", rule: fixed, reason: "a node cannot change its role",
		remedy: "for another role give the node another name"},
	{key: "nodes[].instanceType"}, {key: "nodes[].zone"},
	{key: "nodes[].volumeSize", rule: growing, reason: "AWS does not make a volume smaller", remedy: aNewMachine},
	{key: "nodes[].generation"}, {key: "nodes[].spot"}, {key: "nodes[].labels"},
	{key: "nodes[].taints[].key"}, {key: "nodes[].taints[].value"}, {key: "nodes[].taints[].effect"},

	{key: "dns.domain"}, {key: "dns.createZone"}, // refuseZone
	{key: "dns.zoneId"}, {key: "dns.ingressHosts"},
	{key: "identity.enabled", rule: fixed, reason: issuerInTokens,
		remedy: "to be without it, destroy the stack and bring it up again"},
	{key: "identity.issuer", rule: fixed, reason: issuerInTokens, remedy: anotherCluster},
	{key: "identity.rotate"}, {key: "identity.rotateHours"}, // cluster.PlanTokenKeys
	{key: "identity.serviceAccounts[].namespace"}, {key: "identity.serviceAccounts[].name"},
	{key: "identity.serviceAccounts[].policy"},
	{key: "backup.everyHours"}, {key: "backup.retentionDays"}, {key: "backup.keepBucket"}, {key: "backup.restoreFrom"},
	{key: "repair.notReadyMinutes"}, {key: "repair.maxUnhealthyPercent"},
	{key: "maintenance.reboots"}, {key: "maintenance.days"}, {key: "maintenance.start"}, {key: "maintenance.end"},
	{key: "maintenance.timeZone"},
	{key: "protection.protect"}, {key: "protection.volumes"}, {key: "protection.images"},
	{key: "notifications.receiver"}, {key: "notifications.email.from"}, {key: "notifications.email.to"},
	{key: "notifications.email.server"}, {key: "notifications.email.username"},
	{key: "mirrors.kubernetesApt"}, {key: "mirrors.kubernetesAptKey"}, {key: "mirrors.containerdAptKey"},
	{key: "mirrors.etcdSha256"}, {key: "mirrors.containerdApt"}, {key: "mirrors.etcd"}, {key: "mirrors.registries"},
	{key: "mirrors.charts"}, {key: "mirrors.s3Endpoint"},
	{key: "kubernetes.kubelet"}, {key: "kubernetes.kubeProxy"}, {key: "kubernetes.apiServer"},
	{key: "kubernetes.controllerManager"},
	{key: "kubernetes.scheduler"}, {key: "kubernetes.ignorePreflightErrors"}, {key: "kubernetes.containerd"},

	{key: "addons.metricsServer.enabled"}, {key: "addons.metricsServer.values"},
	{key: "addons.ebsCsi.enabled"}, {key: "addons.ebsCsi.values"},
	{key: "addons.certManager.enabled"}, {key: "addons.certManager.values"},
	{key: "addons.loadBalancer.enabled"}, {key: "addons.loadBalancer.values"},
	// lostVolumes compares what switches an add-on with volumes.
	{key: "addons.monitoring.enabled"}, {key: "addons.monitoring.values"},
	{key: "addons.logging.enabled"}, {key: "addons.logging.values"},
	{key: "addons.rabbitmq.enabled"}, {key: "addons.rabbitmq.values"},
	{key: "addons.rabbitmq.storageGiB", rule: growing, reason: "Kubernetes does not make a volume smaller",
		remedy: fmt.Sprintf(aNewVolume, "addons.rabbitmq")},
	{key: "addons.rabbitmq.replicas", rule: growing,
		reason: "the operator removes no replica, because queues may have their only copy there",
		remedy: "export definitions and drain the queues, bring the stack up with addons.rabbitmq.enabled: false, and " +
			"then up again with fewer replicas"},
	{key: "addons.rabbitmq.memoryMiB"},
	{key: "addons.redis.enabled"}, {key: "addons.redis.values"}, {key: "addons.redis.maxMemoryMiB"},
	{key: "addons.redis.storageGiB", rule: growing, reason: "Kubernetes does not make a volume smaller",
		remedy: fmt.Sprintf(aNewVolume, "addons.redis")},
	{key: "addons.postgresql.enabled"}, {key: "addons.postgresql.values"},
	{key: "addons.postgresql.storageGiB", rule: growing, reason: "Kubernetes does not make a volume smaller",
		remedy: "note `pulumi stack output postgresqlArchive`, bring the stack up with addons.postgresql.enabled: false, " +
			"which removes the database, and then up again with the smaller size, another generation and that archive in " +
			"restore.from"},
	{key: "addons.postgresql.backup.enabled"}, {key: "addons.postgresql.backup.retentionDays"},
	{key: "addons.postgresql.generation", rule: kept, reason: "without it the database would be replaced by an empty one",
		remedy: "keep it after a restore; another one is another restore"},
	{key: "addons.postgresql.restore.from"}, {key: "addons.postgresql.restore.targetTime"},
	{key: "addons.argocd.enabled"}, {key: "addons.argocd.values"}, {key: "addons.argocd.repoUrl"},
	{key: "addons.argocd.revision"}, {key: "addons.argocd.registry"},
	{key: "addons.argocd.repoUsername"}, {key: "addons.argocd.knownHosts"}, {key: "addons.argocd.githubApp.id"},
	{key: "addons.argocd.githubApp.installationId"},
	{key: "addons.argocd.project.repositories"}, {key: "addons.argocd.project.namespaces"},
	{key: "addons.argocd.project.kinds"},
	{key: "addons.argoRollouts.enabled"}, {key: "addons.argoRollouts.values"},
	{key: "addons.acme.email"}, {key: "addons.acme.server"},
}

// Changes are the settings that the running stack cannot adopt.
type Changes []FieldError

// Error lists every change, so that one run is enough to correct all of them.
func (c Changes) Error() string { return listFaults(c, "changed") }

// RefuseChanges compares the settings with those that the stack was created with. The error is nil or a Changes.
func (c *Config) RefuseChanges(made Made) error {
	var faults Changes
	for _, row := range settingRules {
		if row.rule == free {
			continue
		}
		for _, path := range sortedKeys(made) {
			if nodeInPath.ReplaceAllString(path, "nodes[]") == row.key {
				faults = append(faults, comparison{c}.compare(row, path, made[path])...)
			}
		}
	}
	faults = append(faults, comparison{c}.refuseVersion(made)...)
	faults = append(faults, comparison{c}.numberOfControlPlanes(made)...)
	faults = append(faults, comparison{c}.incompleteControlPlanes(made)...)
	faults = append(faults, comparison{c}.stopTogether(made)...)
	faults = append(faults, comparison{c}.refuseMachines(made)...)
	faults = append(faults, comparison{c}.refuseZone(made)...)
	faults = append(faults, comparison{c}.smallerVolumes(made)...)
	faults = append(faults, comparison{c}.lostVolumes(made)...)
	if len(faults) == 0 {
		return nil
	}
	return faults
}

// comparison compares the settings with those that the stack was created with.
type comparison struct{ *Config }

// nodeInPath matches the name of a node in a path of Made.
var nodeInPath = regexp.MustCompile(`^nodes\[([^\]]+)\]`)

// compare applies the rule of one setting to its old value.
func (c comparison) compare(row settingRule, path string, old any) []FieldError {
	now, key, ok := c.settingAt(path)
	if !ok {
		return c.removedNode(path, old)
	}
	if parts := strings.Split(path, "."); parts[0] == "addons" && !c.Addons.ByKey()[parts[1]].On() {
		return nil // the add-on is removed, and its volumes with it
	}
	refused := false
	switch row.rule {
	case fixed:
		refused = now != old
	case kept:
		refused = now == ""
	case growing:
		refused = now.(int) < old.(int)
	case appended:
		refused = !keepPositions(old.([]string), now.([]string))
	}
	if !refused {
		return nil
	}
	return []FieldError{{
		Key: key, Value: quote(now), Reason: fmt.Sprintf("is %s on the running stack: %s", quote(old), row.reason),
		Example: fmt.Sprintf("%s; %s", quote(old), row.remedy),
	}}
}

// removedNode refuses a configuration without the control plane that the cluster began with. Every other node may be
// removed.
func (c comparison) removedNode(path string, old any) []FieldError {
	name := nodeInPath.FindStringSubmatch(path)[1]
	if old != ControlPlane || !c.began(name) {
		return nil
	}
	return []FieldError{{
		Key: Namespace + ":nodes", Value: quote(c.ControlPlane().Name),
		Reason: fmt.Sprintf("the control plane of the running stack is %s: another name is another machine, and etcd is "+
			"on the disk of this one", name),
		Example: fmt.Sprintf("name: %s; for another name destroy the stack and bring it up again", name),
	}}
}

// began reports whether the running cluster began with this control plane.
func (c comparison) began(name string) bool { return c.Initialised == "" || name == c.Initialised }

// keepPositions reports whether entries kept their positions. An empty old entry is a free position.
func keepPositions(old, now []string) bool {
	for i, entry := range old {
		if entry == "" {
			continue
		}
		if at := slices.Index(now, entry); at >= 0 && at != i {
			return false
		}
		if i < len(now) && now[i] != entry {
			return false
		}
	}
	return true
}

// settingAt returns the value at a path of Made and its full key. ok is false if the settings do not contain that
// node.
func (c comparison) settingAt(path string) (value any, key string, ok bool) {
	if path == regionKey {
		return c.Region, regionKey, true
	}
	at := reflect.ValueOf(c.Config).Elem()
	key = Namespace + ":" + path
	if parts := nodeInPath.FindStringSubmatch(path); parts != nil {
		i := slices.IndexFunc(c.Nodes, func(n Node) bool { return n.Name == parts[1] })
		if i < 0 {
			return nil, key, false
		}
		at = reflect.ValueOf(c.Nodes[i])
		path = strings.TrimPrefix(path, parts[0]+".")
		key = Namespace + ":" + c.Nodes[i].Key(path)
	}
	for _, name := range strings.Split(path, ".") {
		at = at.FieldByIndex(fieldsOf(at.Type())[name])
	}
	return at.Interface(), key, true
}
