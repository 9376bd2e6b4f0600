package stack_test

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/sandbox"
)

// threeControlPlanes returns the settings of a cluster with three control planes, two workers and the Load Balancer
// Controller, whose webhook each API server calls. change changes the nodes.
func threeControlPlanes(change func(nodes []map[string]any)) map[string]any {
	settings := small()
	delete(settings["kubeadm-aws:addons"].(map[string]any), "loadBalancer")
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

// TestThreeControlPlanes begins a cluster, joins two control planes one after the other, and replaces the machine
// that began it.
func TestThreeControlPlanes(t *testing.T) {
	r := simulate(t, "dev", threeControlPlanes(nil))
	o := r.up().must(t)
	inTurn(t, o.order, "create m1-init", "create m2-join", "create m3-join", "create m3-node")
	inTurn(t, o.order, "create m2-prepare", "create m2-join")
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

// TestUpgradeOfThreeControlPlanes upgrades one control plane after the other, then the workers. One that fails stops
// the rest, and its machine alone may be replaced. What only the new release has comes after the last API server.
func TestUpgradeOfThreeControlPlanes(t *testing.T) {
	older, newer := config.Releases[0].Version, config.DefaultRelease().Version
	at := func(version string, change func([]map[string]any)) map[string]any {
		settings := threeControlPlanes(change)
		settings["kubeadm-aws:cluster"] = map[string]any{"name": "platform-dev", "kubernetesVersion": version}
		settings["kubeadm-aws:identity"] = map[string]any{"enabled": true, "serviceAccounts": []any{map[string]any{
			"namespace": "apps", "name": "api", "policy": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}}}
		return settings
	}
	r := simulate(t, "dev", at(older, nil))
	r.up().must(t)
	r.set(at(newer, nil))
	o := r.preview().must(t)
	if !strings.Contains(o.printed, "First m1:") || !strings.Contains(o.printed,
		"Then the other control planes one after the other: m2, m3.") {
		t.Errorf("the order is not announced:\n%s", tail(o.printed, 4000))
	}
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "update" && strings.HasSuffix(op.URN, "::m2-join") {
			return errInjected
		}
		return nil
	})
	o = r.up()
	if o.err == nil || slices.ContainsFunc(o.order, func(op string) bool {
		return op == "create m3-drain" || op == "create worker-1-drain" || op == "create policy-identity"
	}) {
		t.Errorf("up ends with %v after\n%s", o.err, strings.Join(o.order, "\n"))
	}
	for _, prepared := range []string{"m2", "m3", "worker-1", "worker-2"} {
		inTurn(t, o.order, "update "+prepared+"-prepare", "update m1-init")
	}
	inTurn(t, o.order, "update m1-init", "create m2-drain")
	r.mustRefuse(t, at(older, nil), "kubeadm-aws:cluster.kubernetesVersion")
	another := func(i int) func([]map[string]any) {
		return func(nodes []map[string]any) { nodes[i]["generation"] = "2" }
	}
	r.mustRefuse(t, at(newer, another(0)), "kubeadm-aws:nodes[0].generation")
	r.mustRefuse(t, at(newer, another(1)), "kubeadm-aws:nodes[1].generation")
	r.failing(nil)
	replaced := r.twin(t)
	replaced.set(at(newer, another(2)))
	for _, r := range []*simulation{r, replaced} {
		o = r.up().must(t)
		inTurn(t, o.order, "create m3-drain", "update m3-join", "create policy-identity")
		inTurn(t, o.order, "update m3-join", "create worker-1-drain", "update worker-1-node",
			"create worker-2-drain")
		if lost := r.box.Account("k8s/Node"); len(lost) != 5 {
			t.Errorf("the cluster has the nodes %q", lost)
		}
		r.up().mustNotChange(t)
	}
}

// TestTheNumberOfControlPlanesChanges makes three of one, and one of three. The first try to add them fails half way.
func TestTheNumberOfControlPlanesChanges(t *testing.T) {
	one := func() map[string]any {
		settings := threeControlPlanes(nil)
		nodes := settings["kubeadm-aws:nodes"].([]any)
		settings["kubeadm-aws:nodes"] = slices.Concat(nodes[1:2], nodes[3:])
		return settings
	}
	r := simulate(t, "dev", one())
	r.up().must(t)
	r.set(threeControlPlanes(nil))
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "create" && strings.HasSuffix(op.URN, "::m3-join") {
			return errInjected
		}
		return nil
	})
	if o := r.up(); o.err == nil || !slices.Contains(o.order, "create m2-join") {
		t.Errorf("up ends with %v after %q", o.err, o.order)
	}
	r.failing(nil)
	o := r.up().must(t)
	if !slices.Contains(o.order, "create m3-join") || slices.ContainsFunc(o.order, func(op string) bool {
		return strings.HasPrefix(op, "replace") || strings.HasPrefix(op, "delete")
	}) {
		t.Errorf("the second try did %q", o.order)
	}
	r.up().mustNotChange(t)

	moved := one()
	moved["kubeadm-aws:nodes"].([]any)[0].(map[string]any)["generation"] = "2"
	r.mustRefuse(t, moved, "kubeadm-aws:nodes")

	// Members that have left etcd do not come back with the settings of before.
	r.set(one())
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "update" && strings.HasSuffix(op.URN, "::nodes-ready") {
			return errInjected
		}
		return nil
	})
	if o = r.up(); o.err == nil || !slices.Contains(o.order, "update m1-init") {
		t.Errorf("up ends with %v after %q", o.err, o.order)
	}
	r.failing(nil)
	r.mustRefuse(t, threeControlPlanes(nil), "kubeadm-aws:nodes[0].generation", "kubeadm-aws:nodes[2].generation")
	back := r.twin(t)
	back.set(threeControlPlanes(func(nodes []map[string]any) {
		nodes[0]["generation"], nodes[2]["generation"] = "2", "2"
	}))
	inTurn(t, back.up().must(t).order, "update m2-join", "update m3-join")
	back.up().mustNotChange(t)

	o = r.up().must(t)
	inTurn(t, o.order, "delete m3-node", "delete m3")
	inTurn(t, o.order, "update nodes-ready", "delete worker-1-balancer")
	if nodes := r.box.Account("k8s/Node"); len(nodes) != 3 {
		t.Errorf("the cluster has the nodes %q", nodes)
	}
	r.up().mustNotChange(t)
	r.destroy().must(t)
	r.mustBeEmpty()
}
