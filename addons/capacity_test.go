package addons

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

// amount is CPU in millicores and memory in MiB.
type amount struct{ cpu, memory int }

func (a amount) plus(b amount) amount { return amount{a.cpu + b.cpu, a.memory + b.memory} }
func (a amount) fits(b amount) bool   { return a.cpu <= b.cpu && a.memory <= b.memory }
func (a amount) String() string       { return fmt.Sprintf("%dm %dMi", a.cpu, a.memory) }

// instanceTypes are AWS's figures for the instance types of the shipped stacks. Memory is less the share of the
// firmware and the kernel (seen: 7.6 GiB of 8, 3.7 of 4).
var instanceTypes = map[string]amount{
	"t3.medium": {2000, 3788},
	"t3.large":  {2000, 7782},
	"t3.xlarge": {4000, 15564}, "m6i.large": {2000, 7782}, "m6i.xlarge": {4000, 15564},
	"r6i.large": {2000, 15564},
}

// reserved is the kubelet's reserve for the system, and its eviction threshold.
var reserved = amount{100, 256 + 100}

// The nodes on which a pod may run.
const (
	everyNode    = "every node"
	controlPlane = "control plane"
	storageNode  = "storage"
	anyWorker    = "any worker"
)

// pod is one kind of pod, with the requests of its containers by their path in the values of a release or in an
// object.
type pod struct {
	source   string
	name     string
	where    string
	requests []string
	copies   int
}

// kubeadm's own pods, with the requests that kubeadm writes.
var systemPods = []struct {
	name  string
	where string
	asks  amount
}{
	{"kube-apiserver", controlPlane, amount{250, 0}},
	{"kube-controller-manager", controlPlane, amount{200, 0}},
	{"kube-scheduler", controlPlane, amount{100, 0}},
	{"etcd", controlPlane, amount{100, 100}},
	{"coredns-1", anyWorker, amount{100, 70}},
	{"coredns-2", anyWorker, amount{100, 70}},
}

// pods are all pods of the platform. Init containers with smaller requests than the pod's containers do not count.
var pods = []pod{
	{"calico", "calico-node", everyNode,
		[]string{"installation/calicoNodeDaemonSet/spec/template/spec/containers/0/resources"}, 1},
	// tigera/operator scales Typha with the nodes: see typhas. Typha and the operator tolerate every taint, so one of
	// each is also counted on the control plane.
	{"calico", "calico-typha on the control plane", controlPlane,
		[]string{"installation/typhaDeployment/spec/template/spec/containers/0/resources"}, 1},
	{"calico", "tigera-operator on the control plane", controlPlane, []string{"resources"}, 1},
	{"calico", "calico-typha", anyWorker,
		[]string{"installation/typhaDeployment/spec/template/spec/containers/0/resources"}, 0},
	{"calico", "calico-kube-controllers", anyWorker,
		[]string{"installation/calicoKubeControllersDeployment/spec/template/spec/containers/0/resources"}, 1},
	{"calico", "tigera-operator", anyWorker, []string{"resources"}, 1},
	{"aws-cloud-controller-manager", "aws-cloud-controller-manager", controlPlane, []string{"resources"}, 1},
	{"metrics-server", "metrics-server", anyWorker, []string{"resources"}, 1},
	{"aws-ebs-csi-driver", "ebs-csi-controller", controlPlane,
		[]string{"controller/resources", "sidecars/provisioner/resources",
			"sidecars/attacher/resources", "sidecars/resizer/resources", "sidecars/snapshotter/resources",
			"sidecars/livenessProbe/resources"}, 1},
	{"snapshot-controller", "snapshot-controller", controlPlane, []string{"spec/template/spec/containers/0/resources"}, 1},
	{"aws-ebs-csi-driver", "ebs-csi-node", everyNode,
		[]string{"node/resources", "sidecars/nodeDriverRegistrar/resources", "sidecars/livenessProbe/resources"}, 1},
	{"cert-manager", "cert-manager", anyWorker, []string{"resources"}, 1},
	{"cert-manager", "webhook", anyWorker, []string{"webhook/resources"}, 1},
	{"cert-manager", "cainjector", anyWorker, []string{"cainjector/resources"}, 1},
	{"aws-load-balancer-controller", "aws-load-balancer-controller", controlPlane, []string{"resources"}, 1},
	{"kube-prometheus-stack", "prometheus", storageNode,
		[]string{"prometheus/prometheusSpec/resources", "prometheusOperator/prometheusConfigReloader/resources"}, 1},
	{"kube-prometheus-stack", "alertmanager", storageNode,
		[]string{"alertmanager/alertmanagerSpec/resources", "prometheusOperator/prometheusConfigReloader/resources"}, 1},
	{"kube-prometheus-stack", "prometheus-operator", anyWorker, []string{"prometheusOperator/resources"}, 1},
	{"kube-prometheus-stack", "kube-state-metrics", anyWorker, []string{"kube-state-metrics/resources"}, 1},
	{"kube-prometheus-stack", "node-exporter", everyNode, []string{"prometheus-node-exporter/resources"}, 1},
	{"kube-prometheus-stack", "grafana", storageNode,
		[]string{"grafana/resources", "grafana/sidecar/resources", "grafana/sidecar/resources"}, 1},
	{"loki", "loki", controlPlane, []string{"singleBinary/resources"}, 1},
	{"fluent-bit", "fluent-bit", everyNode, []string{"resources"}, 1},
	{"rabbitmq-cluster-operator", "rabbitmq-cluster-operator", anyWorker, []string{"clusterOperator/resources"}, 1},
	{"rabbitmq", "rabbitmq-server", storageNode, []string{"spec/resources"}, 1},
	{"valkey", "valkey", storageNode, []string{"resources", "metrics/exporter/resources"}, 1},
	{"cloudnative-pg", "cloudnative-pg", anyWorker, []string{"resources"}, 1},
	{"postgresql", "postgresql", storageNode, []string{"spec/resources"}, 1},
	{"argo-cd", "application-controller", anyWorker, []string{"controller/resources"}, 1},
	{"argo-cd", "repo-server", anyWorker, []string{"repoServer/resources"}, 1},
	{"argo-cd", "server", anyWorker, []string{"server/resources"}, 1},
	{"argo-cd", "applicationset-controller", anyWorker, []string{"applicationSet/resources"}, 1},
	{"argo-cd", "redis", anyWorker, []string{"redis/resources"}, 1},
	{"argo-rollouts", "argo-rollouts", anyWorker, []string{"controller/resources"}, 1},
}

