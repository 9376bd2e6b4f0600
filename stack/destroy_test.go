package stack_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/internal/sandbox"
)

// everything enables all add-ons, a domain and GitOps, for a stack whose destroy keeps nothing.
func everything() map[string]any {
	return map[string]any{
		"kubeadm-aws:backup": map[string]any{"keepBucket": false},
		"kubeadm-aws:dns": map[string]any{
			"domain": "dev.example.com", "createZone": true, "ingressHosts": []any{"app.dev.example.com"},
		},
		"kubeadm-aws:addons": map[string]any{
			"logging": map[string]any{"enabled": true}, "postgresql": map[string]any{"enabled": true},
			"argocd": map[string]any{"repoUrl": "https://github.com/example/platform.git"},
			"acme":   map[string]any{"email": "platform@example.com"},
		},
	}
}

// running is such a stack after up. The tests of destroy copy it.
func running(t *testing.T) *simulation {
	r := simulate(t, "dev", everything())
	r.up().must(t)
	return r
}

// twin returns a copy of the account and the state, for a test that continues separately.
func (r *simulation) twin(t *testing.T) *simulation {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(r.workspace.Dir)); err != nil {
		t.Fatal(err)
	}
	twin := &simulation{t: t, workspace: r.workspace}
	twin.workspace.Dir, twin.workspace.Settings = dir, maps.Clone(r.workspace.Settings)
	twin.start()
	t.Cleanup(func() { twin.box.Close() })
	return twin
}

// users are the objects that people and GitOps create in the cluster, each with a resource in AWS.
func (r *simulation) users() {
	r.t.Helper()
	for _, err := range []error{
		r.box.Cluster.CreateIngress("shop", "web"),
		r.box.Cluster.CreateLoadBalancerService("shop", "mail"),
		r.box.Cluster.CreatePVC("shop", "data"),
		r.box.Cluster.ApplyIngressByArgo("blog", "front"),
	} {
		if err != nil {
			r.t.Fatal(err)
		}
	}
	if balancers, volumes := r.made("loadBalancer"), r.made("volume"); balancers < 3 || volumes < 1 {
		r.t.Fatalf("controllers made %d load balancers and %d volumes for the users", balancers, volumes)
	}
}

var typesInAWS = map[string]string{"loadBalancer": "aws:lb/loadBalancer:LoadBalancer",
	"volume": "aws:ebs/volume:Volume"}

func (r *simulation) made(what string) int { return len(r.box.Account(typesInAWS[what])) }

// TestDestroyOfWhatOthersMade destroys a stack that was used normally.
func TestDestroyOfWhatOthersMade(t *testing.T) {
	r := running(t)
	r.users()
	begun := len(r.box.Operations())
	state := r.deployment()
	r.destroy().must(t)
	r.mustBeEmpty()
	t.Run("order", func(t *testing.T) { checkOrder(t, state, r.box.Operations()[begun:]) })
}

// order lists what must be deleted before what: by cause, each with the leak that a wrong order causes.
var order = [][2]string{
	{"release-gate-applications", "argo-cd"},
	{"release-gate-applications", "release-gate-load-balancers"},
	{"release-gate-applications", "release-gate-volumes"},
	{"release-gate-applications", "release-gate-rabbitmq"},
	{"release-gate-load-balancers", "aws-load-balancer-controller"},
	{"release-gate-volumes", "aws-ebs-csi-driver"},
	{"release-gate-volumes", "snapshot-controller"},
	{"release-gate-rabbitmq", "rabbitmq-cluster-operator"},
	{"release-gate-rabbitmq", "release-gate-volumes"},
	{"release-gate-postgresql", "cloudnative-pg"},
	{"release-gate-postgresql", "release-gate-volumes"},
	{"kube-prometheus-stack", "release-gate-volumes"},
	{"valkey", "release-gate-volumes"},
	{"loki", "release-gate-volumes"},
	{"argocd.dev.example.com", "release-gate-load-balancers"},
	{"argo-cd", "master"},
	{"aws-load-balancer-controller", "master"},
	{"aws-ebs-csi-driver", "master"},
	{"rabbitmq-cluster-operator", "master"},
	{"aws-load-balancer-controller", "worker-1"},
	{"aws-load-balancer-controller", "control-plane-load-balancers"},
	{"aws-ebs-csi-driver", "control-plane-volumes"},
	{"aws-load-balancer-controller", "route internet"},
	{"aws-ebs-csi-driver", "route internet"},
	{"master", "ca"},
	{"master", "front-proxy-ca"},
	{"master", "etcd-ca"},
	{"master", "service-account"},
	{"master", "encryption-at-rest"},
	{"worker-1", "ca"},
	{"master", "sweep"},
	{"worker-1", "sweep"},
	{"worker-2", "sweep"},
	{"storage", "sweep"},
	{"sweep", "route internet"},
	{"sweep", "nodes-node-ports-from-load-balancer"},
	{"sweep", "vpc"},
}

// checkOrder compares the deletions with the order, and searches the dependencies for the reason. Without a path of
// dependencies, the order of this run was luck.
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
		if at := strings.LastIndex(res.Provider, "::"); at > 0 { // the provider's id follows
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

// named finds a resource by its name. If several resources have it, it returns the relevant one: an instance, an
// object of the cluster, or "route" and the name.
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
