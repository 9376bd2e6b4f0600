package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"kubeadm-aws/internal/sandbox"
)

// generation returns three control planes of which some have another generation.
func generation(names ...string) map[string]any {
	return threeControlPlanes(func(nodes []map[string]any) {
		for _, n := range nodes {
			if slices.Contains(names, n["name"].(string)) {
				n["generation"] = "2"
			}
		}
	})
}

// TestAControlPlaneStaysWhileAnotherIsDown stops the machine of m2, which the state does not show. No other control
// plane is replaced or stopped meanwhile: etcd would lose its majority. m2 itself may be replaced.
func TestAControlPlaneStaysWhileAnotherIsDown(t *testing.T) {
	r := simulate(t, "dev", threeControlPlanes(nil))
	r.up().must(t)
	older := r.twin(t)
	older.forget("control-planes")
	for i, r := range []*simulation{r, older} {
		machines := r.box.Account("aws:ec2/instance:Instance")
		if err := r.box.AWS.StopInstance("m2"); err != nil {
			t.Fatal(err)
		}
		changes := []map[string]any{
			generation("m3"),
			threeControlPlanes(func(nodes []map[string]any) { nodes[0]["instanceType"] = "t3.xlarge" }),
			generation("m3"), // once more
			generation("m1"), // the first one, for which m2 is asked
		}
		for _, change := range changes[:len(changes)-i*3] {
			r.set(change)
			o := r.up()
			if o.err == nil || slices.ContainsFunc(o.order, func(op string) bool {
				return slices.Contains([]string{"m1", "m2", "m3"}, strings.Fields(op)[1])
			}) {
				t.Errorf("up ends with %v after %q", o.err, o.order)
			}
			if !strings.Contains(o.printed, "etcd of m2 is not healthy") && !strings.Contains(o.printed, "i/o timeout") {
				t.Errorf("no reason in\n%s", tail(o.printed, 2000))
			}
		}
		if has := r.box.Account("aws:ec2/instance:Instance"); !slices.Equal(has, machines) {
			t.Fatalf("the account has the machines %q, had %q", has, machines)
		}
		r.set(generation("m2"))
		o := r.up().must(t)
		if !slices.ContainsFunc(o.order, func(op string) bool { return strings.HasSuffix(op, " control-planes") }) {
			t.Errorf("the others were not asked in %q", o.order)
		}
		r.up().mustNotChange(t)
	}
	// With all of them healthy again, each may go.
	r.set(generation("m2", "m3"))
	r.up().must(t)
	r.set(generation("m1", "m2", "m3"))
	r.up().must(t)
	r.up().mustNotChange(t)
	r.destroy().must(t)
	r.mustBeEmpty()
}

// TestTheOthersAreAskedBeforeEachTry fails the change of a machine after the others were asked. Before the next try
// another one stops.
func TestTheOthersAreAskedBeforeEachTry(t *testing.T) {
	r := simulate(t, "dev", threeControlPlanes(nil))
	r.up().must(t)
	r.set(threeControlPlanes(func(nodes []map[string]any) { nodes[0]["instanceType"] = "t3.xlarge" }))
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "update" && strings.HasSuffix(op.URN, "aws:ec2/instance:Instance::m3") {
			return errInjected
		}
		return nil
	})
	if o := r.up(); o.err == nil || !slices.Contains(o.order, "update control-planes") {
		t.Errorf("up ends with %v after %q", o.err, o.order)
	}
	r.failing(nil)
	if err := r.box.AWS.StopInstance("m2"); err != nil {
		t.Fatal(err)
	}
	if o := r.up(); o.err == nil || slices.Contains(o.order, "update m3") {
		t.Errorf("up ends with %v after %q", o.err, o.order)
	}
}

// TestARemovalThatFailsIsFinished fails the step that takes control planes out of the cluster. It may have removed a
// part of them, so the settings of before are refused with any generation, and those of the removal go on.
func TestARemovalThatFailsIsFinished(t *testing.T) {
	one := func() map[string]any {
		settings := threeControlPlanes(nil)
		nodes := settings["kubeadm-aws:nodes"].([]any)
		settings["kubeadm-aws:nodes"] = slices.Concat(nodes[1:2], nodes[3:])
		return settings
	}
	r := simulate(t, "dev", threeControlPlanes(nil))
	r.up().must(t)
	r.set(one())
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "update" && strings.HasSuffix(op.URN, "::m1-init") {
			return errInjected
		}
		return nil
	})
	o := r.up()
	if o.err == nil {
		t.Fatal("up succeeds")
	}
	inTurn(t, o.order, "update control-planes", "update m1-init")
	r.failing(nil)
	r.mustRefuse(t, generation("m2", "m3"), "kubeadm-aws:nodes", "kubeadm-aws:nodes[0].generation",
		"kubeadm-aws:nodes[2].generation")
	r.mustRefuse(t, threeControlPlanes(nil), "kubeadm-aws:nodes")
	r.set(one())
	o = r.up().must(t)
	inTurn(t, o.order, "update m1-init", "delete m3")
	r.up().mustNotChange(t)
	r.set(threeControlPlanes(nil))
	inTurn(t, r.up().must(t).order, "update control-planes", "create m2-join", "create m3-join")
	r.up().mustNotChange(t)

	// One that stays does not serve: nothing leaves, and the settings of before may come back.
	if err := r.box.AWS.StopInstance("m1"); err != nil {
		t.Fatal(err)
	}
	r.set(one())
	if o := r.up(); o.err == nil || slices.Contains(o.order, "update m1-init") {
		t.Errorf("up ends with %v after %q", o.err, o.order)
	}
	r.set(threeControlPlanes(nil))
	r.preview().mustNotChange(t)
}

// forget takes a step out of the state, as if an older program had brought up the stack.
func (r *simulation) forget(name string) {
	r.t.Helper()
	state := r.deployment()
	before := len(state.Resources)
	state.Resources = slices.DeleteFunc(state.Resources,
		func(res apitype.ResourceV3) bool { return res.URN.Name() == name })
	if len(state.Resources) != before-1 {
		r.t.Fatalf("the state has no %s", name)
	}
	for i := range state.Resources {
		res := &state.Resources[i]
		res.Dependencies = slices.DeleteFunc(res.Dependencies, func(urn resource.URN) bool { return urn.Name() == name })
	}
	r.believe(state)
}