// room is the space for the user's own pods on the workers: three API pods and two Celery pods of 200m and 256 MiB.
var room = amount{1000, 1280}

func TestPlatformFitsItsNodes(t *testing.T) {
	stack := func(name string) func(*config.Config) {
		return func(c *config.Config) {
			loaded, err := config.LoadFile(name, "..")
			if err != nil {
				t.Fatal(err)
			}
			*c = *loaded
		}
	}
	for name, change := range map[string]func(*config.Config){
		"dev":     nil,
		"staging": stack("staging"),
		"prod":    stack("prod"),
		"dev with a domain and a repository": func(c *config.Config) {
			c.DNS.Domain = "example.com"
			c.Addons.ArgoCD.RepoURL = "https://git.example.com/platform.git"
		},
	} {
		t.Run(name, func(t *testing.T) {
			var cfg *config.Config
			r := install(t, nil, func(c *config.Config) {
				if change != nil {
					change(c)
				}
				cfg = c
			})
			place(t, cfg, demand(t, r, cfg))
		})
	}
}

// Every installed release and Deployment has to be in the table. Otherwise the sum is meaningless.
func TestEveryWorkloadIsCounted(t *testing.T) {
	counted := map[string]bool{"calico-crds": true, "prometheus-operator-crds": true}
	for _, p := range pods {
		counted[p.source] = true
	}
	for _, entry := range install(t, nil, everything).resources {
		runs := entry.kind == "kubernetes:helm.sh/v3:Release" || strings.HasPrefix(entry.kind, "kubernetes:apps/v1:")
		if runs && !counted[entry.name] {
			t.Errorf("the pods of %s are not in the table", entry.name)
		}
	}
}

// rendered is a container that a chart renders from the program's values, as chart-facts.sh found it.
type rendered struct {
	workload, replicas, network, container string
	asks                                   amount
}

func renderedOf(t *testing.T, release string) []rendered {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "pods", release+".txt"))
	if err != nil {
		t.Fatalf("%v: run addons/chart-facts.sh", err)
	}
	var all []rendered
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if line == "" {
			continue
		}
		f := strings.Fields(line)
		if f[4] == "none" || f[5] == "none" {
			t.Errorf("%s: container %s of %s asks for nothing, so it cannot be counted", release, f[3], f[0])
			continue
		}
		all = append(all, rendered{f[0], f[1], f[2], f[3], amount{quantity(t, f[4]), quantity(t, f[5])}})
	}
	return all
}

// No chart contains the pods that an operator creates for a custom resource.
var madeByOperators = []string{"calico/calico-node", "calico/calico-typha", "calico/calico-typha on the control plane",
	"calico/tigera-operator on the control plane", "calico/calico-kube-controllers",
	"kube-prometheus-stack/prometheus", "kube-prometheus-stack/alertmanager", "rabbitmq/rabbitmq-server",
	"postgresql/postgresql"}

// The table equals what the charts render from the values: the same sum for every release, every container with a
// request, and no additional container.
func TestChartsRunWhatIsCounted(t *testing.T) {
	r := install(t, nil, everything)
	for release := range r.releases() {
		var counted, made amount
		for _, p := range pods {
			if p.source != release || slices.Contains(madeByOperators, p.source+"/"+p.name) {
				continue
			}
			for _, path := range p.requests {
				counted = counted.plus(requestsAt(t, p.source, valuesOf(r.find(t, release)), path))
			}
		}
		for _, c := range renderedOf(t, release) {
			if c.replicas != "1" && c.replicas != "each" {
				t.Errorf("%s: %s runs %s times, counted once", release, c.workload, c.replicas)
			}
			made = made.plus(c.asks)
		}
		if made != counted {
			t.Errorf("%s: the chart's pods ask for %v, counted are %v", release, made, counted)
		}
	}
}

