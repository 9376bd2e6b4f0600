package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"kubeadm-aws/sandbox"
)

// running is a complete dev stack whose destroy keeps nothing. It is the template of the tests below, which copy it.
func running(t *testing.T) *rehearsal {
	r := rehearse(t, "dev", map[string]any{"kubeadm-aws:backup.keepBucket": false})
	r.up().must(t)
	return r
}

// twin is a copy of the account and the state, for a test that goes its own way from here.
func (r *rehearsal) twin(t *testing.T) *rehearsal {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(r.workspace.Dir)); err != nil {
		t.Fatal(err)
	}
	twin := &rehearsal{t: t, workspace: r.workspace}
	twin.workspace.Dir, twin.workspace.Settings = dir, maps.Clone(r.workspace.Settings)
	twin.start()
	t.Cleanup(func() { twin.box.Close() })
	return twin
}

// users is what people and GitOps make in the cluster, each with something in AWS behind it.
func (r *rehearsal) users() {
	r.t.Helper()
	for _, err := range []error{
		r.box.CreateIngress("shop", "web"),
		r.box.CreateLoadBalancerService("shop", "mail"),
		r.box.CreatePVC("shop", "data"),
		r.box.ApplyIngressByArgo("blog", "front"),
	} {
		if err != nil {
			r.t.Fatal(err)
		}
	}
	if balancers, volumes := r.made("loadBalancer"), r.made("volume"); balancers != 3 || volumes < 1 {
		r.t.Fatalf("controllers made %d load balancers and %d volumes for the users", balancers, volumes)
	}
}

var typesInAWS = map[string]string{"loadBalancer": "aws:lb/loadBalancer:LoadBalancer", "volume": "aws:ebs/volume:Volume"}

func (r *rehearsal) made(what string) int { return len(r.box.Account(typesInAWS[what])) }

// TestDestroyOfWhatOthersMade is the ordinary end of a stack that was used.
func TestDestroyOfWhatOthersMade(t *testing.T) {
	r := running(t)
	r.users()
	begun := len(r.box.Operations())
	state := r.deployment()
	r.destroy().must(t)
	r.mustBeEmpty()
	t.Run("order", func(t *testing.T) { checkOrder(t, state, r.box.Operations()[begun:]) })
}

// order lists what must be gone before what: by cause, each with the leak that follows when it is not so.
var order = [][2]string{
	{"release-gate-applications", "argo-cd"},
	{"release-gate-applications", "release-gate-load-balancers"},
	{"release-gate-applications", "release-gate-volumes"},
	{"release-gate-applications", "release-gate-rabbitmq"},
	{"release-gate-load-balancers", "aws-load-balancer-controller"},
	{"release-gate-volumes", "aws-ebs-csi-driver"},
	{"release-gate-rabbitmq", "rabbitmq-cluster-operator"},
	{"release-gate-rabbitmq", "release-gate-volumes"},
	{"rabbitmq", "rabbitmq-cluster-operator"},
	{"rabbitmq", "release-gate-volumes"},
	{"kube-prometheus-stack", "release-gate-volumes"},
	{"valkey", "release-gate-volumes"},
	{"argo-cd", "master"},
	{"aws-load-balancer-controller", "master"},
	{"aws-ebs-csi-driver", "master"},
	{"rabbitmq-cluster-operator", "master"},
	{"aws-load-balancer-controller", "worker-1"},
	{"aws-load-balancer-controller", "control-plane-load-balancers"},
	{"aws-ebs-csi-driver", "control-plane-volumes"},
	{"aws-load-balancer-controller", "route internet"},
	{"aws-ebs-csi-driver", "route internet"},
	{"master", "sweep"},
	{"worker-1", "sweep"},
	{"worker-2", "sweep"},
	{"storage", "sweep"},
	{"sweep", "route internet"},
	{"sweep", "nodes-node-ports-from-load-balancer"},
	{"sweep", "vpc"},
}

