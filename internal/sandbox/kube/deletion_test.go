package kube

import (
	"testing"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
	"kubeadm-aws/internal/sandbox/store"
)

var (
	alb      = props.Map{"spec": map[string]any{"ingressClassName": "alb"}}
	balanced = props.Map{"spec": map[string]any{"type": "LoadBalancer"}}
)

// Each case deletes an object while a controller is dead, and names what is then left in the cluster and in AWS.
func TestWhatADeletionLeaves(t *testing.T) {
	for _, c := range []struct {
		kind string
		in   props.Map
		dead string
		left []string
		wait string
	}{
		{kind: "Ingress", in: alb},
		{kind: "Ingress", in: alb, dead: loadBalancerChart, left: []string{"Ingress", "balancer"},
			wait: "aws-load-balancer-controller are not running"},
		{kind: "Service", in: balanced},
		{kind: "Service", in: balanced, dead: loadBalancerChart, left: []string{"Service", "balancer"},
			wait: "aws-load-balancer-controller"},
		{kind: "RabbitmqCluster"},
		{kind: "RabbitmqCluster", dead: rabbitChart, left: []string{"RabbitmqCluster", claimKind, "volume"},
			wait: "its finalizer waits for rabbitmq-cluster-operator"},
		{kind: "RabbitmqCluster", dead: csiChart, left: []string{"volume"}},
		{kind: "Cluster"},
		{kind: "Cluster", dead: postgresChart}, // has no finalizer
		{kind: "Database"},
		{kind: "Database", dead: postgresChart, left: []string{"Database"}, wait: "cloudnative-pg"},
		{kind: claimKind},
		{kind: claimKind, dead: csiChart, left: []string{"volume"}},
		{kind: "ConfigMap", dead: argoChart},
	} {
		t.Run(c.kind+" "+c.dead, func(t *testing.T) {
			u := newTestCluster(t)
			o := u.has(c.kind, "shop/it", c.in)
			if c.dead != "" {
				u.kill(c.dead)
			}
			err := u.delete(u.Find(o.Type, o.ID))
			if c.wait != "" {
				sandboxtest.WantError(t, err, c.wait)
			} else if err != nil {
				t.Error(err)
			}
			all := []string{c.kind, claimKind, "volume", "balancer"}
			if c.kind == claimKind {
				all = all[1:]
			}
			u.wantLeft(c.left, all...)
			if c.dead != "" {
				u.revive(c.dead) // it processes the changes that it missed
				u.wantLeft(nil, all...)
			}
		})
	}
}

// A controller adds its finalizer to the objects that it processes.
func TestAnObjectThatItsControllerNeverSaw(t *testing.T) {
	u := newTestCluster(t)
	u.kill(loadBalancerChart)
	if err := u.delete(u.has("Service", "shop/it", balanced)); err != nil {
		t.Error(err)
	}
	u.wantLeft(nil, "Service", "balancer")
}

func TestAnApplicationAndWhatItDeployed(t *testing.T) {
	for name, c := range map[string]struct {
		finalizers []any
		dead       bool
		left       []string
	}{
		"cascades":                       {finalizers: []any{"resources-finalizer.argocd.argoproj.io"}},
		"is forgotten without finalizer": {left: []string{"Ingress", "balancer"}},
		"waits for Argo CD": {finalizers: []any{"resources-finalizer.argocd.argoproj.io"}, dead: true,
			left: []string{"Application", "Ingress", "balancer"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newTestCluster(t)
			app := u.has("Application", "argocd/shop", props.Map{"spec": map[string]any{"ingress": "shop/web"}}, c.finalizers...)
			if err := u.admin.kubectl("Ingress", "shop", "web", alb, store.Key(app.Type, app.ID)); err != nil {
				t.Fatal(err)
			}
			if c.dead {
				u.kill(argoChart)
			}
			if err := u.delete(app); (err != nil) != c.dead {
				t.Errorf("error: %v", err)
			}
			u.wantLeft(c.left, "Application", "Ingress", "balancer")
		})
	}
}

// Argo CD creates objects again that others delete, as long as the Application exists.
func TestAnApplicationRestoresItsIngress(t *testing.T) {
	u := newTestCluster(t)
	if err := u.admin.ApplyIngressByArgo("shop", "web"); err != nil {
		t.Fatal(err)
	}
	if err := u.delete(u.Find("k8s/Ingress", "shop/web")); err != nil {
		t.Fatal(err)
	}
	u.reconcile() // Argo CD looks again
	u.wantLeft([]string{"Ingress", "balancer"}, "Ingress", "balancer")
}

