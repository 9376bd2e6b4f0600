//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kubeadm-aws/config"
)

// workers and the labels and taints that the default settings give them.
var devNodes = map[string]struct {
	labels map[string]string
	taints []string
}{
	"master": {
		labels: map[string]string{"node-role.kubernetes.io/control-plane": "",
			"node.kubernetes.io/instance-type": "t3.large"},
		taints: []string{"node-role.kubernetes.io/control-plane=:NoSchedule"},
	},
	"worker-1": {labels: map[string]string{"node-role.kubernetes.io/worker": "", "workload": "api",
		"topology.kubernetes.io/zone": "eu-central-1a"}},
	"worker-2": {labels: map[string]string{"workload": "worker", "topology.kubernetes.io/zone": "eu-central-1b",
		"topology.kubernetes.io/region": "eu-central-1"}},
	"storage": {labels: map[string]string{"workload": "storage", "topology.kubernetes.io/zone": "eu-central-1c"},
		taints: []string{"workload=storage:NoSchedule"}},
}

// TestDevStack is the life of a dev stack on hosts, from an empty machine to an empty machine.
func TestDevStack(t *testing.T) {
	s := newStack(t, "e2e")
	startS3(t)
	up := s.must(t, "up")
	reportUp(t, up)
	c := s.cluster(t)
	if t.Failed() {
		t.FailNow()
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *stack, *cluster)
	}{
		{"four nodes are Ready as the settings want them", nodesAsSettings},
		{"pods run, and reach Services and names on every worker", podsAndServices},
		{"Secrets are encrypted in etcd", encryptedAtRest},
		{"the audit log has the deed and not the secret", audited},
		{"the certificate of the API has every name, the kubeconfig works from outside", certificate},
		{"no bootstrap token exists", noTokens},
		{"up again changes nothing", nothingToDo},
		{"every step run again changes nothing", stepsTwice},
		{"a label is an update in place", labelInPlace},
		{"a kubelet setting reaches all nodes, and a wrong host key is refused", wrongHostKey},
		{"one worker goes, another comes", workerGoesWorkerComes},
		{"the timer takes a snapshot by itself", timerFires},
		{"verify finds what is there", verify},
		{"a lost control plane comes back from a snapshot", restore},
		{"destroy leaves nothing", destroyed},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, s, c) }) && os.Getenv("E2E_GO_ON") == "" {
			t.FailNow()
		}
	}
}

// reportUp prints the figures of a first up, and checks the share that the critical path has in them.
func reportUp(t *testing.T, up result) {
	t.Helper()
	var ready time.Duration
	for _, e := range up.events {
		if (e.Kind == "host" || e.Kind == "resource") && strings.Contains(e.Resource+e.Step, "nodes-ready") &&
			e.Status == "done" {
			ready = e.Time.Sub(up.begun)
		}
	}
	t.Logf("FIGURE up: all nodes Ready after %.1f s, whole command %.1f s", ready.Seconds(), up.took.Seconds())
	for _, e := range up.events {
		switch {
		case e.Kind == "phase" && e.Status == "done":
			t.Logf("FIGURE up: phase %s %.1f s", e.Phase, e.Seconds)
		case e.Kind == "timeline":
			var busy float64
			for _, p := range e.Path {
				busy += p.End - p.Start
				t.Logf("FIGURE up: path %5.1f - %5.1f s  %s", p.Start, p.End, p.Resource)
			}
			t.Logf("FIGURE up: %.1f s of %.1f s are operations on the critical path", busy, e.Seconds)
		}
	}
}

