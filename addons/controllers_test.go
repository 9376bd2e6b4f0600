package addons

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"kubeadm-aws/internal/testenv"
)

// withoutWebhooks is a flag of the API server: no pod runs here, so no webhook could answer.
const withoutWebhooks = "--disable-admission-plugins=ValidatingAdmissionWebhook,MutatingAdmissionWebhook"

// startControllers runs the controllers of Kubernetes, which create pods for workloads and delete the contents of
// namespaces.
func (a *api) startControllers() {
	a.t.Helper()
	testenv.Start(a.t, testenv.NeedKubernetes(a.t, "kube-controller-manager"), "--kubeconfig="+a.kubeconfig,
		"--leader-elect=false",
		"--secure-port=0", "--kube-api-qps=200", "--kube-api-burst=400",
		// The tests bind claims and keep nodes Ready.
		"--controllers=*,-persistentvolume-binder-controller,-node-lifecycle-controller,-taint-eviction-controller")
	a.until("the controllers run", func() bool { return len(a.names("configmaps")) > 0 })
}

// workloadsAreReady fails the test for every workload without all of its pods, for example if the namespace's
// security level refuses them. It also fails for a DaemonSet without any pod.
func (a *api) workloadsAreReady() {
	a.t.Helper()
	for _, workload := range []struct{ kind, wanted, ready string }{
		{"deployments", ".spec.replicas", ".status.readyReplicas"},
		{"statefulsets", ".spec.replicas", ".status.readyReplicas"},
		{"daemonsets", ".status.desiredNumberScheduled", ".status.numberReady"},
	} {
		a.until("the "+workload.kind+" are ready", func() bool {
			list := a.kubectl("get", workload.kind, "--all-namespaces", "-o",
				"jsonpath={range .items[*]}{.metadata.name} {"+workload.wanted+"} {"+workload.ready+"}{\"\\n\"}{end}")
			return !slices.ContainsFunc(strings.Split(strings.TrimSpace(list), "\n"), func(line string) bool {
				fields := strings.Fields(line)
				return len(fields) != 3 || fields[1] != fields[2] || fields[1] == "0"
			})
		})
	}
}

// object is any object of the API.
type object map[string]any

// at returns the value at a path of nested maps.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func (o object) name() string      { s, _ := o.at("metadata", "name").(string); return s }
func (o object) namespace() string { s, _ := o.at("metadata", "namespace").(string); return s }

// call sends a request to the API server and decodes its answer.
func (a *api) call(method, path string, body, into any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, a.url+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer test")
	request.Header.Set("Content-Type", "application/merge-patch+json")
	answer, err := insecure.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// list returns the objects of a resource, such as /apis/apps/v1/deployments, in all namespaces. It returns none for
// an unknown resource.
func (a *api) list(path string) []object {
	var found struct{ Items []object }
	if err := a.call(http.MethodGet, path, nil, &found); err != nil {
		return nil
	}
	return found.Items
}

// setStatus sets the status of an object. path is the API path that it was listed from.
func (a *api) setStatus(path string, o object, status map[string]any) {
	at := strings.LastIndex(path, "/")
	// The object may already be deleted.
	_ = a.call(http.MethodPatch, fmt.Sprintf("%s/namespaces/%s/%s/%s/status", path[:at], o.namespace(), path[at+1:],
		o.name()),
		map[string]any{"status": status}, nil)
}

// conditions returns true conditions for the generation of an object.
func conditions(o object, names ...string) map[string]any {
	var all []any
	for _, name := range names {
		all = append(all, map[string]any{"type": name, "status": "True", "reason": "Test", "message": "",
			"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": o.at("metadata", "generation")})
	}
	return map[string]any{"conditions": all, "observedGeneration": o.at("metadata", "generation")}
}

// playReadiness acts as the kubelet, the load balancer controller and the operators of RabbitMQ and PostgreSQL: every
// object becomes ready.
func (a *api) playReadiness() {
	const pods = "/api/v1/pods"
	for _, pod := range a.list(pods) {
		switch {
		case pod.at("status", "phase") != "Pending":
		case pod.at("spec", "restartPolicy") == "Always":
			status := conditions(pod, "PodScheduled", "Initialized", "ContainersReady", "Ready")
			status["phase"] = "Running"
			a.setStatus(pods, pod, status)
		default:
			a.setStatus(pods, pod, map[string]any{"phase": "Succeeded"})
		}
	}
	const claims = "/api/v1/persistentvolumeclaims"
	for _, claim := range a.list(claims) {
		if claim.at("status", "phase") == "Pending" {
			a.setStatus(claims, claim, map[string]any{"phase": "Bound"})
		}
	}
	const ingresses = "/apis/networking.k8s.io/v1/ingresses"
	for _, ingress := range a.list(ingresses) {
		if ingress.at("status", "loadBalancer", "ingress") == nil {
			a.setStatus(ingresses, ingress,
				map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"hostname": "shared.example.com"}}}})
		}
	}
	// Argo CD removes its finalizer when it has deleted what the Application deployed.
	for _, application := range a.list("/apis/argoproj.io/v1alpha1/applications") {
		if application.at("metadata", "deletionTimestamp") != nil {
			_ = a.call(http.MethodPatch, fmt.Sprintf("/apis/argoproj.io/v1alpha1/namespaces/%s/applications/%s",
				application.namespace(), application.name()),
				map[string]any{"metadata": map[string]any{"finalizers": nil}}, nil)
		}
	}
	const queues = "/apis/rabbitmq.com/v1beta1/rabbitmqclusters"
	for _, cluster := range a.list(queues) {
		if cluster.at("status", "observedGeneration") != cluster.at("metadata", "generation") {
			a.setStatus(queues, cluster, conditions(cluster, "ReconcileSuccess", "AllReplicasReady", "ClusterAvailable"))
		}
	}
	const databases = "/apis/postgresql.cnpg.io/v1/clusters"
	for _, cluster := range a.list(databases) {
		if cluster.at("status", "image") == nil {
			status := conditions(cluster, "Ready")
			delete(status, "observedGeneration")
			status["image"] = cluster.at("spec", "imageName")
			a.setStatus(databases, cluster, status)
		}
	}
}

// defineKinds creates a definition that accepts any fields, for each kind that the program does not define.
func (a *api) defineKinds(objects []registered) {
	a.t.Helper()
	defined := map[string]bool{}
	for _, entry := range objects {
		if kind, ok := plainMap(entry.inputs)["kind"].(string); ok && kind == "CustomResourceDefinition" {
			names := plainMap(entry.inputs)["spec"].(map[string]any)["names"].(map[string]any)
			defined[fmt.Sprint(names["kind"])] = true
		}
	}
	for _, entry := range objects {
		apiVersion, kind, _ := strings.Cut(strings.TrimPrefix(entry.kind, "kubernetes:"), ":")
		group, version, _ := strings.Cut(apiVersion, "/")
		if !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") && group != "snapshot.storage.k8s.io" ||
			defined[kind] {
			continue
		}
		defined[kind] = true
		metadata := plainMap(entry.inputs)["metadata"].(map[string]any)
		text := definition(group, version, kind, strings.ToLower(kind)+"s")
		if metadata["namespace"] == nil {
			text = strings.Replace(text, "scope: Namespaced", "scope: Cluster", 1)
		}
		text = strings.Replace(text, "storage: true,", "storage: true, subresources: {status: {}},", 1)
		a.apply(text)
	}
}
