package config

import (
	"fmt"
	"maps"
	"slices"
)

// Environments a stack can belong to.
const (
	Dev     = "dev"
	Staging = "staging"
	Prod    = "prod"
)

// set stores a default if the key was not written.
func set[T any](present map[string]bool, key string, field *T, value T) {
	if !present[Namespace+":"+key] {
		*field = value
	}
}

// byEnvironment returns the default of an environment. Validation refuses an unknown environment later; here it
// counts as prod, which has the most careful defaults.
func byEnvironment[T any](environment string, dev, staging, prod T) T {
	switch environment {
	case Dev:
		return dev
	case Staging:
		return staging
	}
	return prod
}

// defaults fills in the settings that the user did not write.
type defaults struct {
	*Config
	written map[string]bool // the keys that the user wrote, with their namespace
}

// fill sets every absent setting to its default.
func (d defaults) fill() {
	set(d.written, "environment", &d.Environment, Dev)
	set(d.written, "owner", &d.Owner, "platform")
	env := d.Environment

	set(d.written, "cluster.name", &d.Cluster.Name, d.Stack)
	set(d.written, "cluster.kubernetesVersion", &d.Cluster.KubernetesVersion, DefaultRelease().Version)
	set(d.written, "cluster.cni", &d.Cluster.CNI, "calico")
	set(d.written, "cluster.dnsDomain", &d.Cluster.DNSDomain, "cluster.local")

	set(d.written, "network.vpcCidr", &d.Network.VPCCIDR, "10.0.0.0/16")
	set(d.written, "network.zones", &d.Network.Zones, []string{"a", "b", "c"})
	set(d.written, "network.podCidr", &d.Network.PodCIDR, "10.244.0.0/16")
	set(d.written, "network.serviceCidr", &d.Network.ServiceCIDR, "10.96.0.0/16")

	set(d.written, "image.os", &d.Image.OS, "ubuntu-24.04")

	if d.written[Namespace+":nodes"] {
		d.nodes()
	} else {
		d.Nodes = defaultNodes()
	}
	d.expand()

	set(d.written, "identity.rotateHours", &d.Identity.RotateHours, 25)

	set(d.written, "backup.everyHours", &d.Backup.EveryHours, byEnvironment(env, 24, 6, 1))
	set(d.written, "backup.retentionDays", &d.Backup.RetentionDays, byEnvironment(env, 7, 14, 30))
	setBool(&d.Backup.KeepBucket, env != Dev)

	set(d.written, "repair.notReadyMinutes", &d.Repair.NotReadyMinutes, 15)
	set(d.written, "repair.maxUnhealthyPercent", &d.Repair.MaxUnhealthyPercent, 40)

	set(d.written, "maintenance.days", &d.Maintenance.Days, weekdays)
	set(d.written, "maintenance.start", &d.Maintenance.Start, "02:00")
	set(d.written, "maintenance.end", &d.Maintenance.End, "05:00")
	set(d.written, "maintenance.timeZone", &d.Maintenance.TimeZone, "UTC")

	setBool(&d.Protection.Protect, env == Prod)
	set(d.written, "protection.volumes", &d.Protection.Volumes, byEnvironment(env, "delete", "delete", "keep"))
	set(d.written, "protection.images", &d.Protection.Images, "delete")

	d.Addons.fill(d.written, env)
}

// nodes sets the absent fields of the nodes that the user lists.
func (d defaults) nodes() {
	for i := range d.Nodes {
		n := &d.Nodes[i]
		at := func(field string) string { return fmt.Sprintf("nodes[%d].%s", i, field) }
		set(d.written, at("role"), &n.Role, Worker)
		instance := "t3.medium"
		if n.Role == ControlPlane {
			instance = "t3.large"
		}
		set(d.written, at("instanceType"), &n.InstanceType, instance)
		set(d.written, at("volumeSize"), &n.VolumeSize, 40)
	}
}

// maxCount is the largest number of nodes in one entry.
const maxCount = 500

// expand replaces each entry with a count by its nodes: worker with the count 2 is worker-1 and worker-2.
func (d defaults) expand() {
	d.entries, d.Nodes = d.Nodes, nil
	for i := range d.entries {
		n := &d.entries[i]
		n.entry = i
		if !d.written[Namespace+":"+n.Key("count")] {
			d.Nodes = append(d.Nodes, *n)
			continue
		}
		d.Nodes = append(d.Nodes, n.members()...)
	}
	for i := range d.Nodes {
		if n := &d.Nodes[i]; n.Spot {
			n.Labels = maps.Clone(n.Labels)
			if n.Labels == nil {
				n.Labels = map[string]string{}
			}
			n.Labels[LifecycleLabel] = "spot"
		}
	}
}

