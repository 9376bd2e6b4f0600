package stack_test

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox"
)

// atRelease returns the settings of a cluster with three workers, and those of nodes that replace them.
func atRelease(version string, more ...any) map[string]any {
	settings := small()
	settings["kubeadm-aws:cluster"] = map[string]any{"name": "platform-dev", "kubernetesVersion": version}
	all := []any{map[string]any{"name": "master", "role": "control-plane"}}
	for _, name := range []string{"worker-3", "worker-1", "worker-2"} {
		all = append(all, map[string]any{"name": name})
	}
	settings["kubeadm-aws:nodes"] = append(all, more...)
	return settings
}

// TestUpgrade upgrades in the order of control plane, then each worker alone. A new worker joins at the new release.
func TestUpgrade(t *testing.T) {
	older, newer := config.Releases[0].Version, config.DefaultRelease().Version
	r := simulate(t, "dev", atRelease(older))
	r.up().must(t)
	r.set(atRelease(newer, map[string]any{"name": "worker-0", "zone": 2}))
	for _, o := range []outcome{r.preview().must(t), r.up().must(t)} {
		if !strings.Contains(o.printed, "Then one after the other: worker-1, worker-2, worker-3.") {
			t.Errorf("the order is not announced:\n%s", tail(o.printed, 4000))
		}
		if lost := lostBy(o.changes); len(lost) > 0 {
			t.Errorf("resources are lost: %q", lost)
		}
		for _, worker := range []string{"worker-1", "worker-2", "worker-3"} {
			inTurn(t, o.order, "update "+worker+"-prepare", "update master-init", "create "+worker+"-drain",
				"update "+worker+"-join", "update "+worker+"-node")
		}
		inTurn(t, o.order, "update worker-1-node", "create worker-2-drain")
		inTurn(t, o.order, "update worker-2-node", "create worker-3-drain")
		inTurn(t, o.order, "update master-init", "create worker-0-join")
		if slices.Contains(o.order, "create worker-0-drain") {
			t.Error("a new worker is drained")
		}
	}
	r.up().mustNotChange(t)
	r.mustRefuse(t, map[string]any{"kubeadm-aws:cluster": map[string]any{"name": "platform-dev",
		"kubernetesVersion": older}}, "kubeadm-aws:cluster.kubernetesVersion")
}

// inTurn expects operations one after the other.
func inTurn(t *testing.T, order []string, operations ...string) {
	t.Helper()
	at := -1
	for _, op := range operations {
		i := slices.Index(order, op)
		if i <= at {
			t.Errorf("%q is at %d, and what comes before it at %d of\n%s", op, i, at, strings.Join(order, "\n"))
			return
		}
		at = i
	}
}

// TestAWorkerThatFailsStopsTheRest fails the join of the first worker. The next up goes on with it.
func TestAWorkerThatFailsStopsTheRest(t *testing.T) {
	older, newer := config.Releases[0].Version, config.DefaultRelease().Version
	r := simulate(t, "dev", atRelease(older))
	r.up().must(t)
	r.set(atRelease(newer))
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "update" && strings.HasSuffix(op.URN, "::worker-1-join") {
			return errInjected
		}
		return nil
	})
	o := r.up()
	if o.err == nil || slices.Contains(o.order, "create worker-2-drain") ||
		slices.Contains(o.order, "create worker-3-drain") {
		t.Errorf("up ends with %v after\n%s", o.err, strings.Join(o.order, "\n"))
	}
	// What went up does not go back, and a machine does not stop in the middle of it.
	back := atRelease(older)
	r.mustRefuse(t, back, "kubeadm-aws:cluster.kubernetesVersion")
	r.mustRefuse(t, resized(newer, "worker-3"), "kubeadm-aws:nodes[1].instanceType")
	r.failing(nil)
	o = r.up().must(t)
	inTurn(t, o.order, "update worker-1-join", "update worker-1-node", "create worker-2-drain", "update worker-2-node",
		"create worker-3-drain")
	r.up().mustNotChange(t)
}

// TestAMachineIsNotChangedInAnUpgrade refuses a size that stops a machine.
func TestAMachineIsNotChangedInAnUpgrade(t *testing.T) {
	newer := config.DefaultRelease().Version
	r := simulate(t, "dev", atRelease(config.Releases[0].Version))
	r.up().must(t)
	r.mustRefuse(t, resized(newer, "worker-3"), "kubeadm-aws:nodes[1].instanceType")
	all := atRelease(newer)
	all["kubeadm-aws:image"] = map[string]any{"generation": "2"}
	r.mustRefuse(t, all, "kubeadm-aws:image.generation")
}

// resized returns the settings of a cluster in which one worker has a larger machine.
func resized(version, worker string) map[string]any {
	settings := atRelease(version)
	for _, n := range settings["kubeadm-aws:nodes"].([]any) {
		if n := n.(map[string]any); n["name"] == worker {
			n["instanceType"] = "t3.large"
		}
	}
	return settings
}
