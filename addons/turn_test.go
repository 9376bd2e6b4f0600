package addons

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"kubeadm-aws/config"
)

// TestOneControlPlaneHasItsTurn asks at the same time for two nodes to be upgraded, as two runs do. One waits until the
// other has returned.
func TestOneControlPlaneHasItsTurn(t *testing.T) {
	server := startAPI(t)
	p := &kubelets{api: server}
	for _, name := range []string{"m1", "m2", "m3"} {
		p.join(config.Node{Name: name, Role: config.ControlPlane, InstanceType: "t3.large"})
		p.call("PATCH", "/api/v1/nodes/"+name+"/status", map[string]any{"status": map[string]any{
			"nodeInfo": map[string]string{"kubeletVersion": "v1.35.4"}}})
	}
	dir := t.TempDir()
	turn := func(name string) bool {
		cmd := exec.Command("bash", "../cluster/scripts/node-drain.sh")
		cmd.Env = append(os.Environ(), "KUBECONFIG="+server.kubeconfig, "RUN_DIR="+dir, "NODE="+name, "ROLE=control-plane",
			"KUBERNETES_VERSION="+config.DefaultRelease().Version, "SERVE=0")
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil && strings.HasSuffix(strings.TrimSpace(string(out)), "node "+name+" drained"):
			return true
		case errors.As(err, &exit) && strings.Contains(string(out), "not in service: m"):
			return false
		}
		t.Errorf("%s: %v: %s", name, err, out)
		return false
	}
	for range 3 {
		var both sync.WaitGroup
		var second, third bool
		both.Go(func() { second = turn("m2") })
		both.Go(func() { third = turn("m3") })
		both.Wait()
		if second == third {
			t.Fatalf("m2 has its turn: %v, m3: %v", second, third)
		}
		name, other := "m2", "m3"
		if third {
			name, other = other, name
		}
		if !turn(name) || turn(other) {
			t.Errorf("a run that goes on with %s does not keep the turn", name)
		}
		cordoned := server.kubectl("get", "nodes", "--field-selector", "spec.unschedulable=true", "-o", "name")
		if cordoned != "" {
			t.Errorf("%s accepts no pods", cordoned)
		}
		server.kubectl("annotate", "node", name, "kubeadm-aws/upgrade-")
	}
}
