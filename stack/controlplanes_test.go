package stack_test

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox"
)

// threeControlPlanes returns the settings of a cluster with three control planes and two workers. change changes the
// nodes.
func threeControlPlanes(change func(nodes []map[string]any)) map[string]any {
	settings := small()
	nodes := []map[string]any{
		{"name": "m3", "role": "control-plane", "zone": 2}, {"name": "m1", "role": "control-plane", "zone": 0},
		{"name": "m2", "role": "control-plane", "zone": 1}, {"name": "worker-1"}, {"name": "worker-2"},
	}
	if change != nil {
		change(nodes)
	}
	var all []any
	for _, n := range nodes {
		all = append(all, n)
	}
	settings["kubeadm-aws:nodes"] = all
	return settings
}

// TestThreeControlPlanes begins a cluster, joins two control planes one after the other, and replaces the machine that
// began it.
func TestThreeControlPlanes(t *testing.T) {
	r := simulate(t, "dev", threeControlPlanes(nil))
	o := r.up().must(t)
	inTurn(t, o.order, "create m2-prepare", "create m1-init", "create m2-join", "create m3-join", "create m3-node")
	inTurn(t, o.order, "create m1-init", "create worker-1-join")
	inTurn(t, o.order, "create worker-1-prepare", "create worker-1-balancer", "create worker-1-join")
	if slices.Contains(o.order, "create m1-balancer") {
		t.Error("a control plane has a balancer")
	}
	r.up().mustNotChange(t)

	// The order of the list has no meaning.
	r.set(threeControlPlanes(func(nodes []map[string]any) { slices.Reverse(nodes) }))
	r.up().mustNotChange(t)

	r.mustRefuse(t, threeControlPlanes(func(nodes []map[string]any) { nodes[0]["role"], nodes[2]["role"] = "worker", "worker" }),
		"kubeadm-aws:nodes[0].role", "kubeadm-aws:nodes[2].role")
	settings := threeControlPlanes(nil)
	settings["kubeadm-aws:nodes"] = append(settings["kubeadm-aws:nodes"].([]any),
		map[string]any{"name": "m4", "role": "control-plane"}, map[string]any{"name": "m5", "role": "control-plane"})
	r.mustRefuse(t, settings, "kubeadm-aws:nodes[5].role", "kubeadm-aws:nodes[6].role")

	// A setting of the API server restarts one API server after the other.
	flag := threeControlPlanes(nil)
	flag["kubeadm-aws:kubernetes"] = map[string]any{"apiServer": map[string]any{"v": "3"}}
	r.set(flag)
	inTurn(t, r.up().must(t).order, "update m1-init", "update m2-join", "update m3-join")

	// The machine that began the cluster is replaced: the new one joins the others, and nothing is restored.
	r.set(threeControlPlanes(func(nodes []map[string]any) { nodes[1]["generation"] = "2" }))
	o = r.up().must(t)
	if !slices.ContainsFunc(o.order, func(op string) bool { return strings.HasPrefix(op, "update m1-init") }) {
		t.Errorf("no step of m1 in %q", o.order)
	}
	if lost := r.box.Account("k8s/Node"); len(lost) != 5 {
		t.Errorf("the cluster has the nodes %q", lost)
	}
	r.up().mustNotChange(t)
	r.destroy().must(t)
	r.mustBeEmpty()
}

// TestAClusterOfThreeIsFinishedInALaterUp fails the join of a control plane. The next up goes on with it.
func TestAClusterOfThreeIsFinishedInALaterUp(t *testing.T) {
	r := simulate(t, "dev", threeControlPlanes(nil))
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "create" && strings.HasSuffix(op.URN, "::m2-join") {
			return errInjected
		}
		return nil
	})
	if o := r.up(); o.err == nil || slices.Contains(o.order, "create m3-join") {
		t.Errorf("up ends with %v after %q", o.err, o.order)
	}
	r.failing(nil)
	o := r.up().must(t)
	inTurn(t, o.order, "create m2-join", "create m3-join")
	r.up().mustNotChange(t)
	older := threeControlPlanes(nil)
	older["kubeadm-aws:cluster"] = map[string]any{"name": "platform-dev", "kubernetesVersion": config.Releases[0].Version}
	r.mustRefuse(t, older, "kubeadm-aws:cluster.kubernetesVersion")
}
