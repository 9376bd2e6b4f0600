package sandbox

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
	"kubeadm-aws/internal/sandbox/store"
)

// oneRule is a security group that one office may reach.
func oneRule(ctx *pulumi.Context) error {
	provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("eu-central-1")})
	if err != nil {
		return err
	}
	network, err := ec2.NewVpc(ctx, "vpc", &ec2.VpcArgs{CidrBlock: pulumi.String("10.0.0.0/16")}, pulumi.Provider(provider))
	if err != nil {
		return err
	}
	group, err := ec2.NewSecurityGroup(ctx, "nodes", &ec2.SecurityGroupArgs{VpcId: network.ID()}, pulumi.Provider(provider))
	if err != nil {
		return err
	}
	_, err = vpc.NewSecurityGroupIngressRule(ctx, "ssh", &vpc.SecurityGroupIngressRuleArgs{
		SecurityGroupId: group.ID(), IpProtocol: pulumi.String("tcp"), FromPort: pulumi.Int(22), ToPort: pulumi.Int(22),
		CidrIpv4: pulumi.String("203.0.113.7/32"),
	}, pulumi.Provider(provider))
	return err
}

// A rule that was opened to the internet from outside is found by a refresh and closed by the next up.
func TestARuleThatWasOpenedIsSeen(t *testing.T) {
	s := start(t, Options{Dir: t.TempDir()})
	stack, ctx := stackOf(t, s, oneRule), context.Background()
	if _, err := stack.Up(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.Preview(ctx, optpreview.ExpectNoChanges()); err != nil {
		t.Errorf("a refresh without a change in the account leaves a plan: %v", err)
	}
	if err := s.AWS.ChangeInput(ingressRuleType, "ssh", "cidrIpv4", "0.0.0.0/0"); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.Preview(ctx, optpreview.ExpectNoChanges()); err == nil {
		t.Error("the plan is empty although the rule is open to the world")
	}
	for range 2 { // the second time nothing is left to change
		if _, err := stack.Up(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stack.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.Preview(ctx, optpreview.ExpectNoChanges()); err != nil {
		t.Errorf("up did not close the rule: %v", err)
	}
}

// A stopped worker has no public address; without ignoreChanges the next plan replaces it.
func TestAStoppedInstanceIsReadAsAWSShowsIt(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	worker := c.Instance(n, "worker", props.Map{"associatePublicIpAddress": true})
	if err := c.s.AWS.StopInstance("worker"); err != nil {
		t.Fatal(err)
	}
	stopped := c.Refreshed(worker)
	if got := props.FromSDK(stopped.Outputs, false); got.Str("publicIp") != "" || got.Str("instanceState") != "stopped" {
		t.Errorf("a stopped instance is read with %v, %v", got["publicIp"], got["instanceState"])
	}
	d := c.Diff(stopped, props.FromSDK(worker.Inputs, false))
	if !slices.Contains(d.Replaces, "associatePublicIpAddress") {
		t.Errorf("replaces %v: the provider would replace the instance", d.Replaces)
	}
	ignoring, err := c.Server(instanceType).Diff(t.Context(), &pulumirpc.DiffRequest{
		Urn: sandboxtest.URN(worker.Type, worker.Name), Id: worker.ID, News: c.Marshal(worker.Inputs),
		OldInputs: c.Marshal(stopped.Inputs), Olds: c.Marshal(stopped.Outputs), IgnoreChanges: []string{"associatePublicIpAddress"},
	})
	if err != nil || len(ignoring.Replaces) > 0 {
		t.Errorf("replaces %v although the change is ignored (%v)", ignoring.Replaces, err)
	}
	if err := c.s.AWS.StartInstance("worker"); err != nil {
		t.Fatal(err)
	}
	if got := c.Refreshed(worker).Inputs["associatePublicIpAddress"]; !got.DeepEquals(resource.NewProperty(true)) {
		t.Errorf("a started instance is read with associatePublicIpAddress %v", got)
	}
}

// GuardDuty's endpoint keeps the subnets; the sweep takes it, and leaves what a person made.
func TestEndpointsOfOthersBlockTheSubnets(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	if err := c.s.AWS.GuardDutyEndpoint(n.VPC.ID); err != nil {
		t.Fatal(err)
	}
	blocked := func() bool {
		err := c.Delete(n.Subnet)
		return err != nil && strings.Contains(err.Error(), "DependencyViolation")
	}
	if !blocked() {
		t.Error("the subnet went although an endpoint has an interface in it")
	}
	command := "go run ./sweep --cluster dev --vpc " + n.VPC.ID + " --volumes delete"
	if swept := c.s.AWS.Sweep(command, false); len(swept.Found) != 2 {
		t.Errorf("swept %v, want the endpoint and its group", swept.Found)
	}
	if err := c.s.AWS.ForeignEndpoint(n.VPC.ID, "ssm"); err != nil {
		t.Fatal(err)
	}
	if swept := c.s.AWS.Sweep(command, false); len(swept.Found) != 0 || !blocked() {
		t.Errorf("swept %v: that endpoint is not ours", swept.Found)
	}
}

// A controller that may not reorder rules leaves an Ingress without an address when it sorts before another of its group.
func TestReorderingRulesNeedsAStatementWithoutCondition(t *testing.T) {
	for name, condition := range map[string]struct {
		text   string
		served bool
	}{
		"with a condition":    {`,"Condition":{"StringEquals":{"aws:ResourceTag/elbv2.k8s.aws/cluster":"dev"}}`, false},
		"without a condition": {"", true},
	} {
		t.Run(name, func(t *testing.T) {
			u := newTestCluster(t)
			u.Put(&store.Object{Type: "aws:iam/rolePolicy:RolePolicy", ID: "all", Inputs: props.Map{
				"role": "role", "policy": `{"Statement":[{"Effect":"Allow","Action":["ec2:*","elasticloadbalancing:*"]` + condition.text + `}]}`,
			}})
			shared := props.Map{"spec": map[string]any{"ingressClassName": "alb"}}
			for _, id := range []string{"monitoring/grafana", "apps/api"} {
				namespace, ingress, _ := strings.Cut(id, "/")
				in := props.Map{"spec": shared["spec"], "metadata": map[string]any{
					"name": ingress, "namespace": namespace, "annotations": map[string]any{albAnnotation + "group.name": "platform"},
				}}
				if err := u.s.Cluster.kubectl("Ingress", namespace, ingress, in, ""); err != nil {
					t.Fatal(err)
				}
			}
			if u.Find("k8s/Ingress", "monitoring/grafana").Str("hostname") == "" {
				t.Error("the first Ingress of the group has no address")
			}
			if got := u.Find("k8s/Ingress", "apps/api").Str("hostname") != ""; got != condition.served {
				t.Errorf("the Ingress that sorts before it is served: %v, want %v", got, condition.served)
			}
		})
	}
}
