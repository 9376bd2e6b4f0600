package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/internal/sandbox"
)

// controllers are the charts whose pods a destroy needs: they remove finalizers, clean up in AWS, answer for objects
// as a webhook, or serve a part of the API.
var controllers = []string{
	"rabbitmq-cluster-operator", "cloudnative-pg", "aws-load-balancer-controller", "aws-ebs-csi-driver",
	"argo-cd", "cert-manager", "metrics-server", "kube-prometheus-stack",
}

func (r *simulation) kill(charts ...string) {
	r.t.Helper()
	for _, chart := range charts {
		if err := r.box.Cluster.KillController(chart); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestDestroyWithADeadController destroys a stack in one run, whichever controller is dead, with everything that
// users created.
func TestDestroyWithADeadController(t *testing.T) {
	base := running(t)
	base.users()
	for _, c := range controllers {
		t.Run(c, func(t *testing.T) {
			r := base.twin(t)
			r.kill(c)
			r.destroy().must(t) // the gate gives up, the sweep removes
			r.mustBeEmpty()
		})
	}
	t.Run("all of them", func(t *testing.T) {
		r := base.twin(t)
		r.kill(controllers...)
		r.destroy().must(t)
		r.mustBeEmpty()
	})
	t.Run("an operator that a user uninstalled", func(t *testing.T) {
		r := base.twin(t)
		r.first("rabbitmq-cluster-operator").must(t)
		r.destroy().must(t)
		r.mustBeEmpty()
	})
	t.Run("nothing would go by itself", func(t *testing.T) {
		r := base.twin(t)
		r.kill(controllers...)
		// Here its release happens to be deleted first, and with it the dead part of the API.
		metrics := named(t, r.deployment(), "metrics-server")
		r.failing(func(op sandbox.Operation) error {
			if op.Verb == "delete" && op.URN == metrics {
				return errInjected
			}
			return nil
		})
		r.edit(func(state *apitype.DeploymentV3) {
			for i, res := range state.Resources {
				if strings.HasPrefix(string(res.Type), "kubernetes:") {
					state.Resources[i].DeletedWith = ""
				}
			}
		})
		o := r.destroy(optdestroy.ContinueOnError())
		for _, want := range []string{
			"k8s/RabbitmqCluster data/rabbitmq to be gone: its finalizer waits for rabbitmq-cluster-operator",
			"k8s/Ingress argocd/argocd to be gone: its finalizer waits for aws-load-balancer-controller",
			"k8s/Application argocd/root to be gone: its finalizer waits for argo-cd",
			"k8s/Namespace /argo-rollouts to be gone: discovery failed: the APIService of metrics-server",
		} {
			if !strings.Contains(o.printed, want) {
				t.Errorf("the engine did not wait for %s:\n%s", want, tail(o.printed, 3000))
			}
		}
	})
}

// TestAnAddonThatIsSwitchedOff checks that the objects of a gate are removed with it although the controller is dead.
func TestAnAddonThatIsSwitchedOff(t *testing.T) {
	r := running(t)
	if made := r.box.Account("k8s/RabbitmqCluster"); len(made) != 1 {
		t.Fatalf("clusters: %v", made)
	}
	r.kill("rabbitmq-cluster-operator")
	addons := r.workspace.Settings["kubeadm-aws:addons"].(map[string]any)
	addons["rabbitmq"] = map[string]any{"enabled": false}
	r.up().must(t)
	for _, left := range slices.Concat(r.box.Account("k8s/RabbitmqCluster"), r.box.Account("k8s/PersistentVolumeClaim"),
		r.box.Account(typesInAWS["volume"])) {
		if strings.Contains(left, "rabbitmq") {
			t.Errorf("%s is left", left)
		}
	}
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
}

// TestAnObjectGoesWhileItsGateStays removes the domain. The Ingresses are removed, and the engine deletes them,
// because the gate of load balancers stays.
func TestAnObjectGoesWhileItsGateStays(t *testing.T) {
	settings := everything()
	settings["kubeadm-aws:dns"].(map[string]any)["createZone"] = false // a zone of the stack's own has to stay
	r := simulate(t, "dev", settings)
	r.up().must(t)
	begun := len(r.box.Operations())
	state := r.deployment()
	delete(r.workspace.Settings, "kubeadm-aws:dns")
	r.up().must(t)
	deleted := urns(r.box.Operations()[begun:], "delete")
	for _, name := range []string{"ingress-shared", "ingress-argocd", "ingress-grafana"} {
		if !slices.Contains(deleted, named(t, state, name)) {
			t.Errorf("%s was not deleted", name)
		}
	}
	if slices.Contains(deleted, named(t, state, "release-gate-load-balancers")) {
		t.Error("the gate was deleted")
	}
	if left := append(r.box.Account("k8s/Ingress"), r.box.Account(typesInAWS["loadBalancer"])...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestAnUpAfterADestroyThatStoppedAtItsGate finds objects that the state has dropped and the gate has not removed.
func TestAnUpAfterADestroyThatStoppedAtItsGate(t *testing.T) {
	settings := everything()
	// On destroy its definitions are dropped, not uninstalled, and Helm does not adopt an installed release.
	for _, name := range []string{"monitoring", "logging"} {
		settings["kubeadm-aws:addons"].(map[string]any)[name] = map[string]any{"enabled": false}
	}
	r := simulate(t, "dev", settings)
	r.up().must(t)
	gate := named(t, r.deployment(), "release-gate-rabbitmq")
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "delete" && op.URN == gate {
			return errInjected
		}
		return nil
	})
	if o := r.destroy(optdestroy.ContinueOnError()); o.err == nil {
		t.Fatal("destroy got past the gate")
	}
	r.failing(nil)
	if slices.ContainsFunc(r.resources(), func(res apitype.ResourceV3) bool { return res.URN.Name() == "rabbitmq" }) {
		t.Fatal("the cluster is still in the state")
	}
	if made := r.box.Account("k8s/RabbitmqCluster"); len(made) != 1 {
		t.Fatalf("clusters: %v", made)
	}
	r.up().must(t)
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	r.destroy().must(t)
	r.mustBeEmpty()
}

// TestDestroyOfAnObjectThatNeverGotReady stops the operator before it has processed its first cluster.
func TestDestroyOfAnObjectThatNeverGotReady(t *testing.T) {
	r := simulate(t, "dev", everything())
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "create" && strings.HasSuffix(op.Type, ":RabbitmqCluster") {
			r.kill("rabbitmq-cluster-operator")
		}
		return nil
	})
	if o := r.up(optup.ContinueOnError()); o.err == nil || !strings.Contains(o.printed, "timed out waiting to be ready") {
		t.Fatalf("the cluster became ready without its operator: %v", o.err)
	}
	r.failing(nil)
	r.destroy().must(t)
	r.mustBeEmpty()
}
