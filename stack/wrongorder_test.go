package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// lame disables the sweep, so that only the order of the destroy can prevent leaks.
func (r *simulation) lame() {
	r.t.Helper()
	r.edit(func(state *apitype.DeploymentV3) {
		sweep := named(r.t, state, "sweep")
		for i, res := range state.Resources {
			if string(res.URN) == sweep {
				delete(state.Resources[i].Inputs, "delete")
				delete(state.Resources[i].Outputs, "delete")
			}
		}
	})
}

// first deletes resources before everything that depends on them, as if there were no dependencies.
func (r *simulation) first(names ...string) outcome {
	r.t.Helper()
	var targets []string
	r.edit(func(state *apitype.DeploymentV3) {
		gone := map[resource.URN]bool{}
		for _, name := range names {
			urn := named(r.t, state, name)
			gone[resource.URN(urn)] = true
			targets = append(targets, urn)
		}
		dropped := func(urn resource.URN) bool { return gone[urn] }
		for i := range state.Resources {
			res := &state.Resources[i]
			res.Dependencies = slices.DeleteFunc(res.Dependencies, dropped)
			for key, list := range res.PropertyDependencies {
				res.PropertyDependencies[key] = slices.DeleteFunc(list, dropped)
			}
			if gone[res.DeletedWith] {
				res.DeletedWith = ""
			}
		}
	})
	return r.destroy(optdestroy.Target(targets))
}

// TestAWrongOrderLeaks reverses each critical dependency once. The sweep is disabled if it would hide the mistake.
func TestAWrongOrderLeaks(t *testing.T) {
	base := running(t)
	base.users()
	noSweep := base.twin(t)
	noSweep.lame()

	t.Run("right order without a sweep", func(t *testing.T) {
		r := noSweep.twin(t)
		r.destroy().must(t)
		r.mustBeEmpty()
	})
	// Each of these is deleted first of all.
	for _, c := range []struct {
		name  string
		first []string
	}{
		{"controller before the gate of load balancers", []string{"aws-load-balancer-controller"}},
		{"driver before the gate of volumes", []string{"aws-ebs-csi-driver"}},
		{"load balancers before GitOps that restores them",
			[]string{"release-gate-load-balancers", "aws-load-balancer-controller"}},
		{"permission before the controller", []string{"control-plane-load-balancers"}},
		{"permission before the driver", []string{"control-plane-volumes"}},
		{"way to the internet before the controllers", []string{"route internet"}},
		{"control plane before the controllers", []string{"master"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := noSweep.twin(t)
			r.first(c.first...).must(t)
			r.mustLeak()
		})
	}
	t.Run("sweep before the machines", func(t *testing.T) {
		r := base.twin(t)
		// A running machine may use what the sweep finds, and controllers may create more after it.
		if o := r.first("sweep"); o.err == nil || !strings.Contains(o.err.Error(), "are not terminated") {
			t.Errorf("the sweep does not refuse: %v", o.err)
		}
	})
	t.Run("network before the sweep", func(t *testing.T) {
		r := noSweep.twin(t)
		if err := r.box.Cluster.KillController("aws-load-balancer-controller"); err != nil {
			t.Fatal(err)
		}
		r.mustLeak()
	})
}

// mustLeak destroys the rest and requires the mistake to be found.
func (r *simulation) mustLeak() {
	r.t.Helper()
	o := r.destroy(optdestroy.ContinueOnError())
	left := r.box.Leftovers()
	if o.err == nil && len(left) == 0 {
		r.t.Error("the destroy succeeded and left nothing: the mistake was not found")
	}
	if len(left) == 0 {
		r.t.Error("destroy failed, but nothing is left")
	}
	r.t.Logf("engine's error: %v; left: %d, such as %.100s", o.err != nil, len(left), strings.Join(left, ", "))
}