// LifecycleLabel is the label that the program sets to spot on spot instances.
const LifecycleLabel = "node.kubernetes.io/lifecycle"

// members returns the nodes of an entry with a count: those with the lowest numbers that Without does not name.
func (n Node) members() []Node {
	count := n.Count
	if count > maxCount {
		count = 1 // The count is refused. No other rule refuses one node.
	}
	var nodes []Node
	for number := 1; len(nodes) < count; number++ {
		if m := n.member(number); !slices.Contains(n.Without, m.Name) {
			nodes = append(nodes, m)
		}
	}
	return nodes
}

// member returns the node with a number, counted from 1. The number decides its zone, so that a node keeps its zone
// whatever happens to the others.
func (n Node) member(number int) Node {
	n.Name = fmt.Sprintf("%s-%d", n.Name, number)
	if len(n.Zones) > 0 {
		n.Zone = n.Zones[(number-1)%len(n.Zones)]
	}
	n.Count, n.Zones, n.Without = 0, nil, nil
	return n
}

// defaultNodes returns the nodes of the cluster that this project replaces: a control plane, one worker each for the
// API and for the task queue, and a node for persistent data.
func defaultNodes() []Node {
	return []Node{
		{Name: "master", Role: ControlPlane, InstanceType: "t3.large", Zone: 0, VolumeSize: 40},
		{Name: "worker-1", Role: Worker, InstanceType: "t3.medium", Zone: 0, VolumeSize: 40,
			Labels: map[string]string{"workload": "api"}},
		{Name: "worker-2", Role: Worker, InstanceType: "t3.medium", Zone: 1, VolumeSize: 40,
			Labels: map[string]string{"workload": "worker"}},
		{Name: "storage", Role: Worker, InstanceType: "t3.large", Zone: 2, VolumeSize: 60,
			Labels: map[string]string{"workload": "storage"},
			Taints: []Taint{{Key: "workload", Value: "storage", Effect: "NoSchedule"}}},
	}
}

func (a *Addons) fill(present map[string]bool, env string) {
	for _, addon := range []*Addon{
		&a.MetricsServer, &a.EBSCSI, &a.CertManager, &a.LoadBalancer, &a.Monitoring,
		&a.RabbitMQ.Addon, &a.Redis.Addon, &a.ArgoCD.Addon, &a.ArgoRollouts,
	} {
		setBool(&addon.Enabled, true)
	}
	// The small nodes of a dev stack are meant for the user's own pods.
	setBool(&a.Logging.Enabled, env != Dev)
	setBool(&a.PostgreSQL.Enabled, env != Dev)

	set(present, "addons.rabbitmq.storageGiB", &a.RabbitMQ.StorageGiB, 10)
	set(present, "addons.rabbitmq.replicas", &a.RabbitMQ.Replicas, 1)
	set(present, "addons.rabbitmq.memoryMiB", &a.RabbitMQ.MemoryMiB, 1024)
	set(present, "addons.redis.storageGiB", &a.Redis.StorageGiB, 5)
	set(present, "addons.redis.maxMemoryMiB", &a.Redis.MaxMemoryMiB, 256)
	set(present, "addons.postgresql.storageGiB", &a.PostgreSQL.StorageGiB, 10)
	setBool(&a.PostgreSQL.Backup.Enabled, true)
	set(present, "addons.postgresql.backup.retentionDays", &a.PostgreSQL.Backup.RetentionDays, 14)
	set(present, "addons.argocd.revision", &a.ArgoCD.Revision, "HEAD")
	set(present, "addons.argocd.repoUsername", &a.ArgoCD.RepoUsername, "git")
	// The staging server of Let's Encrypt has very high rate limits, but browsers do not trust its certificates.
	set(present, "addons.acme.server", &a.CertificateACME.Server, byEnvironment(env,
		"https://acme-staging-v02.api.letsencrypt.org/directory",
		"https://acme-staging-v02.api.letsencrypt.org/directory",
		"https://acme-v02.api.letsencrypt.org/directory"))
}

func setBool(field **bool, value bool) {
	if *field == nil {
		*field = &value
	}
}
