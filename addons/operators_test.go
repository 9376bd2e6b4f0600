package addons

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

// The real operators run here against a real API server, with the objects of every shipped stack. There are no
// kubelet and no controllers of workloads: the tests simulate them, up to the point where a container would start.

// shippedStacks are the changes from the dev stack to each stack of the repository, and to one with every add-on.
func shippedStacks(t *testing.T) map[string]func(*config.Config) {
	t.Helper()
	stacks := map[string]func(*config.Config){"everything": everything}
	for _, name := range []string{"dev", "staging", "prod"} {
		loaded, err := config.LoadFile(name, "..")
		if err != nil {
			t.Fatal(err)
		}
		stacks[name] = func(c *config.Config) { *c = *loaded }
	}
	return stacks
}

// openSecrets reveals secret inputs for an API server that needs their values.
func openSecrets(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return openSecrets(value.SecretValue().Element)
	case value.IsOutput():
		return openSecrets(value.OutputValue().Element)
	case value.IsObject():
		node := map[string]any{}
		for key, item := range value.ObjectValue() {
			node[string(key)] = openSecrets(item)
		}
		return node
	}
	return plain(value)
}

// manifest returns an object of the program as JSON, moved to another namespace.
func manifest(t *testing.T, entry registered, namespace string) string {
	t.Helper()
	object := openSecrets(resource.NewProperty(entry.inputs)).(map[string]any)
	object["metadata"].(map[string]any)["namespace"] = namespace
	return jsonOf(t, object)
}

// waitsFor returns the expressions that the provider waits for before an object is ready.
func waitsFor(t *testing.T, entry registered) []string {
	t.Helper()
	annotations := plainMap(entry.inputs)["metadata"].(map[string]any)["annotations"].(map[string]any)
	var expressions []string
	if err := json.Unmarshal([]byte(annotations["pulumi.com/waitFor"].(string)), &expressions); err != nil {
		t.Fatal(err)
	}
	return expressions
}

// done reports whether the provider would consider an object ready. Its code for conditions and paths is kubectl's,
// with the comparison of status.observedGeneration.
func (a *api) done(namespace, object string, expressions []string) bool {
	for _, expression := range expressions {
		if _, err := a.try("", "-n", namespace, "wait", object, "--for="+expression, "--timeout=1s"); err != nil {
			return false
		}
	}
	return true
}

// operator builds a program of the module operators/ and returns its path. With a warm Go cache it takes seconds.
func operator(t *testing.T, pkg string) string {
	t.Helper()
	return testenv.ProgramOf(t, "operators", pkg, t.TempDir())
}

// sourceOf returns the directory of a module of operators/.
func sourceOf(t *testing.T, module string) string {
	t.Helper()
	return testenv.SourceOf(t, "operators", module)
}

// define creates the custom resource definitions of a module.
func (a *api) define(module string) {
	a.t.Helper()
	a.kubectl("apply", "--server-side", "-f", filepath.Join(sourceOf(a.t, module), "config", "crd", "bases"))
}

func (a *api) applyJSON(object string) {
	a.t.Helper()
	if out, err := a.try(object, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		a.t.Fatalf("kubectl apply: %v\n%s\n%s", err, out, object)
	}
}

// get returns a field of an object, or an empty text if it is absent.
func (a *api) get(namespace, object, path string) string {
	out, err := a.try("", "-n", namespace, "get", object, "-o", "jsonpath="+path)
	if err != nil {
		return ""
	}
	return out
}

const clusterOperator = "github.com/rabbitmq/cluster-operator/v2"

func TestRealRabbitMQOperator(t *testing.T) {
	server := startAPI(t)
	server.applyJSON(jsonOf(t, plainMap(install(t, nil, everything).find(t, definitionOfRabbitMQ).inputs)))
	server.kubectl("create", "namespace", "rabbitmq-system")
	// The chart runs it in the same way with the program's values.
	testenv.Start(t, "env", "KUBECONFIG="+server.kubeconfig, "OPERATOR_NAMESPACE=rabbitmq-system", "ENABLE_WEBHOOKS=false",
		operator(t, clusterOperator+"/cmd"), "--metrics-bind-address=0", "--health-probe-bind-address=0")
	for name, change := range shippedStacks(t) {
		t.Run(name, func(t *testing.T) {
			a := &api{t: t, kubeconfig: server.kubeconfig}
			r := install(t, nil, change)
			cluster := r.find(t, "rabbitmq")
			namespace := "data-" + name
			a.kubectl("create", "namespace", namespace)
			a.applyJSON(manifest(t, r.find(t, "secret-rabbitmq-credentials"), namespace))
			a.applyJSON(manifest(t, cluster, namespace))
			rabbitMQIsMade(a, namespace, waitsFor(t, cluster))
			rabbitMQImageMovesForward(a, namespace, waitsFor(t, cluster))
			rabbitMQRefusesFewerReplicas(a, namespace, waitsFor(t, cluster))
		})
	}
}

