package addons

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"go.yaml.in/yaml/v3"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

const handlerModule = "github.com/aws/aws-node-termination-handler"

// withSpot adds a spot worker to the settings.
func withSpot(c *config.Config) {
	c.Nodes = append(c.Nodes, config.Node{Name: "spot-1", Role: config.Worker, InstanceType: "t3.medium", Spot: true,
		Labels: map[string]string{config.LifecycleLabel: "spot"}})
}

// handlerPod returns the specification of the handler's pods.
func handlerPod(t *testing.T, r *recorder) map[string]any {
	t.Helper()
	spec := plainMap(r.find(t, interruptionHandler).inputs)["spec"].(map[string]any)
	return spec["template"].(map[string]any)["spec"].(map[string]any)
}

func TestOnlySpotWorkersHaveAHandler(t *testing.T) {
	for _, name := range []string{"", "-ServiceAccount", "-ClusterRole", "-ClusterRoleBinding"} {
		if install(t, nil, everything).has(interruptionHandler + name) {
			t.Errorf("%s%s is there without a spot worker", interruptionHandler, name)
		}
		if !install(t, nil, withSpot).has(interruptionHandler + name) {
			t.Errorf("%s%s is missing with a spot worker", interruptionHandler, name)
		}
	}
	pod := handlerPod(t, install(t, nil, withSpot))
	for field, want := range map[string]any{
		"nodeSelector": map[string]any{config.LifecycleLabel: "spot"},
		// The metadata service answers within one hop.
		"hostNetwork": true,
		"tolerations": []any{map[string]any{"operator": "Exists"}},
	} {
		if !reflect.DeepEqual(pod[field], want) {
			t.Errorf("%s of the pods is %v, want %v", field, pod[field], want)
		}
	}
}

