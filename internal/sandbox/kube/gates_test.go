package kube

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
	"kubeadm-aws/internal/sandbox/store"
)

func (u testCluster) gate(env map[string]string) gate {
	return gate{&step{env: env, Cluster: u.Cluster}}
}

// Every gate runs with its controller running and dead. In both cases the cluster no longer contains what the gate
// removes. What is left is in AWS.
func TestWhatAGateLeaves(t *testing.T) {
	for _, c := range []struct {
		subject, resources string
		removes            []string
		controller         string
		leavesWhenDead     []string
	}{
		{"load-balancers", "", []string{"Ingress", "Service"}, loadBalancerChart, []string{"balancer"}},
		{"volumes", "", []string{claimKind}, csiChart, []string{"volume"}},
		{"resources", "rabbitmqclusters.rabbitmq.com", []string{"RabbitmqCluster"}, rabbitChart, nil},
		{"resources", "databases.postgresql.cnpg.io clusters.postgresql.cnpg.io", []string{"Database", "Cluster"},
			postgresChart, nil},
		{"applications", "", []string{"Application"}, argoChart, []string{"balancer"}},
	} {
		for _, dead := range []bool{false, true} {
			name := strings.TrimSpace(c.subject + " " + c.resources)
			if dead {
				name += ", controller dead"
			}
			t.Run(name, func(t *testing.T) {
				u := newTestCluster(t)
				for _, kind := range c.removes {
					switch kind {
					case "Ingress":
						u.has(kind, "shop/it", alb)
					case "Service":
						u.has(kind, "shop/it", balanced)
					case "Application":
						if err := u.admin.ApplyIngressByArgo("shop", "it"); err != nil {
							t.Fatal(err)
						}
					default:
						u.has(kind, "shop/it", nil)
					}
				}
				if dead {
					u.kill(c.controller)
				}
				if _, err := u.gate(map[string]string{"RELEASE": c.subject, "RESOURCES": c.resources,
					"VOLUMES": "delete"}).release(); err != nil {
					t.Fatal(err)
				}
				u.wantLeft(nil, c.removes...)
				want := c.leavesWhenDead
				if !dead {
					want = nil
				}
				u.wantLeft(want, "volume", "balancer")
			})
		}
	}
}

// A gate touches only its own objects, not similar ones.
func TestAGateTouchesNothingElse(t *testing.T) {
	u := newTestCluster(t)
	u.has("Ingress", "shop/web", alb)
	u.has("Service", "shop/web", props.Map{"spec": map[string]any{"type": "ClusterIP"}})
	u.has(claimKind, "shop/data", nil)
	u.has("RabbitmqCluster", "shop/queue", nil)
	if _, err := u.gate(map[string]string{"RELEASE": "load-balancers"}).release(); err != nil {
		t.Fatal(err)
	}
	u.wantLeft([]string{"Service", claimKind, "RabbitmqCluster", "volume"}, "Ingress", "Service", claimKind,
		"RabbitmqCluster", "volume")
}

func TestWhatAGateRefuses(t *testing.T) {
	for want, env := range map[string]map[string]string{
		`release gate for "everything"`:   {"RELEASE": "everything"},
		`custom resource "widgets.a.com"`: {"RELEASE": "resources", "RESOURCES": "widgets.a.com"},
	} {
		u := newTestCluster(t)
		_, err := u.gate(env).release()
		sandboxtest.WantError(t, err, want)
	}
	u := newTestCluster(t)
	if err := u.admin.KillAPI(); err != nil {
		t.Fatal(err)
	}
	s := u.gate(map[string]string{"RELEASE": "volumes", "VOLUMES": "delete"})
	_, held := s.hold()
	_, released := s.release()
	sandboxtest.WantError(t, held, "the Kubernetes API does not answer")
	sandboxtest.WantError(t, released, "the Kubernetes API does not answer")
}

// The policy of a volume is that of its class until the gate changes it. It decides whether the volume outlives its
// claim.
func TestWhatBecomesOfVolumes(t *testing.T) {
	const deleting, keeping = "delete", "keep"
	for name, c := range map[string]struct {
		hold, release []string
		kept          []string
	}{
		"by class":                      {kept: []string{"archive"}},
		"held to be kept":               {hold: []string{keeping}, kept: []string{"archive", "data"}},
		"held to be kept, and then not": {hold: []string{keeping, deleting}, kept: []string{"archive"}},
		"released to be kept":           {release: []string{keeping}, kept: []string{"archive", "data"}},
		"released to be deleted":        {hold: []string{keeping}, release: []string{deleting}},
		"held and released to be kept": {hold: []string{keeping}, release: []string{keeping},
			kept: []string{"archive", "data"}},
		"held for deletion, own classes": {hold: []string{deleting}, kept: []string{"archive"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newTestCluster(t)
			u.class("slow", false, retain)
			u.has(claimKind, "shop/data", nil)
			owner := &store.Object{Type: "k8s/ConfigMap", ID: "shop/it"}
			volumes{u.Cluster}.claim(owner, "archive", "slow", false)
			u.reconcile()
			for _, volumes := range c.hold {
				if _, err := u.gate(map[string]string{"RELEASE": "volumes", "VOLUMES": volumes}).hold(); err != nil {
					t.Fatal(err)
				}
			}
			for _, volumes := range c.release {
				if _, err := u.gate(map[string]string{"RELEASE": "volumes", "VOLUMES": volumes}).release(); err != nil {
					t.Fatal(err)
				}
			}
			for _, claim := range u.All("k8s/" + claimKind) {
				if err := u.delete(claim); err != nil {
					t.Fatal(err)
				}
			}
			var kept []string
			for _, volume := range u.All(aws.VolumeType) {
				kept = append(kept, volume.Tags()["kubernetes.io/created-for/pvc/name"])
			}
			slices.Sort(kept)
			if !slices.Equal(kept, c.kept) {
				t.Errorf("kept: %v, want %v", kept, c.kept)
			}
		})
	}
}

// A release deletes the claims that belong to it, and leaves those of its StatefulSets unless a value changes that. A
// kept volume outlives both.
func TestClaimsOfReleases(t *testing.T) {
	valkey := func(more map[string]any) props.Map {
		replica := map[string]any{"enabled": true}
		for k, v := range more {
			replica[k] = v
		}
		return props.Map{"name": "valkey", "namespace": "default", "chart": "valkey", "skipAwait": true,
			"values": map[string]any{
				"dataStorage": map[string]any{"enabled": true}, "replica": replica,
			}}
	}
	goes := map[string]any{"persistentVolumeClaimRetentionPolicy": map[string]any{"whenDeleted": "Delete"}}
	for name, c := range map[string]struct {
		in     props.Map
		policy string
		left   []string
	}{
		"StatefulSet's claim stays":      {valkey(nil), reclaim, []string{claimKind, "volume"}},
		"StatefulSet's claim goes along": {valkey(goes), reclaim, nil},
		"volumes are kept":               {valkey(goes), retain, []string{"volume"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newTestCluster(t)
			u.class("gp3", true, c.policy)
			release := u.Make(releaseType, "valkey", c.in)
			if got := len(u.All(aws.VolumeType)); got != 2 {
				t.Fatalf("volumes: %d", got)
			}
			if err := u.Client.Delete(release); err != nil {
				t.Fatal(err)
			}
			u.wantLeft(c.left, claimKind, "volume")
		})
	}
}
