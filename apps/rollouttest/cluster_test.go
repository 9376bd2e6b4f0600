// Package rollouttest releases the API with the programs that release it on a cluster: kube-apiserver with its
// controllers, Argo Rollouts, the Prometheus operator and Prometheus. The objects are those of apps/ and envs/,
// rendered by kustomize. The tests act as the kubelet and the network; see kubelet_test.go and network_test.go.
package rollouttest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kubeadm-aws/internal/testenv"
)

// cluster is a control plane with one node, on which an environment is deployed.
type cluster struct {
	// t is that of the running subtest.
	t           *testing.T
	environment string
	api         testenv.API
	programs    programs
	client      *http.Client
	network     *network
	balancer    *balancer
	repository  *repository
	messages    messages
	prometheus  *prometheus
	stop        chan struct{}
	running     sync.WaitGroup
}

// programs are the paths of the controllers, which are built from the Go modules in this directory and next to it.
type programs struct{ rollouts, plugin, operator, prometheus, health string }

func build(t *testing.T) programs {
	t.Helper()
	dir, err := filepath.Abs("../../.bin/rollouttest")
	if err != nil {
		t.Fatal(err)
	}
	return programs{
		rollouts: testenv.ProgramOf(t, "../releasetest", "github.com/argoproj/argo-rollouts/cmd/rollouts-controller", dir),
		plugin:   testenv.ProgramOf(t, "../releasetest", "github.com/argoproj/argo-rollouts/cmd/kubectl-argo-rollouts", dir),
		health:   testenv.ProgramOf(t, "../projecttest", "kubeadm-aws/apps/projecttest/health", dir),
		operator: testenv.ProgramOf(t, "prometheus", "github.com/prometheus-operator/prometheus-operator/cmd/operator", dir),
		// Service discovery of other kinds than Kubernetes is most of what would be compiled.
		prometheus: testenv.ProgramOf(t, "prometheus", "github.com/prometheus/prometheus/cmd/prometheus", dir,
			"-tags=netgo,remove_all_sd,enable_kubernetes_sd"),
	}
}

// newCluster starts a control plane with an environment, whose first release runs when it returns.
func newCluster(t *testing.T, p programs, environment string) *cluster {
	t.Helper()
	c := &cluster{t: t, environment: environment, api: testenv.StartAPI(t), stop: make(chan struct{}),
		programs: p, repository: newRepository(t)}
	// The token and the certificate of the test's API server.
	c.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost: 10}}
	c.network = newNetwork(t)
	c.balancer = &balancer{network: c.network, served: map[string]bool{}}
	c.apply(namespaces, node)
	c.nodeIsReady()
	c.define("../releasetest", "github.com/argoproj/argo-rollouts", "manifests/crds/*-crd.yaml")
	c.define("prometheus", "github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd/*.yaml")
	// The operator looks once which kinds there are. kubectl wait fails for a definition without conditions.
	c.until("the definitions are established", func() bool {
		_, err := c.try("", "wait", "--for=condition=Established", "--timeout=30s", "customresourcedefinitions", "--all")
		return err == nil
	})
	c.loop(100*time.Millisecond, func() { c.watch(t.Context()) })
	c.controllers(p, c.network.url)
	c.prometheus = &prometheus{program: p.prometheus, dir: t.TempDir(), port: testenv.FreePort(t)}
	c.apply(c.prometheus.object(c.api))
	c.network.prometheus = c.prometheus.url()
	c.loop(100*time.Millisecond, c.kubelet)
	c.loop(50*time.Millisecond, c.balancer.send)
	t.Cleanup(func() { close(c.stop); c.running.Wait(); c.prometheus.halt() })
	c.release(first)
	c.prometheus.start(c)
	return c
}

// namespaces are those of the platform that matter here, with the pod security of the applications.
const namespaces = `{apiVersion: v1, kind: List, items: [
{apiVersion: v1, kind: Namespace, metadata: {name: apps, labels: {pod-security.kubernetes.io/enforce: restricted}}},
{apiVersion: v1, kind: Namespace, metadata: {name: monitoring}}, {apiVersion: v1, kind: Namespace, metadata: {name: argo-rollouts}}]}`

const node = `{apiVersion: v1, kind: Node, metadata: {name: worker-1, labels: {workload: api, kubernetes.io/hostname: worker-1}}}`

