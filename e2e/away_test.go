//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// A host that does not let anybody in fails its own step, in bounded time and with a word on what to look at; the other
// hosts get the change, and the next up does the rest.
func hostAway(t *testing.T, s *stack, c *cluster) {
	c.on(t, "worker-1", "systemctl stop ssh.socket ssh.service 2>/dev/null || systemctl stop ssh.service")
	s.set(t, "kubernetes", map[string]any{"kubelet": map[string]any{"maxPods": 77}})
	r := s.run(t, "up", nil)
	t.Logf("FIGURE a host whose sshd is gone: up gives up after %.0f s", r.took.Seconds())
	if r.code != 5 || r.took > 4*time.Minute {
		t.Errorf("up ends with %d after %s:\n%s", r.code, r.took, r.messages())
	}
	said := r.messages()
	for _, want := range []string{"worker-1-join", ":22", "connection refused", "Look at: does its instance run"} {
		if !strings.Contains(said, want) {
			t.Errorf("up says nothing of %q:\n%s", want, said)
		}
	}
	maxPods := func(node string) string { return c.on(t, node, "grep maxPods /var/lib/kubelet/config.yaml || true") }
	if m, w := maxPods("master"), maxPods("worker-1"); m != "maxPods: 77" || w != "" {
		t.Errorf("master has %q, worker-1 has %q", m, w)
	}
	c.on(t, "worker-1", "systemctl start ssh.service")
	s.must(t, "up")
	if w := maxPods("worker-1"); w != "maxPods: 77" {
		t.Errorf("after the next up worker-1 has %q", w)
	}
	eventually(t, 2*time.Minute, "all nodes Ready with the setting", func() error { return allReady(t, c, 2) })
}