// checkOrder compares what was deleted with the order, and looks for the reason in the dependencies: without a path the
// order of this run was luck.
func checkOrder(t *testing.T, state *apitype.DeploymentV3, operations []sandbox.Operation) {
	deleted := map[string]int{}
	for _, op := range operations {
		if op.Verb == "delete" {
			deleted[op.URN] = op.Seq
		}
	}
	needs := map[string][]string{}
	for _, res := range state.Resources {
		urn := string(res.URN)
		for _, list := range append(slices.Collect(maps.Values(res.PropertyDependencies)), res.Dependencies) {
			for _, need := range list {
				needs[urn] = append(needs[urn], string(need))
			}
		}
		if at := strings.LastIndex(res.Provider, "::"); at > 0 { // behind it is the provider's id
			needs[urn] = append(needs[urn], res.Provider[:at])
		}
	}
	for _, pair := range order {
		before, after := named(t, state, pair[0]), named(t, state, pair[1])
		if deleted[before] == 0 || deleted[after] == 0 {
			t.Errorf("%s or %s was not deleted", pair[0], pair[1])
			continue
		}
		if deleted[before] > deleted[after] {
			t.Errorf("%s was deleted after %s", pair[0], pair[1])
		}
		if !reaches(needs, before, after, map[string]bool{}) {
			t.Errorf("nothing but luck deletes %s before %s", pair[0], pair[1])
		}
	}
}

func reaches(needs map[string][]string, from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(needs[from], func(next string) bool { return reaches(needs, next, to, seen) })
}

// named finds a resource by its name. Where several have it, it is the one that matters: an instance, an object of the
// cluster, or "route" and the name.
func named(t testing.TB, state *apitype.DeploymentV3, name string) string {
	t.Helper()
	name, route := strings.CutPrefix(name, "route ")
	best, rank := "", -1
	for _, res := range state.Resources {
		if !res.Custom || res.URN.Name() != name {
			continue
		}
		typ := string(res.Type)
		here := 0
		switch {
		case strings.HasPrefix(typ, "pulumi:providers:"):
			continue
		case route && typ == "aws:ec2/route:Route", typ == "aws:ec2/instance:Instance", strings.HasPrefix(typ, "kubernetes:"):
			here = 1
		}
		if here > rank {
			best, rank = string(res.URN), here
		}
	}
	if best == "" {
		t.Fatalf("the state has no %s", name)
	}
	return best
}

// TestADestroyThatFailsAnywhereEnds lets the first delete of every resource fail once and runs destroy until it succeeds.
func TestADestroyThatFailsAnywhereEnds(t *testing.T) {
	calm := running(t)
	r := calm.twin(t)
	calm.destroy().must(t)
	want := urns(calm.box.Operations(), "delete")

	r.users()
	failed := map[string]bool{}
	r.failing(func(op sandbox.Operation) error {
		if op.Verb != "delete" || failed[op.URN] {
			return nil
		}
		failed[op.URN] = true
		return fmt.Errorf("injected failure of %s", op.URN)
	})
	runs := 0
	for done := false; !done; runs++ {
		if runs > len(want) {
			t.Fatalf("destroy does not end after %d runs:\n%s", runs, tail(r.log.String(), 3000))
		}
		done = r.destroy(optdestroy.ContinueOnError()).err == nil
	}
	count := 0
	for _, urn := range want {
		if failed[urn] {
			count++
		} else {
			t.Errorf("%s was never tried", urn)
		}
	}
	t.Logf("%d of %d deletes failed once; %d runs until nothing was left", count, len(want), runs)
	r.mustBeEmpty()
}

// deployment is the state, with all secrets in plain text.
func (r *rehearsal) deployment() *apitype.DeploymentV3 {
	r.t.Helper()
	_, plain := r.state()
	var envelope apitype.UntypedDeployment
	if err := json.Unmarshal(plain, &envelope); err != nil {
		r.t.Fatal(err)
	}
	state := &apitype.DeploymentV3{}
	if err := json.Unmarshal(envelope.Deployment, state); err != nil {
		r.t.Fatal(err)
	}
	return state
}

// believe replaces the state.
func (r *rehearsal) believe(state *apitype.DeploymentV3) {
	r.t.Helper()
	inner, err := json.Marshal(state)
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := r.workspace.Open(context.Background(), r.box)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := s.Import(context.Background(), apitype.UntypedDeployment{Version: 3, Deployment: inner}); err != nil {
		r.t.Fatal(err)
	}
}

// edit changes the state.
func (r *rehearsal) edit(change func(state *apitype.DeploymentV3)) {
	r.t.Helper()
	state := r.deployment()
	change(state)
	r.believe(state)
}

