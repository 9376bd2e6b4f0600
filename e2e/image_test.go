//go:build e2e

package e2e

import (
	"regexp"
	"testing"
)

// workerFromImage replaces the only worker by a machine from an image of a prepared one, which joins and installs
// nothing.
func workerFromImage(t *testing.T, s *stack, c *cluster) {
	built := s.must(t, "image build")
	t.Logf("FIGURE an image is built: %.1f s", built.took.Seconds())
	id := regexp.MustCompile(`ami-[0-9a-f]{17}`).FindString(built.messages())
	if id == "" {
		t.Fatalf("no image was built:\n%s", built.messages())
	}
	former := c.must(t, "get", "node", "worker-1", "--output", "jsonpath={.spec.providerID}")
	s.set(t, "image", map[string]any{"ami": id})
	r := s.must(t, "up")
	for _, e := range r.events {
		if e.Kind == "host" && e.Host == "worker-1" && e.Status == "done" {
			t.Logf("FIGURE a worker from an image: %s %s %.1f s", e.Op, e.Step, e.Seconds)
		}
	}
	t.Logf("FIGURE a worker is replaced by one from an image: %.1f s", r.took.Seconds())
	if now := c.must(t, "get", "node", "worker-1", "--output", "jsonpath={.spec.providerID}"); now == former || now == "" {
		t.Errorf("worker-1 is the node of %q, before of %q", now, former)
	}
	if err := allReady(t, c, 2); err != nil {
		t.Error(err)
	}
	if log := c.on(t, "worker-1", "cat /var/lib/kubeadm-aws/apt.log"); log != "" {
		t.Errorf("prepare has called apt:\n%s", log)
	}
	if ids := c.on(t, "worker-1", "cat /etc/machine-id"); ids == c.on(t, "master", "cat /etc/machine-id") || ids == "" {
		t.Errorf("the machine id of the worker is %q", ids)
	}
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after that did %v", ops)
	}
}
