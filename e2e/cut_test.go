//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"kubeadm-aws/config"
)

// older is the oldest release that the program supports.
var older = config.Releases[0].Version

// TestInterruptions brings up a cluster whose every step is interrupted once: the driver is killed, and hosts lose
// their power. It is a cluster of the older release and under a domain, so that these are proven as well.
func TestInterruptions(t *testing.T) {
	t.Parallel()
	s := newStack(t, "e2e-cut")
	s.set(t, "cluster", map[string]any{"name": s.name, "kubernetesVersion": older})
	s.set(t, "dns", map[string]any{"domain": "cut.example.com", "createZone": true})
	s.set(t, "addons", map[string]any{"acme": map[string]any{"email": "admin@example.com"}})
	s.set(t, "nodes", []any{
		map[string]any{"name": "master", "role": "control-plane"},
		map[string]any{"name": "worker-1"},
	})
	host := func(node string) string {
		for _, name := range containers(t, s.name) {
			if strings.Contains(name, node) {
				return name
			}
		}
		t.Fatalf("no host of %s", node)
		return ""
	}
	powerCut := func(node string) func(*os.Process) {
		return func(*os.Process) {
			if out, err := exec.Command("docker", "restart", "--time", "0", host(node)).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	}
	kill := func(p *os.Process) {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	}
	for _, cut := range []struct {
		name string
		// The cut comes as soon as this command succeeds on the host of the node.
		node, when string
		do         func(*os.Process)
		code       int
	}{
		{"a worker loses power while packages are installed", "worker-1", "pgrep -x dpkg", powerCut("worker-1"), 5},
		{"the control plane loses power during kubeadm init", "master", "test -e /etc/kubernetes/manifests/etcd.yaml",
			powerCut("master"), 5},
		{"the driver is killed during kubeadm init", "master", "pgrep -f '^kubeadm init'", kill, -1},
		{"the worker loses power during kubeadm join", "worker-1", "pgrep -f '^kubeadm join'", powerCut("worker-1"), 5},
	} {
		t.Run(cut.name, func(t *testing.T) {
			var once sync.Once
			done := make(chan struct{})
			var watching sync.WaitGroup
			happened := false
			r := s.run(t, "up", func(_ event, p *os.Process) {
				once.Do(func() {
					watching.Go(func() { happened = cutWhen(t, s, cut.node, cut.when, done, func() { cut.do(p) }) })
				})
			})
			close(done)
			watching.Wait()
			if !happened {
				t.Fatalf("never on %s: %s; up ends with %d:\n%s", cut.node, cut.when, r.code, r.messages())
			}
			if r.code != cut.code {
				t.Errorf("up ends with %d, want %d:\n%s", r.code, cut.code, r.messages())
			}
		})
	}
	r := s.must(t, "up")
	t.Logf("FIGURE up after four cuts: %.1f s", r.took.Seconds())
	c := s.cluster(t)
	if err := allReady(t, c, 2); err != nil {
		t.Error(err)
	}
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after that did %v", ops)
	}
	for name, n := range c.nodes(t) {
		if n.Status.NodeInfo.KubeletVersion != "v"+older {
			t.Errorf("%s runs %s", name, n.Status.NodeInfo.KubeletVersion)
		}
	}
	if out := c.must(t, "--namespace", "ingress", "get", "ingress", "shared", "--output",
		"jsonpath={.status.loadBalancer.ingress[0].hostname}"); out == "" {
		t.Error("the shared Ingress has no load balancer")
	}
	t.Run("a host does not answer", func(t *testing.T) { hostAway(t, s, c) })
	t.Run("a lost worker is repaired", func(t *testing.T) { workerLost(t, s, c) })
	t.Run("a worker starts from an image", func(t *testing.T) { workerFromImage(t, s, c) })
	destroyed(t, s, c)
}

// cutWhen makes the cut as soon as the condition is true on a host of the node. It reports whether it came to that.
func cutWhen(t *testing.T, s *stack, node, condition string, done <-chan struct{}, cut func()) bool {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return false
		case <-tick.C:
		}
		for _, name := range containers(t, s.name) {
			if !strings.Contains(name, node) {
				continue
			}
			if _, err := in(name, "", "sh", "-c", condition); err == nil {
				cut()
				return true
			}
		}
	}
}