// lame takes its work away from the sweep, so that only the order of the destroy is left to prevent leaks.
func (r *rehearsal) lame() {
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

// first deletes resources before everything that depends on them, as if nothing did.
func (r *rehearsal) first(names ...string) outcome {
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

// TestAWrongOrderLeaks turns each critical dependency around, once. The sweep is lame where it would hide the mistake.
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
		{"operator before its custom resource", []string{"rabbitmq-cluster-operator"}},
		{"load balancers before GitOps that restores them", []string{"release-gate-load-balancers", "aws-load-balancer-controller"}},
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
		// Whatever lives may use what the sweep finds, and make more after it.
		if o := r.first("sweep"); o.err == nil || !strings.Contains(o.err.Error(), "are not terminated") {
			t.Errorf("the sweep does not refuse: %v", o.err)
		}
	})
	t.Run("network before the sweep", func(t *testing.T) {
		r := noSweep.twin(t)
		if err := r.box.KillController("aws-load-balancer-controller"); err != nil {
			t.Fatal(err)
		}
		r.mustLeak()
	})
}

// mustLeak destroys the rest and wants the mistake to be seen.
func (r *rehearsal) mustLeak() {
	r.t.Helper()
	o := r.destroy(optdestroy.ContinueOnError())
	left := r.box.Leftovers()
	if o.err == nil && len(left) == 0 {
		r.t.Error("nobody noticed")
	}
	if len(left) == 0 {
		r.t.Error("destroy failed, but nothing is left")
	}
	r.t.Logf("engine's error: %v; left: %d, such as %.100s", o.err != nil, len(left), strings.Join(left, ", "))
}

// TestDestroyAfterAccidents is destroy of a stack that something happened to.
func TestDestroyAfterAccidents(t *testing.T) {
	base := running(t)
	base.users()
	for _, chart := range []string{"aws-load-balancer-controller", "aws-ebs-csi-driver", "argo-cd"} {
		t.Run(chart+" is down", func(t *testing.T) {
			r := base.twin(t)
			if err := r.box.KillController(chart); err != nil {
				t.Fatal(err)
			}
			r.destroy().must(t) // the gate gives up, the sweep removes
			r.mustBeEmpty()
		})
	}
	t.Run("the Kubernetes API is dead", func(t *testing.T) {
		r := base.twin(t)
		if err := r.box.KillAPI(); err != nil {
			t.Fatal(err)
		}
		o := r.destroy()
		if o.err == nil || !strings.Contains(o.printed, "the Kubernetes API does not answer") {
			t.Fatalf("destroy says nothing of the dead API:\n%s", tail(o.printed, 2000))
		}
		if err := r.box.ReviveAPI(); err != nil {
			t.Fatal(err)
		}
		r.destroy().must(t)
		r.mustBeEmpty()
	})
	t.Run("a worker was terminated by hand", func(t *testing.T) {
		r := base.twin(t)
		if err := r.box.TerminateInstance("worker-1"); err != nil {
			t.Fatal(err)
		}
		r.destroy().must(t)
		r.mustBeEmpty()
	})
	t.Run("the state is older than the account", func(t *testing.T) {
		r := base.twin(t)
		// As after a kill: what a run deleted is still in the state. First with the cluster alive, then with it gone.
		for _, stop := range []string{"aws:ec2/eipAssociation:EipAssociation", "aws:ec2/vpc:Vpc"} {
			before := r.deployment()
			reached := false
			r.failing(func(op sandbox.Operation) error {
				if op.Verb == "delete" && op.Type == stop {
					reached = true
					return fmt.Errorf("injected failure of %s", op.URN)
				}
				return nil
			})
			r.destroy()
			if !reached {
				t.Fatalf("destroy does not come to %s", stop)
			}
			r.believe(before)
			reached = false
			if r.destroy(); !reached { // all that comes before is gone already
				t.Fatalf("with an older state, destroy does not come to %s:\n%s", stop, tail(r.log.String(), 2000))
			}
		}
		r.failing(nil)
		r.destroy().must(t)
		r.mustBeEmpty()
	})
}

// TestVolumesThatAreKept wants the users' data to stay, and nothing else.
func TestVolumesThatAreKept(t *testing.T) {
	r := rehearse(t, "dev", map[string]any{"kubeadm-aws:backup.keepBucket": false, "kubeadm-aws:protection.volumes": "keep"})
	r.up().must(t)
	r.users()
	var mine []string
	for _, volume := range r.box.Account(typesInAWS["volume"]) {
		if strings.Contains(volume, "-dynamic-data)") {
			mine = append(mine, volume)
		}
	}
	if len(mine) != 1 {
		t.Fatalf("the user has %d volumes", len(mine))
	}
	r.destroy().must(t)
	left := r.box.Leftovers()
	if !slices.Contains(left, mine[0]) {
		t.Errorf("%s is gone", mine[0])
	}
	for _, line := range left {
		if !strings.HasPrefix(line, typesInAWS["volume"]) {
			t.Errorf("%s is left", line)
		}
	}
}
