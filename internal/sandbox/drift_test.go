package sandbox

import (
	"context"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// oneRule is a security group that one office may reach.
func oneRule(ctx *pulumi.Context) error {
	provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("eu-central-1")})
	if err != nil {
		return err
	}
	network, err := ec2.NewVpc(ctx, "vpc", &ec2.VpcArgs{CidrBlock: pulumi.String("10.0.0.0/16")},
		pulumi.Provider(provider))
	if err != nil {
		return err
	}
	group, err := ec2.NewSecurityGroup(ctx, "nodes", &ec2.SecurityGroupArgs{VpcId: network.ID()},
		pulumi.Provider(provider))
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
	if err := s.AWS.ChangeInput("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ssh", "cidrIpv4",
		"0.0.0.0/0"); err != nil {
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