const rabbitMQObject, rabbitMQServers = "rabbitmqcluster/rabbitmq", "statefulset/rabbitmq-server"

func rabbitMQIsMade(a *api, namespace string, wait []string) {
	a.t.Helper()
	a.until("the operator makes the StatefulSet: "+a.get(namespace, rabbitMQObject, "{.status.conditions}"), func() bool {
		return a.get(namespace, rabbitMQServers, "{.metadata.name}") != ""
	})
	images := a.get(namespace, rabbitMQServers,
		"{.spec.template.spec.containers[*].image} {.spec.template.spec.initContainers[*].image}")
	for _, image := range strings.Fields(images) {
		if image != catalog.Get("rabbitmq").Image {
			a.t.Errorf("a container runs %s, not %s", image, catalog.Get("rabbitmq").Image)
		}
	}
	if a.done(namespace, rabbitMQObject, wait) {
		a.t.Error("done before a server is ready")
	}
	rabbitMQRuns(a, namespace)
	a.until("the operator is done with the cluster", func() bool { return rabbitMQIsDone(a, namespace, wait) })
}

// rabbitMQIsDone acts as the commands that the operator executes in servers: it removes the annotations that request
// them.
func rabbitMQIsDone(a *api, namespace string, wait []string) bool {
	a.kubectl("-n", namespace, "annotate", rabbitMQServers, "rabbitmq.com/createdAt-")
	a.kubectl("-n", namespace, "annotate", rabbitMQObject, "rabbitmq.com/queueRebalanceNeededAt-")
	return a.done(namespace, rabbitMQObject, wait)
}

// rabbitMQRuns acts as the controllers of StatefulSets and of EndpointSlices.
func rabbitMQRuns(a *api, namespace string) {
	a.t.Helper()
	replicas := a.get(namespace, rabbitMQServers, "{.spec.replicas}")
	generation := a.get(namespace, rabbitMQServers, "{.metadata.generation}")
	a.applyJSON(
		fmt.Sprintf(`{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"rabbitmq","namespace":%q,
"labels":{"kubernetes.io/service-name":"rabbitmq","app.kubernetes.io/part-of":"rabbitmq"}},"addressType":"IPv4","endpoints":[{"addresses":["192.0.2.1"]}]}`, namespace))
	a.kubectl("-n", namespace, "patch", rabbitMQServers, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(
		`{"status":{"replicas":%s,"readyReplicas":%[1]s,"observedGeneration":%s,"currentRevision":"r%[2]s","updateRevision":"r%[2]s"}}`, replicas, generation))
}

func rabbitMQImageMovesForward(a *api, namespace string, wait []string) {
	a.t.Helper()
	const next = "rabbitmq:9.9.9-management"
	// A rolling update is in progress from the moment when the StatefulSet changes.
	a.kubectl("-n", namespace, "patch", rabbitMQServers, "--subresource=status", "--type=merge", "-p",
		`{"status":{"updateRevision":"next"}}`)
	a.kubectl("-n", namespace, "patch", rabbitMQObject, "--type=merge", "-p", `{"spec":{"image":"`+next+`"}}`)
	a.until("the servers get the new image", func() bool {
		return a.get(namespace, rabbitMQServers, "{.spec.template.spec.containers[0].image}") == next
	})
	if a.done(namespace, rabbitMQObject, wait) {
		a.t.Error("done while the servers still run the old image")
	}
	rabbitMQRuns(a, namespace)
	a.until("the operator is done with the new image", func() bool { return rabbitMQIsDone(a, namespace, wait) })
}

func rabbitMQRefusesFewerReplicas(a *api, namespace string, wait []string) {
	a.t.Helper()
	a.kubectl("-n", namespace, "patch", rabbitMQObject, "--type=merge", "-p", `{"spec":{"replicas":3}}`)
	a.until("there are three servers", func() bool { return a.get(namespace, rabbitMQServers, "{.spec.replicas}") == "3" })
	rabbitMQRuns(a, namespace)
	a.until("the operator is done with three servers", func() bool { return rabbitMQIsDone(a, namespace, wait) })
	a.kubectl("-n", namespace, "patch", rabbitMQObject, "--type=merge", "-p", `{"spec":{"replicas":1}}`)
	a.until("the operator refuses", func() bool {
		return a.get(namespace, rabbitMQObject,
			`{.status.conditions[?(@.type=="ReconcileSuccess")].reason}`) == "UnsupportedOperation"
	})
	if a.done(namespace, rabbitMQObject, wait) {
		a.t.Error("done although the operator refuses to remove servers")
	}
	// The conditions that the program used to wait for stay true.
	for _, condition := range []string{"AllReplicasReady", "ClusterAvailable"} {
		if got := a.get(namespace, rabbitMQObject, `{.status.conditions[?(@.type=="`+condition+`")].status}`); got != "True" {
			a.t.Errorf("%s is %s", condition, got)
		}
	}
}
