package cluster

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/testenv"
)

// rebootCluster is a real API server with nodes whose machines run reboot.sh, each with the permissions of its kubelet.
// The test acts as the kubelets and reboots the machines.
type rebootCluster struct {
	*control
	machines map[string]*scriptHost
	first    *scriptHost
}

func startRebootCluster(t *testing.T) *rebootCluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts an API server")
	}
	api := testenv.StartAPI(t, "--authorization-mode=Node", "--enable-admission-plugins", "NodeRestriction",
		"--disable-admission-plugins", "TaintNodesByCondition")
	c := &rebootCluster{control: &control{t: t, kubectl: testenv.NeedKubernetes(t, "kubectl"), kubeconfig: api.Kubeconfig},
		machines: map[string]*scriptHost{}}
	kubeconfig, err := os.ReadFile(api.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	machine := func(env map[string]string) *scriptHost {
		h := newScriptHost(t)
		h.env = env
		h.stub("kubectl", `exec `+c.kubectl+` "$@"`)
		h.write("/var/lib/kubeadm-aws/none", "", 0o600)
		return h
	}
	for _, name := range []string{"master", "worker-1", "worker-2"} {
		labels := `"node-role.kubernetes.io/control-plane": ""`
		if name != "master" {
			labels = `"node-role.kubernetes.io/worker": ""`
		}
		c.run(fmt.Sprintf(node, name, name, labels, ""), "create", "-f", "-")
		c.is(name, "True")
		h := machine(map[string]string{"NODE": name})
		h.write("/etc/kubernetes/kubelet.conf", strings.Replace(string(kubeconfig), "token: test",
			fmt.Sprintf("token: test, as: %q, as-groups: [%q]", "system:node:"+name, "system:nodes"), 1), 0o600)
		h.write(rebootUnit, "[Service]\nEnvironment=NODE="+name+" HOME=/root\n", 0o600)
		h.write("/run/reboot-required", "", 0o600)
		h.stub("curl", "")
		h.stub("pgrep", "exit 1")
		h.stub("systemctl", "echo $* >>$ROOT/systemctl")
		c.machines[name] = h
	}
	c.first = machine(map[string]string{"NODE": "master", "DAYS": "1 2 3 4 5 6 7", "START": "0", "END": "1440",
		"TIME_ZONE": "UTC", "TIMEOUT": "5", "KUBECONFIG": api.Kubeconfig})
	c.first.env["RUN_DIR"] = c.first.at("/run")
	c.first.stub("pgrep", "exit 1")
	c.first.stub("etcdctl", `case $* in *list) echo "a1, started, master, https://10.0.1.10:2380, x, false" ;; esac`)
	c.first.write("/etc/kubernetes/admin.conf", string(kubeconfig), 0o600)
	return c
}

// is sets the condition Ready of a node, as its kubelet or the node controller would.
func (c *rebootCluster) is(name, ready string) {
	c.t.Helper()
	c.run("", "patch", "node", name, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(
		`{"status": {"nodeInfo": {"kubeletVersion": "v1.36.3"}, "conditions": [{"type": "Ready", "status": %q}]}}`, ready))
}

// turn runs the script of the control plane, and returns what it says. The kubelets end the pods that it evicts.
func (c *rebootCluster) turn(code int) string {
	c.t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				out, _ := c.try("", "get", "pods", "-o", "jsonpath={.items[?(@.metadata.deletionTimestamp)].metadata.name}")
				for _, pod := range strings.Fields(out) {
					_, _ = c.try("", "delete", "pod", pod, "--force", "--grace-period=0")
				}
			}
		}
	}()
	o := c.first.run("reboot-turn.sh", "")
	close(stop)
	<-stopped
	if o.code != code {
		c.t.Fatalf("the turn ends with %d: %s", o.code, o.stderr)
	}
	return o.stderr
}

// agents runs the script of every machine, and returns those that reboot.
func (c *rebootCluster) agents() []string {
	c.t.Helper()
	var reboot []string
	for _, name := range []string{"master", "worker-1", "worker-2"} {
		h := c.machines[name]
		h.write("/systemctl", "", 0o600)
		h.succeeds(h.run("reboot.sh", ""), "")
		if h.read("/systemctl") == "reboot\n" {
			reboot = append(reboot, name)
		}
	}
	return reboot
}

// state returns for each node whether it accepts pods, and its turn.
func (c *rebootCluster) state() string {
	c.t.Helper()
	out := c.run("", "get", "nodes", "-o", `go-template={{range .items}}{{.metadata.name}}:`+
		`{{if .spec.unschedulable}}cordoned{{else}}open{{end}}:{{with .metadata.annotations}}`+
		`{{with index . "kubeadm-aws/reboot-required"}}asks{{end}}:{{with index . "kubeadm-aws/reboot"}}{{slice . 0 7}}{{end}}{{end}} {{end}}`)
	return strings.TrimSpace(out)
}

