package addons

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

// budgetsOfCharts are the budgets that operators and charts create themselves, by the pod in the table of
// capacity_test.go. By default, these charts create none: cert-manager, metrics-server, kube-prometheus-stack,
// argo-cd, argo-rollouts, valkey. The program's values disable that of the EBS driver. tigera/operator v1.42.3
// pkg/render/typha.go creates one of maxUnavailable 1. cluster-operator v2.22.4 creates none. CloudNativePG v1.30.0
// creates one of minAvailable 1 with enablePDB.
var budgetsOfCharts = map[string]string{"calico/calico-typha": "maxUnavailable: 1"}

// The drain of every worker of every shipped stack must end, with the real disruption controller, scheduler and
// kubectl. This test acts as the kubelets.
func TestEveryNodeCanBeDrained(t *testing.T) {
	server := startAPI(t)
	server.controllers()
	server.kubectl("create", "namespace", "drain")
	for _, stack := range []string{"dev", "staging", "prod", "everything"} {
		t.Run(stack, func(t *testing.T) {
			a := &api{t: t, kubeconfig: server.kubeconfig, url: server.url}
			cfg := drainConfig(t, stack)
			p := &kubelets{api: a, cfg: cfg, gone: map[string]time.Time{}}
			p.start(workloadsOf(t, stack, cfg))
			// A change of image.generation does the same: it replaces every worker at once.
			p.replaceAll()
			p.remove()
		})
	}
}

// A budget for servers that share a node would block the eviction of the second one forever.
func TestRabbitMQHasABudgetWhereItsServersHaveNodesOfTheirOwn(t *testing.T) {
	for stack, want := range map[string]bool{"prod": true, "everything": false, "dev": false} {
		cfg := drainConfig(t, stack)
		r := install(t, nil, func(c *config.Config) { *c = *cfg })
		if got := r.has("budget-rabbitmq"); got != want {
			t.Errorf("%s: budget %v, want %v", stack, got, want)
		}
	}
}

func drainConfig(t *testing.T, stack string) *config.Config {
	t.Helper()
	name := stack
	if stack == "everything" {
		name = "dev"
	}
	cfg, err := config.LoadFile(name, "..")
	if err != nil {
		t.Fatal(err)
	}
	if stack == "everything" {
		everything(cfg)
		cfg.Addons.RabbitMQ.Replicas = 3 // on one storage node
	}
	return cfg
}

// controllers starts the parts of the control plane that a drain needs.
func (a *api) controllers() {
	a.t.Helper()
	testenv.Start(a.t, testenv.NeedKubernetes(a.t, "kube-controller-manager"), "--kubeconfig", a.kubeconfig,
		"--leader-elect=false", "--bind-address=127.0.0.1",
		"--secure-port", fmt.Sprint(testenv.FreePort(a.t)),
		"--controllers=deployment-controller,replicaset-controller,statefulset-controller,disruption-controller")
	testenv.Start(a.t, testenv.NeedKubernetes(a.t, "kube-scheduler"), "--kubeconfig", a.kubeconfig, "--leader-elect=false",
		"--bind-address=127.0.0.1",
		"--secure-port", fmt.Sprint(testenv.FreePort(a.t)))
}

// workloadsOf returns the Deployments and budgets of a stack: of its releases and objects, of CoreDNS and of the
// applications.
func workloadsOf(t *testing.T, stack string, cfg *config.Config) []string {
	t.Helper()
	r := install(t, nil, func(c *config.Config) { *c = *cfg })
	var objects []string
	counts := map[string]int{}
	asks := map[string]wanted{}
	for _, w := range demand(t, r, cfg) {
		if w.where == anyWorker || w.where == storageNode {
			counts[w.name]++
			asks[w.name] = w
		}
	}
	for name, n := range counts {
		if strings.HasPrefix(name, "coredns") {
			continue
		}
		objects = append(objects, deployment(asks[name], n, storagePlacement(cfg) != nil))
		if rule, ok := budgetsOfCharts[name]; ok {
			objects = append(objects,
				fmt.Sprintf(
					`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: %[1]s, namespace: drain}, spec: {%s, selector: {matchLabels: {app: %[1]s}}}}`, labelOf(name), rule))
		}
	}
	objects = append(objects, coreDNS)
	for _, entry := range r.resources {
		if strings.HasSuffix(entry.kind, ":PodDisruptionBudget") {
			budget := plainMap(entry.inputs)
			budget["metadata"].(map[string]any)["namespace"] = "drain"
			objects = append(objects, jsonOf(t, budget))
		}
		if enabled, ok := specOf(entry)["enablePDB"]; ok && enabled == true {
			objects = append(objects,
				`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: postgresql-primary, namespace: drain}, spec: {minAvailable: 1, selector: {matchLabels: {app: postgresql-postgresql}}}}`)
		}
	}
	if stack == "everything" {
		stack = "dev"
	}
	return append(objects, applications(t, "../envs/"+stack)...)
}

func specOf(entry registered) map[string]any {
	spec, _ := plainMap(entry.inputs)["spec"].(map[string]any)
	return spec
}