func nodesAsSettings(t *testing.T, _ *stack, c *cluster) {
	nodes := c.nodes(t)
	if len(nodes) != len(devNodes) {
		t.Errorf("%d nodes", len(nodes))
	}
	for name, want := range devNodes {
		n := nodes[name]
		if !n.ready() {
			t.Errorf("%s is not Ready: %+v", name, n.Status.Conditions)
		}
		if n.Status.NodeInfo.KubeletVersion != "v"+config.DefaultRelease().Version {
			t.Errorf("%s runs %s", name, n.Status.NodeInfo.KubeletVersion)
		}
		for k, v := range want.labels {
			if got, ok := n.Metadata.Labels[k]; !ok || got != v {
				t.Errorf("%s: label %s is %q, want %q", name, k, got, v)
			}
		}
		// This also shows that the taints of the start were removed.
		if !slices.Equal(n.taints(), want.taints) {
			t.Errorf("%s: taints %v, want %v", name, n.taints(), want.taints)
		}
		if !strings.HasPrefix(n.Spec.ProviderID, "aws:///eu-central-1") {
			t.Errorf("%s: provider id %q", name, n.Spec.ProviderID)
		}
	}
}

// A pod of the pause image on each node, and from its network CoreDNS and the API by their Service addresses.
func podsAndServices(t *testing.T, s *stack, c *cluster) {
	s.backend(t) // the mirror, for images that are still being pulled
	manifest := `{"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "probe", "namespace": "default"}, "spec": {
 "selector": {"matchLabels": {"app": "probe"}}, "template": {"metadata": {"labels": {"app": "probe"}}, "spec": {
  "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0,
  "containers": [{"name": "probe", "image": "` + config.DefaultRelease().SandboxImage() + `"}]}}}}`
	c.apply(t, manifest)
	c.must(t, "rollout", "status", "daemonset/probe", "--timeout", "180s")
	c.must(t, "--namespace", "kube-system", "rollout", "status", "deployment/coredns", "--timeout", "180s")
	dns := c.must(t, "--namespace", "kube-system", "get", "service", "kube-dns", "--output", "jsonpath={.spec.clusterIP}")
	api := c.must(t, "get", "service", "kubernetes", "--output", "jsonpath={.spec.clusterIP}")
	// A node is Ready some moments before its kube-proxy has written the rules of the Services.
	for name := range devNodes {
		host := c.container(t, name)
		eventually(t, 2*time.Minute, "Services from a pod on "+name, func() error {
			out, err := in(host, `
pod=$(ls -t /run/netns | head -1)
in_pod() { nsenter --net="/run/netns/$pod" "$@"; }
in_pod curl -ksSf --max-time 10 "https://`+api+`/version" | grep -o '"gitVersion": "[^"]*"'
in_pod curl -sSf --max-time 10 "http://`+dns+`:9153/metrics" | grep -o '^coredns_build_info'
printf '\022\064\001\000\000\001\000\000\000\000\000\000\012kubernetes\007default\003svc\007cluster\005local\000\000\001\000\001' >/tmp/query
in_pod bash -c 'exec 3<>/dev/udp/`+dns+
				`/53; cat /tmp/query >&3; timeout 5 dd bs=512 count=1 <&3 2>/dev/null | tail -c 4 | od -An -tu1 | xargs'`,
				"bash", "-euo", "pipefail", "-s")
			if err != nil {
				return fmt.Errorf("%w; so far: %q", err, out)
			}
			for _, want := range []string{`"gitVersion": "v` + config.DefaultRelease().Version + `"`, "coredns_build_info",
				strings.ReplaceAll(api, ".", " ")} {
				if !strings.Contains(out, want) {
					return fmt.Errorf("no %q in %q", want, out)
				}
			}
			return nil
		})
	}
	c.must(t, "delete", "daemonset", "probe", "--wait=false")
}

const etcdctl = `etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/healthcheck-client.crt --key /etc/kubernetes/pki/etcd/healthcheck-client.key `