func (c *rebootCluster) stateIs(want string) {
	c.t.Helper()
	if got := c.state(); got != want {
		c.t.Errorf("the nodes are %s, want %s", got, want)
	}
}

// TestRealNodesRebootInTurn runs the scripts of the nodes and of the control plane against a real API server with the
// authorization of kubelets, and real drains.
func TestRealNodesRebootInTurn(t *testing.T) {
	c := startRebootCluster(t)
	const pod = `{apiVersion: v1, kind: Pod, metadata: {name: %[1]s, labels: {app: %[1]s}, ownerReferences: [{apiVersion: apps/v1,
  kind: %[2]s, name: %[3]s, uid: "1", controller: true}]}, spec: {nodeName: %[4]s, containers: [{name: c, image: c}]}}` + "\n---\n"
	c.run(fmt.Sprintf(pod, "served", "ReplicaSet", "app", "worker-1")+fmt.Sprintf(pod, "agent", "DaemonSet", "agent", "worker-1")+
		fmt.Sprintf(pod, "held", "ReplicaSet", "db", "worker-2")+
		`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent}, spec: {selector: {matchLabels: {a: b}}, template: {metadata:
  {labels: {a: b}}, spec: {containers: [{name: c, image: c}]}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: held}, spec: {minAvailable: 1, selector: {matchLabels: {app: held}}}}
`, "create", "-f", "-")
	// The disruption controller has counted one running pod.
	c.run("", "patch", "poddisruptionbudget", "held", "--subresource=status", "--type=merge", "-p",
		`{"status": {"observedGeneration": 1, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1,
  "disruptionsAllowed": 0}}`)
	c.run("", "patch", "pod", "held", "--subresource=status", "--type=merge", "-p",
		`{"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}`)
	if said := c.turn(0); said != "" {
		t.Errorf("without a request it says %q", said)
	}
	if got := c.agents(); got != nil {
		t.Errorf("%v reboot without their turn", got)
	}
	c.stateIs("master:open:asks: worker-1:open:asks: worker-2:open:asks:")

	c.turn(0)
	c.stateIs("master:open:asks: worker-1:cordoned:asks:granted worker-2:open:asks:")
	if pods := c.run("", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}"); pods != "agent held" {
		t.Errorf("the pods are %s", pods)
	}
	if got := c.agents(); !slices.Equal(got, []string{"worker-1"}) {
		t.Errorf("%v reboot", got)
	}
	testOthersWait(t, c)
	testTurnThatHasEnded(t, c)
	testStepsEndTheirTurn(t, c)

	// The machine boots. No other node has its turn until its kubelet is Ready and its request is gone.
	for _, step := range []func(){
		func() {}, func() { c.is("worker-1", "Unknown") },
		func() { c.machines["worker-1"].remove("/run/reboot-required"); c.agents() },
	} {
		step()
		if said := c.turn(0); said != "" {
			t.Errorf("while a node is away it says %q", said)
		}
		if state := c.state(); !strings.Contains(state, "worker-1:cordoned") || strings.Contains(state, "worker-2:cordoned") {
			t.Errorf("while a node is away: %s", state)
		}
	}
	c.is("worker-1", "True")
	// A disruption budget holds a pod of the next node, which returns to service without a reboot.
	said := c.turn(1)
	if !strings.Contains(said, "node worker-1 has rebooted") || !strings.Contains(said, "within 5 s: default/held") {
		t.Errorf("it says %q", said)
	}
	c.stateIs("master:open:asks: worker-1:open: worker-2:open:asks:")
	c.turn(0)
	c.stateIs("master:open:asks:granted worker-1:open: worker-2:open:asks:")
	if got := c.agents(); !slices.Equal(got, []string{"master"}) {
		t.Errorf("%v reboot", got)
	}
	c.machines["master"].remove("/run/reboot-required")
	c.agents()
	c.turn(0)
	c.stateIs("master:open: worker-1:open: worker-2:open:asks:")
	testHoursOfAZone(t, c)
}

// testStepsEndTheirTurn runs these scripts on the machine of master while that node has its turn, too. Their step
// keeps the machine from its reboot, so they wait for worker-1 alone.
func testStepsEndTheirTurn(t *testing.T, c *rebootCluster) {
	t.Helper()
	for script, says := range map[string]string{
		"node-drain.sh":     "not in service: worker-1 (reboots for an update).",
		"upgrade.sh":        "upgrade: worker-1 reboots for an update",
		"node-delete.sh":    "worker-1 has its turn to reboot (maintenance.reboots)",
		"control-planes.sh": "control-planes: etcd does not list its members",
	} {
		c.run("", "annotate", "node", "master", "kubeadm-aws/reboot=granted:"+fmt.Sprint(time.Now().Unix()))
		h := c.stepHost(map[string]string{"NODE": "worker-2", "KUBERNETES_VERSION": "1.36.4", "UPGRADE_CONFIG": "x", "SERVE": "0",
			"TIMEOUT": "1", "RETURN": "0", "STAY": "master", "ENDPOINT": "api.dev.internal:6443"})
		h.write(rebootUnit, c.machines["master"].read(rebootUnit), 0o600)
		h.stub("etcdctl", "exit 1")
		var args []string
		if script == "upgrade.sh" {
			h.env["NODE"], args = "master", []string{"check"}
		}
		h.fails(h.run(script, "", args...), 1, says)
		if turn := c.run("", "get", "node", "master", "-o", "jsonpath={.metadata.annotations.kubeadm-aws/reboot}"); turn != "" {
			t.Errorf("%s leaves the turn %s", script, turn)
			c.run("", "annotate", "node", "master", "kubeadm-aws/reboot-")
		}
	}
	c.run("", "annotate", "nodes", "--all", "kubeadm-aws/stops-")
}

