//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestThreeControlPlanes makes three control planes of one, upgrades them, replaces the one that began the cluster,
// refuses to replace one while another is dead, loses the machine of each without a word, the leader of etcd among
// them, and makes one of three. A worker goes on asking the API by its name inside, and an application.
func TestThreeControlPlanes(t *testing.T) {
	t.Parallel()
	s := newStack(t, "e2e-three")
	planes, nodes := threePlanes()
	one := []any{nodes[0], nodes[3]}
	s.set(t, "nodes", one)
	s.set(t, "cluster", map[string]any{"name": s.name, "kubernetesVersion": older})
	s.must(t, "up")
	c := s.cluster(t)
	s.set(t, "nodes", nodes)
	reportUp(t, s.must(t, "up"))
	eventually(t, 2*time.Minute, "all nodes Ready", func() error { return allReady(t, c, 4) })
	for _, name := range append(planes, "worker-1") {
		proxyKnowsTheName(t, c, name)
	}
	c.must(t, "create", "configmap", "kept")
	t.Run("the leader takes the snapshot", func(t *testing.T) {
		s.backend(t) // the credentials of the role
		var took []string
		for _, name := range planes {
			if key := c.on(t, name, "etcd-snapshot timed 2>/dev/null"); key != "" {
				took = append(took, name+" "+key)
			}
		}
		if len(took) != 1 {
			t.Errorf("snapshots were taken by %q", took)
		}
	})
	t.Run("it is upgraded", func(t *testing.T) { upgradeThree(t, s, c) })
	t.Run("the one that began the cluster is replaced", func(t *testing.T) { replaceFirst(t, s, c, nodes) })
	if !t.Run("none goes while another one is dead", func(t *testing.T) { noneGoesWithoutTheOthers(t, s, c, nodes) }) {
		t.FailNow() // a second control plane may be dead, and each wait of the rest would then take its full time
	}
	t.Run("each is lost in turn", func(t *testing.T) {
		s.backend(t) // gives machines that boot again their addresses
		loseEach(t, c, planes)
	})
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after that did %v", ops)
	}
	t.Run("one remains", func(t *testing.T) { oneRemains(t, s, c, one) })
	r := s.must(t, "destroy")
	t.Logf("FIGURE three control planes: destroy %.1f s", r.took.Seconds())
	nothingLeft(t, s)
}

// threePlanes returns the names of three control planes, and the setting of them and one worker.
func threePlanes() (planes []string, nodes []any) {
	planes = []string{"master", "master-2", "master-3"}
	for zone, name := range planes {
		nodes = append(nodes, map[string]any{"name": name, "role": "control-plane", "zone": zone})
	}
	return planes, append(nodes, map[string]any{"name": "worker-1"})
}

// upgradeThree upgrades the cluster. The driver is killed while the second control plane is upgraded.
func upgradeThree(t *testing.T, s *stack, c *cluster) {
	// The only worker is drained, so a pod of the application has to be elsewhere.
	deployApplication(t, c, "\n      tolerations: [{operator: Exists}]")
	asked := askInside(t, c, c.container(t, "worker-1"), "upgrade")
	s.set(t, "cluster", map[string]any{"name": s.name, "kubernetesVersion": newer})
	r := s.killedWhen(t, "master-2", "pgrep -f '^kubeadm upgrade node'")
	const want = "Then the other control planes one after the other: master-2, master-3."
	if !strings.Contains(r.messages(), want) {
		t.Errorf("no %q in\n%s", want, r.messages())
	}
	begun := r.took
	r = s.must(t, "up")
	t.Logf("FIGURE three control planes: upgrade killed after %.1f s, the up that ends it %.1f s", begun.Seconds(),
		r.took.Seconds())
	asked(t)
	upgraded(t, c, "")
	health := c.on(t, "master", onEtcd+" endpoint health --cluster 2>&1")
	if strings.Count(health, "is healthy") != 3 {
		t.Errorf("etcd after the upgrade: %s", health)
	}
}

