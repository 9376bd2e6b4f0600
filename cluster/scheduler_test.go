package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

// control is a real control plane: API server, scheduler, and the controllers of Deployments. The test acts as the
// kubelets.
type control struct {
	t                   *testing.T
	kubectl, kubeconfig string
}

func startControl(t *testing.T) *control {
	t.Helper()
	// Nodes without a kubelet would stay tainted.
	api := testenv.StartAPI(t, "--disable-admission-plugins", "TaintNodesByCondition")
	c := &control{t: t, kubectl: testenv.NeedKubernetes(t, "kubectl"), kubeconfig: api.Kubeconfig}
	testenv.Start(t, testenv.NeedKubernetes(t, "kube-scheduler"), "--kubeconfig", c.kubeconfig, "--leader-elect=false",
		"--secure-port", fmt.Sprint(testenv.FreePort(t)))
	testenv.Start(t, testenv.NeedKubernetes(t, "kube-controller-manager"), "--kubeconfig", c.kubeconfig,
		"--leader-elect=false",
		"--secure-port", fmt.Sprint(testenv.FreePort(t)), "--controllers=deployment-controller,replicaset-controller")
	return c
}

func (c *control) try(stdin string, args ...string) (string, error) {
	cmd := exec.Command(c.kubectl, append([]string{"--kubeconfig", c.kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *control) run(stdin string, args ...string) string {
	c.t.Helper()
	out, err := c.try(stdin, args...)
	if err != nil {
		c.t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *control) until(what string, is func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain: %s\n%s", what, c.placement())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

const node = `{"kind": "Node", "apiVersion": "v1", "metadata": {"name": %q, "labels": {"kubernetes.io/hostname": %q, "kubernetes.io/os": "linux", %s}},
"spec": {"taints": [%s]}, "status": {"capacity": {"cpu": "2", "memory": "8Gi", "pods": "110"}, "allocatable": {"cpu": "2", "memory": "8Gi", "pods": "110"},
"conditions": [{"type": "Ready", "status": "True"}]}}`

// register creates the node as its kubelet would: workers have the taint that repels pods until they are labelled.
func (c *control) register(n config.Node) {
	c.t.Helper()
	label, taint := `"kubeadm-aws/worker": ""`, fmt.Sprintf(`{"key": %q, "effect": "NoSchedule"}`, StartupTaint)
	if n.Role == config.ControlPlane {
		label, taint = fmt.Sprintf(`%q: ""`, controlPlaneRole),
			fmt.Sprintf(`{"key": %q, "effect": "NoSchedule"}`, controlPlaneRole)
	}
	c.run(fmt.Sprintf(node, n.Name, n.Name, label, taint), "create", "-f", "-")
}

// configure does what the node step does: it replaces the startup taint by the taints of the settings.
func (c *control) configure(n config.Node) {
	c.t.Helper()
	for _, taint := range n.Taints {
		c.run("", "taint", "node", n.Name, fmt.Sprintf("%s=%s:%s", taint.Key, taint.Value, taint.Effect))
	}
	c.run("", "taint", "node", n.Name, StartupTaint+"-")
}

// placement starts the pods that are bound to a node, as its kubelet would. It returns "node" for each pod of
// CoreDNS, or "-" for one that waits.
func (c *control) placement() string {
	out, err := c.try("", "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o",
		`go-template={{range .items}}{{.metadata.name}} {{or .spec.nodeName "-"}} {{or .status.phase "-"}} {{or .metadata.deletionTimestamp "-"}}{{"\n"}}{{end}}`)
	if err != nil {
		return out
	}
	var nodes []string
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		f := strings.Fields(line)
		if len(f) != 4 {
			continue
		}
		if f[3] != "-" { // the kubelet has stopped it
			_, _ = c.try("", "-n", "kube-system", "delete", "pod", f[0], "--force", "--grace-period=0")
			return "stopping " + f[0]
		}
		if f[1] != "-" && f[2] == "Pending" {
			_, _ = c.try("", "-n", "kube-system", "patch", "pod", f[0], "--subresource=status", "--type=merge", "-p",
				`{"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}`)
			return "starting " + f[0]
		}
		nodes = append(nodes, f[1])
	}
	slices.Sort(nodes)
	return strings.Join(nodes, " ")
}

// reaches waits until the pods of CoreDNS have that placement and none is of an earlier revision.
func (c *control) reaches(want string) {
	c.t.Helper()
	matches := regexp.MustCompile("^(?:" + want + ")$")
	c.until("CoreDNS on "+want, func() bool {
		return matches.MatchString(c.placement()) &&
			c.run("", "-n", "kube-system", "get", "deployment", "coredns", "-o",
				"jsonpath={.status.updatedReplicas}/{.status.replicas}") == "2/2"
	})
}

func (c *control) patch(nodes []config.Node) {
	c.t.Helper()
	c.run("", "-n", "kube-system", "patch", "deployment", "coredns", "--type=merge", "-p", coreDNSPatch(nodes))
}

// kubeadm's own Deployment, the patch of init.sh, the real scheduler and the real Deployment controller.
func TestCoreDNSIsSpreadByTheRealScheduler(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	manifests, err := exec.Command(testenv.NeedKubernetes(t, "kubeadm"), "init", "phase", "addon", "coredns",
		"--print-manifest", "--kubernetes-version", "v1.36.3").Output()
	if err != nil {
		t.Fatal(err)
	}
	c := startControl(t)
	master := config.Node{Name: "master", Role: config.ControlPlane}
	worker := func(name string, taints ...config.Taint) config.Node {
		return config.Node{Name: name, Role: config.Worker, Taints: taints}
	}
	kept := config.Taint{Key: "workload", Value: "storage", Effect: "NoSchedule"}
	begin := func(t *testing.T, nodes ...config.Node) {
		t.Helper()
		c.t = t
		for _, n := range nodes {
			c.register(n)
		}
		c.run(string(manifests), "apply", "-f", "-")
		t.Cleanup(func() {
			c.run("", "delete", "nodes", "--all")
			// Without a garbage collector the test deletes the objects of the Deployment.
			c.run("", "-n", "kube-system", "delete", "deployments,replicasets,pods", "--all", "--force", "--grace-period=0")
		})
	}
	t.Run("a stack made before", func(t *testing.T) {
		nodes := []config.Node{master, worker("a"), worker("b")}
		begin(t, nodes...)
		c.reaches("master master") // kubeadm's own placement
		c.configure(nodes[1])
		c.configure(nodes[2])
		c.patch(nodes)
		c.reaches("a b")
	})
	t.Run("a new stack", func(t *testing.T) {
		nodes := []config.Node{master, worker("a"), worker("b"), worker("c", kept)}
		begin(t) // no node is Ready when init patches the Deployment
		c.patch(nodes)
		for _, n := range nodes {
			c.register(n)
		}
		// A pod created before the patch serves on the control plane until a worker accepts pods.
		c.until("CoreDNS waits for workers", func() bool { return c.placement() == "- - master" })
		c.configure(nodes[3])
		c.configure(nodes[1])
		c.reaches("- a")
		c.configure(nodes[2])
		c.reaches("a b")
		// One of them is lost. The other still has its pod, and the replica returns with the node.
		c.run("", "cordon", "a")
		c.run("", "-n", "kube-system", "delete", "pods", "-l", "k8s-app=kube-dns", "--field-selector", "spec.nodeName=a",
			"--wait=false")
		c.reaches("- b")
		c.run("", "uncordon", "a")
		c.reaches("a b")
	})
	t.Run("one worker", func(t *testing.T) {
		nodes := []config.Node{master, worker("a")}
		begin(t, nodes...)
		c.patch(nodes)
		c.configure(nodes[1])
		c.reaches("a master")
	})
	t.Run("a second worker", func(t *testing.T) {
		nodes := []config.Node{master, worker("a"), worker("b")}
		begin(t, nodes...)
		c.patch(nodes[:2])
		c.configure(nodes[1])
		c.reaches("a master")
		c.patch(nodes)
		c.configure(nodes[2])
		c.reaches("a b")
	})
	t.Run("workers that are kept for others", func(t *testing.T) {
		nodes := []config.Node{master, worker("a", kept), worker("b", config.Taint{Key: "gpu", Effect: "NoExecute"})}
		begin(t, nodes...)
		c.patch(nodes)
		c.configure(nodes[1])
		c.configure(nodes[2])
		c.reaches("a b")
	})
	t.Run("no worker", func(t *testing.T) {
		begin(t, master)
		c.patch([]config.Node{master})
		c.reaches("master master")
	})
}

// init.sh asks the program of the running component about a flag. It searches for these texts.
func TestComponentsRefuseFlagsAsTheScriptExpects(t *testing.T) {
	script, err := os.ReadFile("scripts/init.sh")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`grep -m 1 -o '([^']*)'`).FindStringSubmatch(string(script))
	if pattern == nil {
		t.Fatal("init.sh does not look for texts")
	}
	refused := regexp.MustCompile(strings.ReplaceAll(pattern[1], `\|`, "|"))
	for line, want := range map[string]string{
		"kube-apiserver --evnt-ttl=2h":                           "unknown flag: --evnt-ttl",
		"kube-apiserver --max-requests-inflight=lots":            `invalid argument "lots" for "--max-requests-inflight"`,
		"kube-controller-manager --node-monitor-grace-period=30": `invalid argument "30"`,
		"kube-scheduler --profiling=perhaps":                     `invalid argument "perhaps"`,
		"kube-apiserver --event-ttl=2h":                          "",
		"kube-scheduler --v=3":                                   "",
	} {
		f := strings.Fields(line)
		out, err := exec.Command(testenv.NeedKubernetes(t, f[0]), append(f[1:], "--help")...).CombinedOutput()
		if (err != nil) != (want != "") || want != "" && !strings.HasPrefix(refused.FindString(string(out)), want) {
			t.Errorf("%s: %v, %q", line, err, refused.FindString(string(out)))
		}
	}
}