func labelOf(name string) string { return strings.ReplaceAll(name, "/", "-") }

// coreDNS is the Deployment that kubeadm and cluster/dns.go create for two workers or more.
const coreDNS = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: coredns, namespace: drain}, spec: {replicas: 2, strategy: {rollingUpdate: {maxUnavailable: 1}}, selector: {matchLabels: {k8s-app: kube-dns}}, template: {metadata: {labels: {k8s-app: kube-dns}}, spec: {containers: [{name: c, image: c, resources: {requests: {cpu: 100m, memory: 70Mi}}}], affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {k8s-app: kube-dns}}}]}}}}}}`

// deployment returns a workload with the requests and the place of one line of the table. The servers of RabbitMQ use
// anti-affinity.
func deployment(w wanted, replicas int, storage bool) string {
	label := labelOf(w.name)
	place := ""
	if w.where == storageNode && storage {
		place = `, nodeSelector: {workload: storage}, tolerations: [{key: workload, value: storage, effect: NoSchedule}]`
	}
	match := fmt.Sprintf("{app: %s}", label)
	if w.name == "rabbitmq/rabbitmq-server" {
		match = "{app.kubernetes.io/name: rabbitmq}"
		place += `, affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app.kubernetes.io/name: rabbitmq}}}}]}}`
	}
	return fmt.Sprintf(
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s, namespace: drain}, spec: {replicas: %d, selector: {matchLabels: %[3]s}, template: {metadata: {labels: %[3]s}, spec: {containers: [{name: c, image: c, resources: {requests: {cpu: %[4]dm, memory: %[5]dMi}}}]%[6]s}}}}`,
		label, replicas, match, w.asks.cpu, w.asks.memory, place)
}

// applications returns the workloads and budgets of an environment. A Rollout is a Deployment here, because the
// disruption controller counts the pods of their ReplicaSets in the same way. The number of pods is the autoscaler's
// maximum, which is the worst case.
func applications(t *testing.T, dir string) []string {
	t.Helper()
	var objects []string
	for _, app := range []string{"api", "worker"} {
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(dir, app))
		if err != nil {
			t.Fatal(err)
		}
		var replicas any
		var workload map[string]any
		for _, res := range built.Resources() {
			object, err := res.Map()
			if err != nil {
				t.Fatal(err)
			}
			object["metadata"] = map[string]any{"name": res.GetName(), "namespace": "drain"}
			spec, _ := object["spec"].(map[string]any)
			switch res.GetKind() {
			case "Rollout", "Deployment":
				object["apiVersion"], object["kind"] = "apps/v1", "Deployment"
				delete(spec, "strategy")
				delete(spec, "progressDeadlineAbort") // a field of Rollouts only
				workload = object
			case "HorizontalPodAutoscaler":
				replicas = spec["maxReplicas"]
			case "PodDisruptionBudget":
				objects = append(objects, jsonOf(t, object))
			}
		}
		spec := workload["spec"].(map[string]any)
		spec["replicas"] = replicas
		pod := spec["template"].(map[string]any)["spec"].(map[string]any)
		for _, c := range pod["containers"].([]any) {
			c := c.(map[string]any)
			delete(c, "lifecycle")
		}
		objects = append(objects, jsonOf(t, workload))
	}
	return objects
}

// kubelets simulates the kubelets of a stack's nodes, and the machines that replace others.
type kubelets struct {
	*api
	cfg   *config.Config
	mutex sync.Mutex
	gone  map[string]time.Time
	// least is the smallest observed number of ready pods of CoreDNS.
	least int
}

// bootTime is the boot time of a new machine in this test.
const bootTime = 4 * time.Second

func (p *kubelets) start(objects []string) {
	p.t.Helper()
	for _, node := range p.cfg.Nodes {
		p.join(node)
	}
	p.apply(objects...)
	p.play(p.sync)
	p.until("every pod is ready", p.allReady)
	p.mutex.Lock()
	p.least = 2
	p.mutex.Unlock()
}

// remove deletes the objects of a stack before the next one. There is no garbage collector, so it deletes them by
// name.
func (p *kubelets) remove() {
	p.t.Helper()
	for _, resource := range []string{"poddisruptionbudgets", "deployments", "replicasets"} {
		p.kubectl("-n", "drain", "delete", resource, "--all", "--wait=false")
	}
	p.until("the pods are deleted", func() bool {
		_, _ = p.try("", "-n", "drain", "delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")
		return len(p.pods().Items) == 0
	})
	p.kubectl("delete", "nodes", "--all")
}