// replaceFirst gives the control plane that was initialised another machine, which joins the others.
func replaceFirst(t *testing.T, s *stack, c *cluster, nodes []any) {
	before := c.container(t, "master")
	nodes[0].(map[string]any)["generation"] = "2"
	s.set(t, "nodes", nodes)
	r := s.must(t, "up")
	t.Logf("FIGURE three control planes: the one that began the cluster replaced in %.1f s", r.took.Seconds())
	eventually(t, 2*time.Minute, "all nodes Ready", func() error { return allReady(t, c, 4) })
	c.must(t, "get", "configmap", "kept")
	if c.container(t, "master") == before {
		t.Error("the machine was not replaced")
	}
	c.on(t, "master", onEtcd+" endpoint health --cluster")
	if members := c.on(t, "master", onEtcd+" member list"); strings.Count(members, "started") != 3 {
		t.Errorf("the members of etcd are\n%s", members)
	}
}

// noneGoesWithoutTheOthers kills one control plane and asks for another machine of a second one: first the etcd hangs,
// then the whole machine is stopped. The account of the hosts does not know either.
func noneGoesWithoutTheOthers(t *testing.T, s *stack, c *cluster, nodes []any) {
	third := nodes[2].(map[string]any)
	dead, goes := c.container(t, "master-2"), c.container(t, "master-3")
	refused := func() {
		t.Helper()
		const why = "etcd of master-2 ("
		r := s.run(t, "up", nil)
		t.Logf("FIGURE three control planes: a replacement refused after %.1f s", r.took.Seconds())
		if r.code == 0 || !strings.Contains(r.messages(), why) {
			t.Errorf("up ends with %d and no %q in\n%s", r.code, why, r.messages())
		}
		if c.container(t, "master-3") != goes {
			t.Fatal("the machine of master-3 was replaced")
		}
		c.must(t, "get", "configmap", "kept")
		members := c.on(t, "master", onEtcd+" member list")
		if strings.Count(members, "started") != 3 {
			t.Errorf("the members of etcd are\n%s", members)
		}
	}
	third["generation"] = "2"
	s.set(t, "nodes", nodes)
	c.on(t, "master-2", "systemctl stop kubelet; pkill -STOP -x etcd")
	refused()
	if out, err := exec.Command("docker", "stop", "--time", "1", dead).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	refused()
	t.Run("it comes back", func(t *testing.T) {
		s.backend(t) // gives a machine that boots again its addresses
		if out, err := exec.Command("docker", "start", dead).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		eventually(t, 4*time.Minute, "master-2 is back", func() error {
			_, err := in(dead, "", "bash", "-c", onEtcd+" endpoint health --cluster")
			return err
		})
		eventually(t, 2*time.Minute, "all nodes Ready", func() error { return allReady(t, c, 4) })
	})
	s.must(t, "up")
	if c.container(t, "master-3") == goes {
		t.Error("the machine of master-3 was not replaced")
	}
	if members := c.on(t, "master", onEtcd+" member list"); strings.Count(members, "started") != 3 {
		t.Errorf("the members of etcd are\n%s", members)
	}
	eventually(t, 2*time.Minute, "all nodes Ready", func() error { return allReady(t, c, 4) })
}

// proxyKnowsTheName expects kube-proxy of a node to have the same line for the API's name as the node.
func proxyKnowsTheName(t *testing.T, c *cluster, node string) {
	t.Helper()
	eventually(t, time.Minute, "kube-proxy of "+node+" has the line of its node", func() error {
		uid := c.must(t, "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-proxy", "--field-selector",
			"spec.nodeName="+node, "-o", "jsonpath={.items[*].metadata.uid}")
		_, err := in(c.container(t, node), "", "bash", "-c",
			"diff <(grep 'api[.]' /etc/hosts) <(grep 'api[.]' /var/lib/kubelet/pods/"+uid+"/etc-hosts)")
		return err
	})
}