// nodeIsReady acts as the kubelet that registers the node, and as the controller that lets it take pods.
func (c *cluster) nodeIsReady() {
	c.t.Helper()
	room := map[string]any{"cpu": "8", "memory": "32Gi", "pods": "110"}
	const path = "/api/v1/nodes/worker-1"
	err := c.call(http.MethodPatch, path+"/status", map[string]any{"status": map[string]any{"capacity": room,
		"allocatable": room, "conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}}, nil)
	if err == nil {
		err = c.call(http.MethodPatch, path, map[string]any{"spec": map[string]any{"taints": nil}}, nil)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// define creates the definitions in a module that another module requires.
func (c *cluster) define(in, module, files string) {
	c.t.Helper()
	found, err := filepath.Glob(filepath.Join(testenv.SourceOf(c.t, in, module), files))
	if err != nil || len(found) == 0 {
		c.t.Fatalf("no definitions in %s: %v", module, err)
	}
	args := []string{"apply", "--server-side"}
	for _, file := range found {
		args = append(args, "-f", file)
	}
	if out, err := c.try("", args...); err != nil {
		c.t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

// controllers starts what acts on objects. Controllers that need a cloud or a real kubelet are left out.
func (c *cluster) controllers(p programs, proxy string) {
	kubeconfig := "--kubeconfig=" + c.api.Kubeconfig
	testenv.Start(c.t, testenv.NeedKubernetes(c.t, "kube-controller-manager"), kubeconfig, "--leader-elect=false",
		"--secure-port=0", "--horizontal-pod-autoscaler-sync-period=1s", "--controllers=replicaset-controller,job-controller,"+
			"endpointslice-controller,garbage-collector-controller,horizontal-pod-autoscaler-controller,disruption-controller")
	testenv.Start(c.t, testenv.NeedKubernetes(c.t, "kube-scheduler"), kubeconfig, "--leader-elect=false", "--secure-port=0")
	// The proxy resolves Prometheus' name.
	testenv.Start(c.t, "env", "HTTP_PROXY="+proxy, p.rollouts, kubeconfig, "--leader-elect=false",
		fmt.Sprintf("--metricsPort=%d", testenv.FreePort(c.t)), fmt.Sprintf("--healthzPort=%d", testenv.FreePort(c.t)))
	testenv.Start(c.t, "env", "KUBECONFIG="+c.api.Kubeconfig, p.operator,
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", testenv.FreePort(c.t)))
}

// loop repeats a part of the cluster until the test ends.
func (c *cluster) loop(every time.Duration, part func()) {
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		for ticker := time.NewTicker(every); ; {
			select {
			case <-c.stop:
				ticker.Stop()
				return
			case <-ticker.C:
				part()
			}
		}
	}()
}

// run is a subtest. It does not run in parallel, because it changes the only application.
func (c *cluster) run(name string, test func()) {
	outer := c.t
	outer.Run(name, func(t *testing.T) {
		c.t = t
		defer func() { c.t = outer }()
		begun := time.Now()
		test()
		t.Logf("took %.0f s", time.Since(begun).Seconds())
	})
}

func (c *cluster) try(input string, args ...string) (string, error) {
	c.t.Helper()
	return testenv.Kubectl(c.t, c.api.Kubeconfig, input, args...)
}

// apply is `kubectl apply`, which merges as Argo CD does: what controllers add to the objects stays. A definition may
// not be served yet.
func (c *cluster) apply(objects ...string) {
	c.t.Helper()
	c.until("kubectl apply", func() bool {
		out, err := c.try(strings.Join(objects, "\n---\n"), "apply", "-f", "-")
		if err != nil && !strings.Contains(out, "ensure CRDs are installed first") {
			c.t.Fatalf("kubectl apply: %v\n%s", err, out)
		}
		return err == nil
	})
}

// get decodes an object or a list of the API server and returns whether it is there.
func (c *cluster) get(path string, into any) bool {
	return c.call(http.MethodGet, path, nil, into) == nil
}

// call sends a request to the API server. A body is a merge patch.
func (c *cluster) call(method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, c.api.URL+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer test")
	request.Header.Set("Content-Type", "application/merge-patch+json")
	if method == http.MethodDelete {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	return err
}

// until waits for a state, and shows where the release stands when it does not come.
func (c *cluster) until(what string, done func() bool) {
	c.t.Helper()
	if !testenv.Until(5*time.Minute, done) {
		c.t.Fatalf("not after five minutes: %s\n%s", what, c.state())
	}
}