func TestWhatKeepsANamespace(t *testing.T) {
	for name, c := range map[string]struct {
		dead []string
		off  bool
		wait string
	}{
		"nothing": {},
		"a finalizer in it": {dead: []string{loadBalancerChart},
			wait: "its finalizer waits for aws-load-balancer-controller"},
		"a dead part of the API": {dead: []string{"metrics-server"},
			wait: "the APIService of metrics-server does not answer"},
		"not one that has been uninstalled": {dead: []string{"metrics-server"}, off: true},
	} {
		t.Run(name, func(t *testing.T) {
			u := newTestCluster(t)
			u.has("Ingress", "shop/web", alb)
			u.has(claimKind, "shop/data", nil)
			u.kill(c.dead...)
			if c.off {
				if err := (helm{u.Cluster}).uninstall(u.release("metrics-server")); err != nil {
					t.Fatal(err)
				}
			}
			err := u.deleteNamespace(u.object("Namespace", "", "shop"))
			if c.wait != "" {
				sandboxtest.WantError(t, err, c.wait)
				if u.object("Namespace", "", "shop") == nil {
					t.Error("the namespace is gone all the same")
				}
				return
			}
			if err != nil || u.object("Namespace", "", "shop") != nil {
				t.Errorf("the namespace is still there: %v", err)
			}
			u.wantLeft(nil, "Ingress", claimKind, "volume", "balancer")
		})
	}
}

// The webhook of a dead controller blocks creates and updates of its objects. A deletion in the foreground updates
// the object; a deletion in the background does not.
func TestAWebhookWithoutItsServer(t *testing.T) {
	const issuer = "kubernetes:cert-manager.io/v1:ClusterIssuer"
	metadata := func(policy string) props.Map {
		annotations := map[string]any{}
		if policy != "" {
			annotations["pulumi.com/deletionPropagationPolicy"] = policy
		}
		return props.Map{"metadata": map[string]any{"name": "it" + policy, "annotations": annotations}}
	}
	u := newTestCluster(t)
	foreground, background := u.Make(issuer, "a", metadata("")), u.Make(issuer, "b", metadata("background"))
	u.kill("cert-manager")

	_, err := u.Try(issuer, "c", metadata("new"))
	sandboxtest.WantError(t, err, "failed calling webhook of cert-manager")
	_, err = u.Update(background, metadata("background"), false)
	sandboxtest.WantError(t, err, "failed calling webhook of cert-manager")
	sandboxtest.WantError(t, u.Client.Delete(foreground), "foregroundDeletion stays")
	if err := u.Client.Delete(background); err != nil {
		t.Error(err)
	}
	u.revive("cert-manager")
	if err := u.Client.Delete(foreground); err != nil {
		t.Error(err)
	}
	u.wantLeft(nil, "ClusterIssuer")
}

func TestAWebhookThatIsSwitchedOff(t *testing.T) {
	u := newTestCluster(t)
	u.kill(rabbitChart)
	sandboxtest.WantError(t, u.admit("RabbitmqCluster"), "failed calling webhook")
	u.Change(u.release(rabbitChart), func(in, _ props.Map) {
		in["values"] = map[string]any{"clusterOperator": map[string]any{"webhook": map[string]any{"enabled": false}}}
	})
	if err := u.admit("RabbitmqCluster"); err != nil {
		t.Error(err)
	}
}

// A custom resource of the program needs the definition that the program makes.
func TestAClassOfSnapshotsNeedsItsDefinition(t *testing.T) {
	const class = "kubernetes:snapshot.storage.k8s.io/v1:VolumeSnapshotClass"
	in := props.Map{"metadata": map[string]any{"name": "ebs"}, "driver": "ebs.csi.aws.com", "deletionPolicy": "Delete"}
	u := newTestCluster(t)
	_, err := u.Try(class, "snapshotclass-ebs", in)
	sandboxtest.WantError(t, err, `no matches for kind "VolumeSnapshotClass"`)
	u.Make("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "definition",
		props.Map{"metadata": map[string]any{"name": definitions["VolumeSnapshotClass"]}})
	u.Make(class, "snapshotclass-ebs", in)
}

// An object that is not in the state blocks a create, unless the provider may adopt it.
func TestAnObjectThatExists(t *testing.T) {
	const class = "kubernetes:storage.k8s.io/v1:StorageClass"
	in := props.Map{"metadata": map[string]any{"name": "gp3"}, "reclaimPolicy": retain}
	u := newTestCluster(t)
	_, err := u.Try(class, "lost", in)
	sandboxtest.WantError(t, err, "already exists")
	u.Configure("kubernetes", props.Map{"kubeconfig": "the cluster's", "upsertExistingObjects": true})
	u.Make(class, "lost", in)
	if got := (volumes{u.Cluster}).storageClass("gp3").Inputs.Str("reclaimPolicy"); got != retain {
		t.Errorf("the object was not taken over: its policy is %s", got)
	}
}

// A chart that is installed without its definitions needs those of the program.
func TestAChartWithoutItsDefinitions(t *testing.T) {
	u := newTestCluster(t)
	u.Change(u.release(rabbitChart), func(in, _ props.Map) { in["skipCrds"] = true })
	sandboxtest.WantError(t, u.defined("RabbitmqCluster"), "installed without its definitions")
	u.Make("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "rabbitmq", props.Map{
		"metadata": map[string]any{"name": "rabbitmqclusters.rabbitmq.com"},
		"spec":     map[string]any{"names": map[string]any{"kind": "RabbitmqCluster"}},
	})
	if err := u.defined("RabbitmqCluster"); err != nil {
		t.Error(err)
	}
}