// join creates a Ready node.
func (p *kubelets) join(node config.Node) {
	size := instanceTypes[node.InstanceType]
	taints := []map[string]string{}
	if node.Role == config.ControlPlane {
		taints = append(taints, map[string]string{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})
	}
	for _, taint := range node.Taints {
		taints = append(taints, map[string]string{"key": taint.Key, "value": taint.Value, "effect": taint.Effect})
	}
	labels := map[string]string{"kubernetes.io/hostname": node.Name, "kubernetes.io/os": "linux"}
	if node.Role == config.ControlPlane {
		labels["node-role.kubernetes.io/control-plane"] = ""
	}
	for k, v := range node.Labels {
		labels[k] = v
	}
	capacity := map[string]string{"cpu": fmt.Sprintf("%dm", size.cpu-reserved.cpu),
		"memory": fmt.Sprintf("%dMi", size.memory-reserved.memory), "pods": "110"}
	status := map[string]any{"capacity": capacity, "allocatable": capacity,
		"conditions": []map[string]string{{"type": "Ready", "status": "True"}}}
	p.call("POST", "/api/v1/nodes", map[string]any{
		"metadata": map[string]any{"name": node.Name, "labels": labels}, "spec": map[string]any{"taints": taints},
		"status": status,
	})
	// Admission adds a taint that the node lifecycle controller removes.
	p.call("PATCH", "/api/v1/nodes/"+node.Name, map[string]any{"spec": map[string]any{"taints": taints}})
	p.call("PATCH", "/api/v1/nodes/"+node.Name+"/status", map[string]any{"status": status})
}

// podList is the part of pods that the test reads.
type podList struct {
	Items []struct {
		Metadata struct {
			Name, DeletionTimestamp string
			Labels                  map[string]string
		}
		Spec   struct{ NodeName string }
		Status struct {
			Phase      string
			Conditions []struct{ Type, Status string }
		}
	}
}

func (p *kubelets) pods() (list podList) {
	_ = json.Unmarshal(p.call("GET", "/api/v1/namespaces/drain/pods", nil), &list)
	return list
}

// sync starts and ends pods, and adds replacement machines whose boot time has passed.
func (p *kubelets) sync() {
	dns := 0
	for _, pod := range p.pods().Items {
		path := "/api/v1/namespaces/drain/pods/" + pod.Metadata.Name
		switch {
		case pod.Metadata.DeletionTimestamp != "":
			p.call("DELETE", path, map[string]any{"gracePeriodSeconds": 0})
		case pod.Spec.NodeName != "" && pod.Status.Phase == "Pending":
			p.call("PATCH", path+"/status", map[string]any{"status": map[string]any{"phase": "Running",
				"conditions": []map[string]string{{"type": "Ready", "status": "True"}}}})
		case pod.Status.Phase == "Running" && pod.Metadata.Labels["k8s-app"] == "kube-dns":
			dns++
		}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.least = min(p.least, dns)
	for name, since := range p.gone {
		if time.Since(since) > bootTime {
			delete(p.gone, name)
			p.join(p.cfg.Nodes[slices.IndexFunc(p.cfg.Nodes, func(n config.Node) bool { return n.Name == name })])
		}
	}
}

func (p *kubelets) allReady() bool {
	pods := p.pods().Items
	for _, pod := range pods {
		if pod.Status.Phase != "Running" || pod.Metadata.DeletionTimestamp != "" {
			return false
		}
	}
	var list struct {
		Items []struct{ Spec struct{ Replicas int } }
	}
	_ = json.Unmarshal(p.call("GET", "/apis/apps/v1/namespaces/drain/deployments", nil), &list)
	want := 0
	for _, d := range list.Items {
		want += d.Spec.Replicas
	}
	return want > 0 && len(pods) == want
}

// replaceAll drains and deletes all workers with the program's script at the same time, and adds a replacement for
// each a little later.
func (p *kubelets) replaceAll() {
	p.t.Helper()
	dir := p.t.TempDir()
	var done sync.WaitGroup
	failed := make(chan error, len(p.cfg.Nodes))
	for _, node := range p.cfg.Nodes {
		if node.Role != config.Worker {
			continue
		}
		done.Add(1)
		go func() {
			defer done.Done()
			cmd := exec.Command("bash", "../cluster/scripts/node-delete.sh")
			cmd.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig, "RUN_DIR="+dir, "NODE="+node.Name, "TIMEOUT=60",
				"TURN=170", "RETURN=60", "INTERVAL=0.3")
			out, err := cmd.CombinedOutput()
			if err != nil {
				failed <- fmt.Errorf("%s: %w\n%s", node.Name, err, out)
				return
			}
			p.mutex.Lock()
			p.gone[node.Name] = time.Now()
			p.mutex.Unlock()
		}()
	}
	done.Wait()
	close(failed)
	var all error
	for err := range failed {
		all = errors.Join(all, err)
	}
	if all != nil {
		p.t.Fatal(all)
	}
	p.until("every pod is ready again", p.allReady)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.least < 1 {
		p.t.Error("no pod of CoreDNS was ready at some time")
	}
}

var insecure = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

// call sends a request to the API, without the half second that kubectl needs to start. The next sync repeats failed
// requests.
func (p *kubelets) call(method, path string, body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		return nil
	}
	request, err := http.NewRequest(method, p.url+path, bytes.NewReader(text))
	if err != nil {
		return nil
	}
	request.Header.Set("Authorization", "Bearer test")
	request.Header.Set("Content-Type", "application/json")
	if method == "PATCH" {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := insecure.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	return answer
}