// stepHost is a control plane on which a step runs.
func (c *rebootCluster) stepHost(env map[string]string) *scriptHost {
	h := newScriptHost(c.t)
	h.env = env
	h.env["RUN_DIR"], h.env["KUBECONFIG"] = c.first.at("/run"), c.kubeconfig
	h.write("/etc/kubernetes/manifests/kube-apiserver.yaml", "    image: registry.k8s.io/kube-apiserver:v1.36.3\n", 0o600)
	h.write("/etc/kubernetes/admin.conf", c.first.read("/etc/kubernetes/admin.conf"), 0o600)
	h.stub("kubectl", `case $* in *--raw=/version*) echo '"gitVersion": "v1.36.4"' ;; *) exec `+c.kubectl+` "$@" ;; esac`)
	return h
}

// testOthersWait runs the scripts that take nodes out of service while worker-1 reboots.
func testOthersWait(t *testing.T, c *rebootCluster) {
	t.Helper()
	h := c.stepHost(map[string]string{"NODE": "worker-2", "KUBERNETES_VERSION": "1.36.4", "SERVE": "0"})
	h.fails(h.run("node-drain.sh", ""), 1, "not in service: worker-1 (reboots for an update)")
	h = c.stepHost(map[string]string{"NODE": "worker-1", "KUBERNETES_VERSION": "1.36.4", "SERVE": "0"})
	h.fails(h.run("node-drain.sh", ""), 1, "not in service: worker-1 (reboots for an update)")
	h = c.stepHost(map[string]string{"NODE": "master", "KUBERNETES_VERSION": "1.36.4", "UPGRADE_CONFIG": "x"})
	h.fails(h.run("upgrade.sh", "", "check"), 1, "worker-1 reboots for an update (maintenance.reboots)")
	h = c.stepHost(map[string]string{"NODE": "worker-2", "TIMEOUT": "1", "RETURN": "0"})
	h.fails(h.run("node-delete.sh", ""), 1, "worker-1 has its turn to reboot (maintenance.reboots)", "worker-2 has not been drained")
}

// testTurnThatHasEnded removes the turn of worker-1 after the script has read it and before it ends it, as the removal
// of the node does. The node keeps its state.
func testTurnThatHasEnded(t *testing.T, c *rebootCluster) {
	t.Helper()
	turn := c.run("", "get", "node", "worker-1", "-o", "jsonpath={.metadata.annotations.kubeadm-aws/reboot}")
	c.run("", "annotate", "node", "worker-1", "--overwrite", "kubeadm-aws/reboot=draining")
	ends := c.kubectl + " annotate node worker-1 kubeadm-aws/reboot- >/dev/null"
	c.first.stub("kubectl", `case $* in *"patch node worker-1"*) `+ends+" && "+ends+` ;; esac
exec `+c.kubectl+` "$@"`)
	if said := c.turn(1); !strings.Contains(said, "the API does not record that the turn of worker-1 has ended") {
		t.Errorf("it says %q", said)
	}
	c.stateIs("master:open:asks: worker-1:cordoned:asks: worker-2:open:asks:")
	c.first.stub("kubectl", `exec `+c.kubectl+` "$@"`)
	c.run("", "annotate", "node", "worker-1", "kubeadm-aws/reboot="+turn)
}

// testHoursOfAZone asks for the hours around now in a zone that is 14 hours ahead of UTC. The next node is still held.
func testHoursOfAZone(t *testing.T, c *rebootCluster) {
	t.Helper()
	zone, err := time.LoadLocation("Pacific/Kiritimati")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().In(zone)
	now := at.Hour()*60 + at.Minute()
	c.first.env["START"], c.first.env["END"] = fmt.Sprint((now+1440-60)%1440), fmt.Sprint((now+60)%1440)
	if said := c.turn(0); said != "" {
		t.Errorf("outside of the hours it says %q", said)
	}
	c.first.env["TIME_ZONE"] = zone.String()
	if said := c.turn(1); !strings.Contains(said, "worker-2 could not be drained") {
		t.Errorf("in the hours it says %q", said)
	}
}
