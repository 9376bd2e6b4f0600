//go:build e2e

package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
)

// The control plane's host is lost with its disk. One up that restores, and nothing else, brings back the data as of
// the snapshot that the settings name, the workers and the very kubeconfig; snapshots that are not right are refused
// before etcd is touched.
func restore(t *testing.T, s *stack, c *cluster) {
	const secret = "kept-over-the-loss"
	c.must(t, "create", "configmap", "before", "--from-literal", "when=before")
	c.must(t, "create", "secret", "generic", "kept", "--from-literal", "value="+secret)
	c.must(t, "create", "deployment", "kept", "--image", config.DefaultRelease().SandboxImage(), "--replicas", "2")
	c.must(t, "rollout", "status", "deployment/kept", "--timeout", "180s")
	pods := func() string {
		return c.must(t, "get", "pods", "--selector", "app=kept", "--sort-by", "{.metadata.name}", "--output",
			"jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID}{\"\\n\"}{end}")
	}
	podsBefore, nodesBefore := pods(), c.nodes(t)
	worker := c.started(t, "worker-1")

	b := s.bucket(t)
	var older, newest string
	t.Run("snapshots reach the bucket", func(t *testing.T) {
		s.backend(t) // the role's credentials
		older = c.backup(t)
		c.must(t, "create", "configmap", "after", "--from-literal", "when=after")
		newest = c.backup(t)
		if pointer := string(b.get(t, "e2e/etcd/latest")); !strings.HasPrefix(pointer, newest+"\n") {
			t.Errorf("the newest snapshot is %s, and the bucket says %s", newest, pointer)
		}
	})
	if t.Failed() {
		t.FailNow()
	}

	lost := c.container(t, "master")
	if out, err := exec.Command("docker", "rm", "--force", "--volumes", lost).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	refused := func(t *testing.T, from, why string) {
		t.Helper()
		if from == "" {
			s.set(t, "backup", nil)
		} else {
			s.set(t, "backup", map[string]any{"restoreFrom": from})
		}
		r := s.run(t, "up", nil)
		if r.code != 5 || !strings.Contains(r.messages(), why) {
			t.Errorf("ends with %d, want the reason %q:\n%s", r.code, why, r.messages())
		}
		for _, name := range containers(t, s.name) {
			if strings.Contains(name, "master") {
				if out, err := in(name, "", "sh", "-c", "ls /var/lib/etcd /etc/kubernetes/manifests 2>/dev/null"); err != nil &&
					!strings.Contains(out, "/var/lib/etcd:") || strings.Contains(out, "member") || strings.Contains(out, "yaml") {
					t.Errorf("etcd was touched: %q, %v", out, err)
				}
			}
		}
	}
	t.Run("without a word on restoring, the loss is not papered over",
		func(t *testing.T) { refused(t, "", "backup.restoreFrom") })
	t.Run("a missing snapshot is refused", func(
		t *testing.T) {
		refused(t, "e2e/etcd/2020-01-01T00-00-00Z.db", "no such snapshot")
	})
	t.Run("a corrupt snapshot is refused", func(t *testing.T) {
		whole := b.get(t, newest)
		broken := slices.Clone(whole)
		broken[len(broken)/2] ^= 0xff
		b.put(t, newest, broken)
		refused(t, "latest", "corrupt")
		b.put(t, newest, whole)
	})

	s.set(t, "backup", map[string]any{"restoreFrom": older})
	r := s.must(t, "up")
	eventually(t, 3*time.Minute, "all nodes Ready after the restore", func() error { return allReady(t, c, 4) })
	t.Logf("FIGURE restore: %.1f s for the up after the loss, %.1f s until all nodes are Ready", r.took.Seconds(),
		time.Since(r.begun).Seconds())
	for _, e := range r.events {
		if e.Kind == "timeline" {
			for _, p := range e.Path {
				t.Logf("FIGURE restore: path %5.1f - %5.1f s  %s", p.Start, p.End, p.Resource)
			}
		}
	}

	if now := s.output(t, "kubeconfig"); now != c.kubeconfig {
		t.Error("the kubeconfig is another")
	}
	if got := c.must(t, "get", "configmap", "before", "--output", "jsonpath={.data.when}"); got != "before" {
		t.Errorf("data: %q", got)
	}
	if got := c.must(t, "get", "secret", "kept", "--output", "go-template={{.data.value | base64decode}}"); got != secret {
		t.Errorf("the Secret decrypts to %q", got)
	}
	if out, err := c.kubectl("get", "configmap", "after"); err == nil {
		t.Errorf("what came after the snapshot is there: %s", out)
	}
	nodes := c.nodes(t)
	for name, n := range nodesBefore {
		if name != "master" && nodes[name].Metadata.UID != n.Metadata.UID {
			t.Errorf("%s is another node", name)
		}
	}
	if n := nodes["master"]; n.Spec.ProviderID == nodesBefore["master"].Spec.ProviderID {
		t.Errorf("master is still %s", n.Spec.ProviderID)
	}
	if after := c.started(t, "worker-1"); strings.SplitN(after, "\n", 2)[0] != strings.SplitN(worker, "\n", 2)[0] {
		t.Errorf("worker-1 is another host:\n%s\n%s", worker, after)
	}
	if after := pods(); after != podsBefore {
		t.Errorf("pods were restarted:\n%s", difference(podsBefore, after))
	}
	apiCertificate(t, c.kubeconfig)
	c.must(t, "delete", "deployment", "kept", "--wait=false")
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after the restore did %v", ops)
	}
}