// Only a pod on its host's network reaches the metadata service, which provides the instance's permissions.
func TestControllersThatCallAWSAreOnTheHostsNetwork(t *testing.T) {
	for release, workload := range map[string]string{
		"aws-cloud-controller-manager": "DaemonSet/aws-cloud-controller-manager",
		"aws-ebs-csi-driver":           "Deployment/ebs-csi-controller",
		"aws-load-balancer-controller": "Deployment/aws-load-balancer-controller",
		"loki":                         "StatefulSet/loki",
	} {
		found := false
		for _, c := range renderedOf(t, release) {
			if c.workload == workload {
				found = true
				if c.network != "host" {
					t.Errorf("%s is not on its host's network", workload)
				}
			}
		}
		if !found {
			t.Errorf("%s makes no %s", release, workload)
		}
	}
}

type wanted struct {
	name, where string
	asks        amount
}

func demand(t *testing.T, r *recorder, cfg *config.Config) []wanted {
	t.Helper()
	var all []wanted
	for _, p := range systemPods {
		all = append(all, wanted{p.name, p.where, p.asks})
	}
	for _, p := range pods {
		if !r.has(p.source) {
			continue
		}
		entry := r.find(t, p.source)
		values := plainMap(entry.inputs)
		if !isObject(entry) {
			values = valuesOf(entry)
		}
		var asks amount
		for _, path := range p.requests {
			asks = asks.plus(requestsAt(t, p.source, values, path))
		}
		copies := p.copies
		switch p.name {
		case "rabbitmq-server":
			copies = cfg.Addons.RabbitMQ.Replicas
		case "calico-typha":
			copies = typhas(len(cfg.Nodes))
		}
		for range copies {
			all = append(all, wanted{p.source + "/" + p.name, p.where, asks})
		}
	}
	return all
}

// typhas is the rule of tigera/operator v1.42.3, pkg/common/autoscale.go, for fewer than 200 nodes.
func typhas(nodes int) int {
	switch {
	case nodes <= 2:
		return 1
	case nodes <= 4:
		return 2
	}
	return 3
}

func requestsAt(t *testing.T, source string, values any, path string) amount {
	t.Helper()
	node := values
	for _, key := range strings.Split(path+"/requests", "/") {
		switch at := node.(type) {
		case map[string]any:
			node = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(at) {
				t.Fatalf("%s: nothing at %s", source, path)
			}
			node = at[i]
		}
	}
	asks, ok := node.(map[string]any)
	if !ok {
		t.Fatalf("%s: no requests at %s", source, path)
	}
	return amount{quantity(t, asks["cpu"]), quantity(t, asks["memory"])}
}

var quantities = regexp.MustCompile(`^(\d+)(m|Mi|Gi)$`)

func quantity(t *testing.T, value any) int {
	t.Helper()
	match := quantities.FindStringSubmatch(fmt.Sprint(value))
	if match == nil {
		t.Fatalf("%v is not a quantity that is understood here", value)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	if match[2] == "Gi" {
		n *= 1024
	}
	return n
}

type machine struct {
	node config.Node
	free amount
}

// place assigns the pods to nodes as the scheduler must be able to, the largest first.
func place(t *testing.T, cfg *config.Config, all []wanted) {
	t.Helper()
	var machines []*machine
	for _, node := range cfg.Nodes {
		size, ok := instanceTypes[node.InstanceType]
		if !ok {
			t.Fatalf("the size of %s is not known here", node.InstanceType)
		}
		machines = append(machines, &machine{node, amount{size.cpu - reserved.cpu, size.memory - reserved.memory}})
	}
	slices.SortStableFunc(all, func(a, b wanted) int {
		if (a.where == everyNode) != (b.where == everyNode) {
			if a.where == everyNode {
				return -1
			}
			return 1
		}
		return b.asks.memory - a.asks.memory
	})
	for _, p := range all {
		put := 0
		for _, m := range machines {
			if !takes(m.node, p.where) || (put > 0 && p.where != everyNode) || !p.asks.fits(m.free) {
				continue
			}
			m.free = amount{m.free.cpu - p.asks.cpu, m.free.memory - p.asks.memory}
			put++
		}
		if put == 0 || (p.where == everyNode && put < len(machines)) {
			t.Errorf("%s asks for %v and does not fit on: %s", p.name, p.asks, p.where)
		}
	}
	var left amount
	for _, m := range machines {
		t.Logf("%s (%s): %v free", m.node.Name, m.node.InstanceType, m.free)
		if takes(m.node, anyWorker) {
			left = left.plus(m.free)
		}
	}
	if !room.fits(left) {
		t.Errorf("%v are left on the workers for the user's pods, which need %v", left, room)
	}
}

// takes reports whether a node accepts pods of a place, by its role, labels and taints.
func takes(node config.Node, where string) bool {
	switch where {
	case everyNode:
		return true
	case controlPlane:
		return node.Role == config.ControlPlane
	case storageNode:
		return node.Labels[storageLabel] == storageValue
	}
	return node.Role == config.Worker && len(node.Taints) == 0
}
