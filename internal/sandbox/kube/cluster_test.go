package kube

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
	"kubeadm-aws/internal/sandbox/store"
)

// testCluster is a cluster of one control plane, with every controller that removes finalizers or cleans up in AWS.
type testCluster struct {
	*sandboxtest.Client
	*Cluster
	admin Admin
}

const controlPlane = "i-master"

func newTestCluster(t *testing.T) testCluster {
	t.Helper()
	objects, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	account := aws.NewAccount(objects, "")
	cluster := NewCluster(account)
	c := sandboxtest.New(t, map[string]engine.Provider{
		"aws": &aws.Provider{Account: account}, "kubernetes": NewProvider(cluster, nil),
	})
	n := c.Network()
	c.Configure("kubernetes", props.Map{"kubeconfig": "the cluster's"})
	u := testCluster{c, cluster, NewAdmin(cluster)}
	u.Put(&store.Object{
		Type: aws.InstanceType, ID: controlPlane,
		State: props.Map{"publicIp": "198.51.100.7", "privateIp": "10.0.1.7", "availabilityZone": "eu-central-1a"},
		Inputs: props.Map{
			"subnetId": n.Subnet.ID, "vpcSecurityGroupIds": []any{n.Group.ID}, "iamInstanceProfile": "profile",
			"tags": map[string]any{aws.ClusterTag + "dev": "owned"},
		},
	})
	u.Put(&store.Object{Type: aws.ProfileType, ID: "profile", Inputs: props.Map{"name": "profile", "role": "role"}})
	u.Put(&store.Object{Type: "aws:iam/rolePolicy:RolePolicy", ID: "all", Inputs: props.Map{
		"role": "role", "policy": `{"Statement":[{"Effect":"Allow","Action":["ec2:*","elasticloadbalancing:*"]}]}`,
	}})
	u.Put(&store.Object{Type: clusterType, ID: "cluster", State: props.Map{"controlPlane": controlPlane}})
	for _, chart := range []string{csiChart, loadBalancerChart, rabbitChart, postgresChart, argoChart, "cert-manager",
		"metrics-server"} {
		u.Put(&store.Object{Type: "k8s/" + releaseKind, ID: "system/" + chart, Inputs: props.Map{"chart": chart},
			State: props.Map{}})
	}
	u.class("gp3", true, reclaim)
	return u
}

func (u testCluster) class(name string, isDefault bool, policy string) {
	annotations := map[string]any{}
	if isDefault {
		annotations["storageclass.kubernetes.io/is-default-class"] = "true"
	}
	u.Put(&store.Object{Type: "k8s/StorageClass", ID: "/" + name, Inputs: props.Map{
		"metadata": map[string]any{"name": name, "annotations": annotations}, "reclaimPolicy": policy,
	}, State: props.Map{}})
}

// has creates an object as a user would, with these finalizers.
func (u testCluster) has(kind, id string, in props.Map, finalizers ...any) *store.Object {
	u.T.Helper()
	namespace, name, _ := strings.Cut(id, "/")
	in = maps.Clone(in)
	if in == nil {
		in = props.Map{}
	}
	in["metadata"] = map[string]any{"name": name, "namespace": namespace, "finalizers": finalizers}
	if err := u.admin.kubectl(kind, namespace, name, in, ""); err != nil {
		u.T.Fatal(err)
	}
	return u.Find("k8s/"+kind, id)
}

func (u testCluster) kill(charts ...string) {
	u.T.Helper()
	for _, chart := range charts {
		if err := u.admin.KillController(chart); err != nil {
			u.T.Fatal(err)
		}
	}
}

func (u testCluster) revive(chart string) {
	u.T.Helper()
	if err := u.admin.ReviveController(chart); err != nil {
		u.T.Fatal(err)
	}
}

// left lists what exists of these types: "volume" and "balancer" in AWS, or kinds in the cluster.
func (u testCluster) left(kinds ...string) []string {
	types := map[string][]string{
		"volume": {aws.VolumeType}, "balancer": {aws.LoadBalancerType, aws.TargetGroupType},
	}
	var out []string
	for _, kind := range kinds {
		list, inAWS := types[kind]
		if !inAWS {
			list = []string{"k8s/" + kind}
		}
		for _, typ := range list {
			for range u.All(typ) {
				out = append(out, kind)
			}
		}
	}
	// Groups and rules that a controller made have no URN.
	for range u.Where(func(o *store.Object) bool {
		return o.URN == "" && (o.Type == aws.GroupType || o.Type == aws.IngressRuleType)
	}) {
		if slices.Contains(kinds, "balancer") {
			out = append(out, "balancer")
		}
	}
	return slices.Compact(out)
}

func (u testCluster) wantLeft(want []string, kinds ...string) {
	u.T.Helper()
	if got := u.left(kinds...); !slices.Equal(got, want) {
		u.T.Errorf("left: %v, want %v", got, want)
	}
}

// As with the real provider, other data replaces a Secret or a ConfigMap unless the provider may change it.
func TestDataReplacesWithoutItsFlag(t *testing.T) {
	for kind, flag := range map[string]string{"Secret": "enableSecretMutable", "ConfigMap": "enableConfigMapMutable"} {
		u := newTestCluster(t)
		in := func(value string) props.Map {
			return props.Map{"metadata": map[string]any{"name": "it", "namespace": "default"},
				"data": map[string]any{"key": value}}
		}
		made := u.Make("kubernetes:core/v1:"+kind, "it", in("1"))
		if got := u.Diff(made, in("2")).Replaces; !slices.Equal(got, []string{"data"}) {
			t.Errorf("%s: replaced by %v", kind, got)
		}
		u.Configure("kubernetes", props.Map{"kubeconfig": "the cluster's", flag: true})
		if got := u.Diff(made, in("2")).Replaces; len(got) > 0 {
			t.Errorf("%s: replaced by %v although it may be changed", kind, got)
		}
	}
}