// oneRemains removes the control planes that have joined. The first one keeps the cluster.
func oneRemains(t *testing.T, s *stack, c *cluster, nodes []any) {
	s.set(t, "nodes", nodes)
	r := s.must(t, "up")
	t.Logf("FIGURE three control planes: one remains after %.1f s", r.took.Seconds())
	eventually(t, 2*time.Minute, "both nodes Ready", func() error { return allReady(t, c, 2) })
	c.must(t, "get", "configmap", "kept")
	if members := c.on(t, "master", onEtcd+" member list"); strings.Count(members, "started") != 1 {
		t.Errorf("the members of etcd are\n%s", members)
	}
	proxyKnowsTheName(t, c, "worker-1")
	if out, err := in(c.container(t, "worker-1"), "", "systemctl", "is-active", "haproxy"); err == nil {
		t.Errorf("the balancer of the worker is %s", out)
	}
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after that did %v", ops)
	}
}

func loseEach(t *testing.T, c *cluster, planes []string) {
	deployApplication(t, c, "")
	hosts := map[string]string{}
	for _, name := range append(planes, "worker-1") {
		hosts[name] = c.container(t, name)
	}
	asked := askInside(t, c, hosts["worker-1"], "each lost in turn")
	led := false
	for range rounds(t) {
		for _, lost := range planes {
			led = loseOne(t, hosts, lost) || led
		}
	}
	for i := 0; !led; i = (i + 1) % len(planes) {
		if leads(t, hosts[planes[i]]) {
			led = loseOne(t, hosts, planes[i])
		}
	}
	asked(t)
}

// rounds is how often every control plane is lost: the variable ROUNDS, by default once.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("ROUNDS")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("ROUNDS is %q, and not a number from 1 on", text)
	}
	return n
}

var kubeconfigServer = regexp.MustCompile(`server: \S+`)

// loseOne kills a control plane, starts it again, and reports whether it was the leader of etcd.
func loseOne(t *testing.T, hosts map[string]string, lost string) bool {
	t.Helper()
	led := leads(t, hosts[lost])
	if out, err := exec.Command("docker", "kill", hosts[lost]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	gone := eventually(t, 3*time.Minute, lost+" is NotReady", func() error { return onlyLost(hosts["worker-1"], lost) })
	if out, err := exec.Command("docker", "start", hosts[lost]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	back := eventually(t, 4*time.Minute, lost+" is back", func() error {
		if _, err := in(hosts[lost], "", "bash", "-c", onEtcd+" endpoint health --cluster"); err != nil {
			return err
		}
		return onlyLost(hosts["worker-1"], "")
	})
	t.Logf("FIGURE three control planes: %s lost, leader %v: NotReady after %.0f s, back %.0f s after its start", lost,
		led, gone.Seconds(), back.Seconds())
	return led
}

// leads reports whether the etcd on a host is the leader.
func leads(t *testing.T, host string) bool {
	t.Helper()
	out, err := in(host, "", "bash", "-c", onEtcd+" endpoint status --write-out json")
	if err != nil {
		t.Fatal(err)
	}
	var status []struct {
		Status struct {
			Header struct {
				Member uint64 `json:"member_id"`
			} `json:"header"`
			Leader uint64 `json:"leader"`
		}
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil || len(status) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return status[0].Status.Leader == status[0].Status.Header.Member
}

const onEtcd = "etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt " +
	"--cert /etc/kubernetes/pki/etcd/healthcheck-client.crt --key /etc/kubernetes/pki/etcd/healthcheck-client.key"

// onlyLost asks the API from a worker whether every node but the lost one is Ready.
func onlyLost(worker, lost string) error {
	out, err := in(worker, "", "kubectl", "--kubeconfig", "/root/admin.conf", "--request-timeout", "5s", "get", "nodes",
		"--output", `jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}`)
	if err != nil {
		return err
	}
	for state := range strings.FieldsSeq(out) {
		name, ready, _ := strings.Cut(state, "=")
		if (ready == "True") == (name == lost) {
			return fmt.Errorf("the nodes are %s", out)
		}
	}
	return nil
}
