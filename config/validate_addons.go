package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"kubeadm-aws/addons/catalog"
)

const (
	maxClaim    = 16384
	maxReplicas = 7
	// Valkey needs some MiB for itself. The largest EC2 instances have 24 TiB.
	minRedisMemory = 32
	// RabbitMQ itself takes about 150 MiB, and takes messages while it uses less than a share of its memory.
	minRabbitMQMemory = 512
	maxMemory         = 8 << 20
)

// addonsValidator validates the add-ons.
type addonsValidator struct{ part }

func (v addonsValidator) validate() {
	a := v.c.Addons
	on := a.ByKey()
	for _, addon := range catalog.Addons {
		for _, need := range addon.Needs {
			if on[addon.Key].On() && !on[need.Key].On() {
				v.fault("addons."+need.Key+".enabled", false, fmt.Sprintf("addons.%s needs it: %s", addon.Key, need.Why),
					fmt.Sprintf("true, or addons.%s.enabled: false", addon.Key))
			}
		}
	}
	if v.c.DNS.Domain != "" && !a.LoadBalancer.On() {
		v.fault("addons.loadBalancer.enabled", false,
			"dns.domain needs it: the controller makes the load balancer that the names lead to",
			"true, or no dns.domain")
	}
	v.places(on)
	for _, s := range []struct {
		path      string
		size, low int
		why       string
	}{
		{"addons.rabbitmq.storageGiB", a.RabbitMQ.StorageGiB, 3,
			"GiB of a gp3 volume; RabbitMQ takes no message while less than 2 GB are free"},
		{"addons.redis.storageGiB", a.Redis.StorageGiB, 1, "GiB of a gp3 volume"},
		{"addons.postgresql.storageGiB", a.PostgreSQL.StorageGiB, 2,
			"GiB of a gp3 volume; PostgreSQL's log alone takes up to 1.5"},
	} {
		v.between(s.path, s.size, bounds{s.low, maxClaim, s.why, 10})
	}
	v.between("addons.redis.maxMemoryMiB", a.Redis.MaxMemoryMiB,
		bounds{minRedisMemory, maxMemory, "MiB of data, and the pod's limit is twice that", 256})
	v.between("addons.rabbitmq.memoryMiB", a.RabbitMQ.MemoryMiB,
		bounds{minRabbitMQMemory, maxMemory, "MiB of each server", 2048})
	if n := a.RabbitMQ.Replicas; n < 1 || n > maxReplicas || n%2 == 0 {
		v.fault("addons.rabbitmq.replicas", n,
			fmt.Sprintf("must be an odd number from 1 to %d: with an even one no half has the majority after a split",
				maxReplicas),
			"3")
	}
	postgresqlValidator(v).validate(a.PostgreSQL)
	argocdValidator(v).validate(a.ArgoCD)
	v.acme(a)
	v.neededValues(on)
	v.valkeyConfig(on["redis"])
	for _, name := range sortedKeys(on) {
		if _, ok := on[name].Values[""]; ok {
			v.fault("addons."+name+".values", on[name].Values, "has a key without a name", "replicas: 2")
		}
	}
	if storage, _ := a.Redis.Values["dataStorage"].(map[string]any); storage != nil {
		if size, set := storage["requestedSize"]; set {
			v.fault("addons.redis.values.dataStorage.requestedSize", size,
				"is decided by addons.redis.storageGiB, and with two sizes the next up would compare the wrong one",
				"addons.redis.storageGiB: 10")
		}
	}
	for _, name := range sortedKeys(a.Logging.Values) {
		v.oneOf("addons.logging.values", name, "loki", "fluentBit")
	}
}

// places refuses storage nodes that accept no pods, and add-ons without a node. If no node has the label
// workload=storage, data services run on any node.
func (v addonsValidator) places(on map[string]Addon) {
	if v.isBroken("nodes") {
		return
	}
	v.storageTaints(on)
	open, storage, labelled := 0, 0, ""
	for _, n := range v.c.Nodes {
		if n.Labels["workload"] == "storage" {
			labelled = n.Key("labels.workload")
		}
		if n.Role != Worker {
			continue
		}
		repelled, repelledStorage := false, false
		for _, t := range n.Taints {
			if t.Effect == "PreferNoSchedule" {
				continue
			}
			repelled = true
			repelledStorage = repelledStorage || t != storageTaint
		}
		if !repelled {
			open++
		}
		if n.Labels["workload"] == "storage" && !repelledStorage {
			storage++
		}
	}
	for _, name := range dataServices {
		if on[name].On() && storage == 0 && labelled != "" {
			v.fault(labelled, "storage",
				fmt.Sprintf("binds addons.%s to nodes that do not take its pods: it needs a worker with this label and no taint "+
					"but workload=storage:NoSchedule", name),
				"remove the label or the other taints")
			break
		}
	}
	for _, name := range []string{"metricsServer", "certManager", "monitoring", "argocd", "argoRollouts", "rabbitmq",
		"redis", "postgresql"} {
		if on[name].On() && open == 0 {
			v.fault("nodes", nil,
				fmt.Sprintf("must have a worker without NoSchedule or NoExecute taints: addons.%s would wait for one", name),
				"name: worker-1")
			return
		}
	}
}

// storageTaint is the taint that data services tolerate on nodes with the label workload=storage.
var storageTaint = Taint{Key: "workload", Value: "storage", Effect: "NoSchedule"}

// dataServices are the add-ons with volumes. They run on nodes with the label workload=storage if there are any.
var dataServices = []string{"rabbitmq", "redis", "postgresql", "monitoring"}

// storageTaints refuses the storage taint without its label. Data services tolerate no taint then, and pods whose
// volume is in that node's zone would wait forever.
func (v addonsValidator) storageTaints(on map[string]Addon) {
	first := slices.IndexFunc(dataServices, func(name string) bool { return on[name].On() })
	if first < 0 {
		return
	}
	for _, n := range v.c.entries {
		for j, t := range n.Taints {
			if t == storageTaint && n.Role == Worker && n.Labels["workload"] != "storage" {
				v.fault(fmt.Sprintf("%s[%d]", n.Key("taints"), j), t,
					fmt.Sprintf("keeps pods away, and without the label workload: storage addons.%s does not tolerate it: its pod "+
						"waits forever for a volume in this node's zone", dataServices[first]),
					"labels: {workload: storage} with it, or no taint")
			}
		}
	}
}

func (v addonsValidator) acme(a Addons) {
	acme := a.CertificateACME
	needed := v.c.DNS.Domain != "" && a.CertManager.On()
	switch {
	case acme.Email == "" && needed:
		v.fault("addons.acme.email", nil,
			"is not set: cert-manager's account for dns.domain needs an address to warn before certificates end",
			"pulumi config set --path kubeadm-aws:addons.acme.email admin@example.com")
	case acme.Email != "" && !mailAddress.MatchString(acme.Email) || strings.Contains(acme.Email, ".."):
		v.fault("addons.acme.email", acme.Email, "is not a mail address", "admin@example.com")
	}
	fault := serverURLFault(acme.Server, "https")
	if u, err := url.Parse(acme.Server); fault == "" && err == nil && u.Path == "" {
		fault = "has no path: it must be the address of the server's directory"
	}
	if fault != "" {
		v.fault("addons.acme.server", acme.Server, fault, "https://acme-v02.api.letsencrypt.org/directory")
	}
}
