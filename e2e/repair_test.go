//go:build e2e

package e2e

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// workerLost removes the machine of the only worker. A repair brings another one under its name.
func workerLost(t *testing.T, s *stack, c *cluster) {
	if r := s.must(t, "repair"); len(r.done()) > 0 || !strings.Contains(r.messages(), "No worker has to be replaced") {
		t.Errorf("repair of a cluster that is well did %v:\n%s", r.done(), r.messages())
	}
	former := c.must(t, "get", "node", "worker-1", "--output", "jsonpath={.spec.providerID}")
	for _, name := range containers(t, s.name) {
		if !strings.Contains(name, "worker-1") {
			continue
		}
		if out, err := exec.Command("docker", "rm", "--force", "--volumes", name).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if r := s.run(t, "repair", nil, "--dry-run"); r.code != 8 || !strings.Contains(r.messages(), "no machine any more") {
		t.Errorf("repair --dry-run ends with %d:\n%s", r.code, r.messages())
	}
	r := s.must(t, "repair")
	t.Logf("FIGURE a lost worker is replaced by repair: %.1f s", r.took.Seconds())
	if now := c.must(t, "get", "node", "worker-1", "--output", "jsonpath={.spec.providerID}"); now == former || now == "" {
		t.Errorf("worker-1 is the node of %q, before of %q", now, former)
	}
	for _, op := range r.done() {
		if !strings.Contains(op, "worker-1") {
			t.Errorf("repair did %s", op)
		}
	}
	if note := c.must(t, "--namespace", "kube-system", "get", "configmap", "kubeadm-aws-repairs", "--output",
		"jsonpath={.data.worker-1}{.metadata.annotations}"); !strings.HasPrefix(note, time.Now().UTC().Format("2006-")) ||
		strings.Contains(note, "unfinished") {
		t.Errorf("the cluster notes of the repair %q", note)
	}
	if err := allReady(t, c, 2); err != nil {
		t.Error(err)
	}
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after the repair did %v", ops)
	}
}