func encryptedAtRest(t *testing.T, _ *stack, c *cluster) {
	c.must(t, "create", "secret", "generic", "e2e", "--from-literal", "password=swordfish-e2e")
	raw := c.on(t, "master", etcdctl+"get /registry/secrets/default/e2e --print-value-only | tr -d '\\000' | head -c 2000")
	if !strings.HasPrefix(raw, "k8s:enc:secretbox:v1:") || strings.Contains(raw, "swordfish") {
		t.Errorf("etcd has %q", raw)
	}
	if got := c.must(t, "get", "secret", "e2e", "--output",
		"jsonpath={.data.password}"); got != base64.StdEncoding.EncodeToString([]byte("swordfish-e2e")) {
		t.Errorf("the API returns %q", got)
	}
}

func audited(t *testing.T, _ *stack, c *cluster) {
	log := c.on(t, "master", `cat /var/log/kubernetes/audit/audit.log`)
	if !strings.Contains(log, `"resource":"secrets","namespace":"default","name":"e2e"`) ||
		!strings.Contains(log, `"kind":"Event"`) {
		t.Errorf("no event for the Secret among %d bytes of audit log", len(log))
	}
	for _, secret := range []string{"swordfish-e2e", base64.StdEncoding.EncodeToString([]byte("swordfish-e2e"))} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the audit log", secret)
		}
	}
}

// kubeconfigFile has the fields of a kubeconfig that the tests read.
type kubeconfigFile struct {
	Clusters []struct {
		Cluster struct {
			Server string `yaml:"server"`
			CA     string `yaml:"certificate-authority-data"`
		}
	}
}