// TestTheHandlerIsThatOfItsModule compares version, permissions and settings with the module.
func TestTheHandlerIsThatOfItsModule(t *testing.T) {
	source := testenv.SourceOf(t, "interruption", handlerModule)
	image := catalog.Get("interruption handler").Image
	if _, version, _ := strings.Cut(image, ":"); !strings.HasSuffix(source, "@"+version) {
		t.Errorf("the image is %s, the module %s", image, source)
	}
	templates := filepath.Join(source, "config", "helm", "aws-node-termination-handler", "templates")
	text, err := os.ReadFile(filepath.Join(templates, "clusterrole.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var plain []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "{{") {
			plain = append(plain, line)
		}
	}
	var role map[string]any
	if err := yaml.Unmarshal([]byte(strings.Join(plain, "")), &role); err != nil {
		t.Fatal(err)
	}
	r := install(t, nil, withSpot)
	if got := plainMap(r.find(t, interruptionHandler+"-ClusterRole").inputs)["rules"]; !reflect.DeepEqual(got, role["rules"]) {
		t.Errorf("the rules are %v, those of the chart %v", got, role["rules"])
	}
	code, err := os.ReadFile(filepath.Join(source, "pkg", "config", "config.go"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range handlerEnv(t, r) {
		if !strings.Contains(string(code), `"`+name+`"`) {
			t.Errorf("the handler has no setting %s", name)
		}
	}
}

// handlerEnv returns the environment of the handler on a node.
func handlerEnv(t *testing.T, r *recorder) map[string]string {
	t.Helper()
	fields := map[string]string{"spec.nodeName": "spot-1", "metadata.name": "handler-x", "metadata.namespace": "kube-system"}
	env := map[string]string{}
	container := handlerPod(t, r)["containers"].([]any)[0].(map[string]any)
	for _, entry := range container["env"].([]any) {
		e := entry.(map[string]any)
		value, _ := e["value"].(string)
		if from, ok := e["valueFrom"].(map[string]any); ok {
			value = fields[from["fieldRef"].(map[string]any)["fieldPath"].(string)]
		}
		env[e["name"].(string)] = value
	}
	return env
}

// metadataService answers as the metadata service of a spot instance, to requests with a token only.
type metadataService struct {
	sync.Mutex
	noticed bool
	asked   []string
}

func (m *metadataService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.Lock()
	defer m.Unlock()
	if !slices.Contains(m.asked, r.URL.Path) {
		m.asked = append(m.asked, r.URL.Path)
	}
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "3600")
		fmt.Fprint(w, "token")
	case r.Header.Get("X-aws-ec2-metadata-token") != "token":
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/latest/meta-data/spot/instance-action" && m.noticed:
		fmt.Fprintf(w, `{"action": "terminate", "time": %q}`, time.Now().Add(2*time.Minute).UTC().Format(time.RFC3339))
	case r.URL.Path == "/latest/meta-data/events/recommendations/rebalance":
		fmt.Fprintf(w, `{"noticeTime": %q}`, time.Now().UTC().Format(time.RFC3339))
	case r.URL.Path == "/latest/meta-data/instance-id":
		fmt.Fprint(w, "i-spot")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// startHandler runs the real program with the environment, the account and the permissions of the program's objects.
func (a *api) startHandler(r *recorder, metadata string) {
	a.t.Helper()
	program, dir := a.handler()
	authority, err := os.ReadFile(filepath.Join(filepath.Dir(a.kubeconfig), "apiserver.crt"))
	if err != nil {
		a.t.Fatal(err)
	}
	token := strings.TrimSpace(a.kubectl("-n", "kube-system", "create", "token",
		handlerPod(a.t, r)["serviceAccountName"].(string)))
	for name, text := range map[string]string{"token": token, "ca.crt": string(authority)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	server, err := url.Parse(a.url)
	if err != nil {
		a.t.Fatal(err)
	}
	args := []string{"INSTANCE_METADATA_URL=" + metadata, "KUBERNETES_SERVICE_HOST=" + server.Hostname(),
		"KUBERNETES_SERVICE_PORT=" + server.Port()}
	for name, value := range handlerEnv(a.t, r) {
		args = append(args, name+"="+value)
	}
	testenv.Start(a.t, "env", append(args, program)...)
}

// handler builds the program, and returns it with the directory in which it looks for its account. In a pod that
// directory is fixed. So its name in the program is replaced by one of the same length.
func (a *api) handler() (program, account string) {
	a.t.Helper()
	const fixed = "/var/run/secrets/kubernetes.io/serviceaccount/"
	program = testenv.ProgramOf(a.t, "interruption", handlerModule+"/cmd", a.t.TempDir())
	account, err := os.MkdirTemp("", "sa")
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = os.RemoveAll(account) })
	text, err := os.ReadFile(program)
	if err != nil {
		a.t.Fatal(err)
	}
	if len(account) >= len(fixed) || !bytes.Contains(text, []byte(fixed)) {
		a.t.Fatalf("%s cannot take the place of %s in the program", account, fixed)
	}
	other := account + strings.Repeat("/", len(fixed)-len(account))
	if err := os.WriteFile(program, bytes.ReplaceAll(text, []byte(fixed), []byte(other)), 0o700); err != nil {
		a.t.Fatal(err)
	}
	return program, account
}

// TestRealHandlerDrainsASpotWorker runs the real program against a real API server and a stand-in for the metadata
// service. The test acts as the kubelet.
func TestRealHandlerDrainsASpotWorker(t *testing.T) {
	a := startAPI(t)
	r := install(t, nil, withSpot)
	for _, name := range []string{"-ServiceAccount", "-ClusterRole", "-ClusterRoleBinding", ""} {
		a.applyJSON(jsonOf(t, openSecrets(resource.NewProperty(r.find(t, interruptionHandler+name).inputs))))
	}
	const pod = `{apiVersion: v1, kind: Pod, metadata: {name: %[1]s, namespace: default, ownerReferences: [{apiVersion: apps/v1,
  kind: %[2]s, name: %[3]s, uid: "1", controller: true}]}, spec: {nodeName: %[4]s, containers: [{name: c, image: c}]}}`
	a.apply(`{apiVersion: v1, kind: Node, metadata: {name: spot-1}}`, `{apiVersion: v1, kind: Node, metadata: {name: other}}`,
		`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent, namespace: default}, spec: {selector: {matchLabels: {a: b}},
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}}`,
		fmt.Sprintf(pod, "served", "ReplicaSet", "app", "spot-1"), fmt.Sprintf(pod, "agent", "DaemonSet", "agent", "spot-1"),
		fmt.Sprintf(pod, "elsewhere", "ReplicaSet", "app", "other"))
	metadata := &metadataService{}
	server := httptest.NewServer(metadata)
	t.Cleanup(server.Close)
	a.startHandler(r, server.URL)
	saw := func(path string) bool {
		metadata.Lock()
		defer metadata.Unlock()
		return slices.Contains(metadata.asked, path)
	}
	a.until("the handler asks for a notice", func() bool { return saw("/latest/meta-data/spot/instance-action") })
	if a.get("", "node/spot-1", "{.spec.unschedulable}") != "" {
		t.Error("the node is cordoned without a notice")
	}
	metadata.Lock()
	metadata.noticed = true
	metadata.Unlock()
	a.until("the pod is evicted", func() bool {
		return a.get("default", "pod/served", "{.metadata.deletionTimestamp}") != ""
	})
	if a.get("", "node/spot-1", "{.spec.unschedulable}") != "true" {
		t.Error("the pod is evicted before the node is cordoned")
	}
	const excluded = `{.metadata.labels.node\.kubernetes\.io/exclude-from-external-load-balancers}`
	if a.get("", "node/spot-1", excluded) == "" {
		t.Error("load balancers send requests to the node")
	}
	a.kubectl("-n", "default", "delete", "pod", "served", "--grace-period=0", "--force")
	a.until("an event says that the node is drained", func() bool {
		return strings.Contains(a.kubectl("-n", "default", "get", "events", "-o", "jsonpath={.items[*].reason}"), "Drain")
	})
	for _, stays := range []string{"agent", "elsewhere"} {
		if a.get("default", "pod/"+stays, "{.metadata.deletionTimestamp}") != "" {
			t.Errorf("pod %s is evicted", stays)
		}
	}
	if a.get("", "node/other", "{.spec.unschedulable}") != "" || saw("/latest/meta-data/events/recommendations/rebalance") {
		t.Errorf("another node is cordoned, or the handler asks for recommendations: %v", metadata.asked)
	}
}