// apiCertificate connects to the API as the kubeconfig says, and returns what it shows.
func apiCertificate(t *testing.T, kubeconfig string) *x509.Certificate {
	t.Helper()
	var k kubeconfigFile
	if err := yaml.Unmarshal([]byte(kubeconfig), &k); err != nil || len(k.Clusters) != 1 {
		t.Fatalf("kubeconfig: %v", err)
	}
	server, err := url.Parse(k.Clusters[0].Cluster.Server)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := base64.StdEncoding.DecodeString(k.Clusters[0].Cluster.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", server.Host,
		&tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatalf("from this machine: %v", err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func certificate(t *testing.T, s *stack, c *cluster) {
	cert := apiCertificate(t, c.kubeconfig)
	for _, name := range []string{"api.e2e.internal", "kubernetes", "kubernetes.default.svc", "10.96.0.1"} {
		if err := cert.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	private := c.must(t, "get", "node", "master", "--output",
		`jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`)
	if err := cert.VerifyHostname(private); err != nil {
		t.Error(err)
	}
	if err := cert.VerifyHostname("api.e2e.example.com"); err == nil {
		t.Error("the certificate is for any name")
	}
}

func noTokens(t *testing.T, _ *stack, c *cluster) {
	if out := c.must(t, "--namespace", "kube-system", "get", "secrets", "--field-selector",
		"type=bootstrap.kubernetes.io/token", "--output", "name"); out != "" {
		t.Errorf("bootstrap tokens: %s", out)
	}
	out := c.on(t, "worker-1", "ls /run/kubeadm-aws; grep -c token: /var/lib/kubeadm-aws/kubeadm.yaml || true")
	if out != "0" {
		t.Errorf("the worker keeps %q of what it joined with", out)
	}
}

func nothingToDo(t *testing.T, s *stack, c *cluster) {
	before := c.started(t, "master") + c.started(t, "worker-1")
	r := s.must(t, "up")
	if ops := r.done(); len(ops) > 0 {
		t.Errorf("a second up did %v", ops)
	}
	s.must(t, "preview", "--expect-no-changes")
	if after := c.started(t, "master") + c.started(t, "worker-1"); before != after {
		t.Errorf("services were touched:\n%s\n%s", before, after)
	}
	t.Logf("FIGURE up without changes: %.1f s", r.took.Seconds())
}

func labelInPlace(t *testing.T, s *stack, c *cluster) {
	before := c.started(t, "worker-1")
	s.set(t, "nodes", []any{
		map[string]any{"name": "master", "role": "control-plane", "instanceType": "t3.large"},
		map[string]any{"name": "worker-1", "labels": map[string]string{"workload": "api", "tier": "front"},
			"taints": []any{map[string]string{"key": "spot", "value": "yes", "effect": "PreferNoSchedule"}}},
		map[string]any{"name": "worker-2", "zone": 1, "labels": map[string]string{"workload": "worker"}},
		map[string]any{"name": "storage", "zone": 2, "instanceType": "t3.large", "volumeSize": 60,
			"labels": map[string]string{"workload": "storage"},
			"taints": []any{map[string]string{"key": "workload", "value": "storage", "effect": "NoSchedule"}}},
	})
	r := s.must(t, "up")
	if ops := r.done(); len(ops) != 1 || !strings.Contains(ops[0], "worker-1-node") {
		t.Errorf("a label did %v", ops)
	}
	n := c.nodes(t)["worker-1"]
	if n.Metadata.Labels["tier"] != "front" || !slices.Equal(n.taints(), []string{"spot=yes:PreferNoSchedule"}) {
		t.Errorf("labels %v, taints %v", n.Metadata.Labels, n.taints())
	}
	if after := c.started(t, "worker-1"); before != after {
		t.Errorf("the worker was touched:\n%s\n%s", before, after)
	}
	t.Logf("FIGURE label change: %.1f s", r.took.Seconds())
}

// A host that shows another key than the pinned one gets no command and the run fails. The next run continues after
// the key was restored.
func wrongHostKey(t *testing.T, s *stack, c *cluster) {
	c.on(t, "worker-1",
		`cd /etc/ssh && mkdir /root/k && mv ssh_host_ed25519_key* /root/k/ && ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key && systemctl restart ssh`)
	s.set(t, "kubernetes", map[string]any{"kubelet": map[string]any{"maxPods": 64}})
	r := s.run(t, "up", nil)
	if r.code != 5 || !strings.Contains(r.messages(), "host key mismatch") {
		t.Errorf("ends with %d: %s", r.code, r.messages())
	}
	if out := c.on(t, "worker-1", "grep maxPods /var/lib/kubelet/config.yaml || true"); out != "" {
		t.Errorf("worker-1 was changed: %s", out)
	}
	c.on(t, "worker-1", `mv -f /root/k/* /etc/ssh/ && rmdir /root/k && systemctl restart ssh`)
	s.must(t, "up")
	for name := range devNodes {
		if out := c.on(t, name, "grep maxPods /var/lib/kubelet/config.yaml"); out != "maxPods: 64" {
			t.Errorf("%s has %q", name, out)
		}
	}
	eventually(t, 3*time.Minute, "all nodes Ready with the setting", func() error { return allReady(t, c, 4) })
	if got := c.must(t, "get", "node", "worker-1", "--output", "jsonpath={.status.capacity.pods}"); got != "64" {
		t.Errorf("worker-1 takes %s pods", got)
	}
}

func allReady(t *testing.T, c *cluster, want int) error {
	nodes := c.nodes(t)
	for name, n := range nodes {
		if !n.ready() {
			return fmt.Errorf("%s is not Ready", name)
		}
	}
	if len(nodes) != want {
		return fmt.Errorf("%d nodes, want %d", len(nodes), want)
	}
	return nil
}

// worker-2 leaves, with a pod on it, and worker-3 comes, by one change of the settings.
func workerGoesWorkerComes(t *testing.T, s *stack, c *cluster) {
	c.must(t, "create", "deployment", "moves", "--image", config.DefaultRelease().SandboxImage())
	c.must(t, "patch", "deployment", "moves", "--patch", `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1,
		"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,"preference":{"matchExpressions":[{"key":"workload","operator":"In","values":["worker"]}]}}]}}}}}}`)
	c.must(t, "rollout", "status", "deployment/moves", "--timeout", "180s")
	// A pod that is on its way out is Running until it is gone.
	where := func() string {
		return c.must(t, "get", "pods", "--selector", "app=moves", "--field-selector", "status.phase=Running",
			"--output", "go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.spec.nodeName}} {{end}}{{end}}")
	}
	if node := where(); node != "worker-2" {
		t.Fatalf("the pod is on %q", node)
	}
	gone := c.container(t, "worker-2")
	untouched := func() string { return c.started(t, "master") + c.started(t, "worker-1") + c.started(t, "storage") }
	before := untouched()
	nodes := s.settings["kubeadm-aws:nodes"].([]any)
	s.set(t, "nodes", []any{nodes[0], nodes[1],
		map[string]any{"name": "worker-3", "zone": 1, "labels": map[string]string{"workload": "other"}}, nodes[3]})
	r := s.must(t, "up")
	all := c.nodes(t)
	if _, there := all["worker-2"]; there || len(all) != 4 || !all["worker-3"].ready() {
		t.Errorf("the nodes are %v", all)
	}
	if slices.Contains(containers(t, s.name), gone) {
		t.Errorf("container %s is still there", gone)
	}
	eventually(t, 2*time.Minute, "the pod runs elsewhere", func() error {
		if node := where(); node == "worker-2" || node == "" {
			return fmt.Errorf("it is on %q", node)
		}
		return nil
	})
	// Not by events: the node may be gone before its kubelet tells that it was cordoned.
	evicted := c.on(t, "master",
		`grep -c '"resource":"pods","namespace":"default","name":"moves-[^}]*"subresource":"eviction"' /var/log/kubernetes/audit/audit.log || true`)
	if evicted == "0" {
		t.Error("worker-2 was not drained: its pod got no eviction request")
	}
	if after := untouched(); before != after {
		t.Errorf("other hosts were touched:\n%s\n%s", before, after)
	}
	if out := c.must(t, "--namespace", "kube-system", "get", "secrets", "--field-selector",
		"type=bootstrap.kubernetes.io/token", "--output", "name"); out != "" {
		t.Errorf("worker-3 joined with a bootstrap token: %s", out)
	}
	c.must(t, "delete", "deployment", "moves", "--wait=false")
	t.Logf("FIGURE one worker removed and one added: %.1f s", r.took.Seconds())
}

// verify finds no fault, and the backup that the timer took; the add-ons, which are only recorded on this backend, are
// skipped with a word.
func verify(t *testing.T, s *stack, c *cluster) {
	r := s.must(t, "verify")
	said := r.messages()
	for _, want := range []string{"4 of 4 Ready", "resolves kubernetes.default.svc", c.lastBackup(t).key} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}

func destroyed(t *testing.T, s *stack, _ *cluster) {
	r := s.run(t, "destroy", nil)
	t.Logf("FIGURE destroy: %.1f s", r.took.Seconds())
	for _, e := range r.events {
		for _, p := range e.Path {
			t.Logf("FIGURE destroy: path %5.1f - %5.1f s  %s", p.Start, p.End, p.Resource)
		}
	}
	if r.code != 0 {
		var left []string
		for _, e := range r.events {
			left = append(left, e.Left...)
		}
		t.Fatalf("destroy ends with %d, left are %q:\n%s", r.code, left, r.messages())
	}
	nothingLeft(t, s)
}

// nothingLeft looks for what the driver does not know of itself: docker's and the kernel's view.
func nothingLeft(t *testing.T, s *stack) {
	t.Helper()
	for what, command := range map[string][]string{
		"containers": {"docker", "ps", "--all", "--quiet", "--filter", "label=kubeadm-aws.stack=" + s.name},
		"networks":   {"docker", "network", "ls", "--quiet", "--filter", "label=kubeadm-aws.stack=" + s.name},
		"rules":      {"sh", "-c", "iptables-save | grep -w kubeadm-aws-" + s.name + " || true"},
	} {
		out, err := exec.Command(command[0], command[1:]...).Output()
		if err != nil || len(out) > 0 {
			t.Errorf("%s left: %s %v", what, out, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(s.simulation(), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files left: %v %v", left, err)
	}
}
