package sandbox

import (
	"context"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/internal/testenv"
)

// stackOf is the real CLI on a stack of its own, attached to a sandbox.
func stackOf(t *testing.T, s *Sandbox, program pulumi.RunFunc) auto.Stack {
	t.Helper()
	testenv.NeedPulumi(t)
	env := s.Env()
	env["PULUMI_BACKEND_URL"] = "file://" + t.TempDir()
	env["PULUMI_HOME"] = t.TempDir()
	env["PULUMI_CONFIG_PASSPHRASE"] = "test"
	env["PULUMI_SKIP_UPDATE_CHECK"] = "true"
	stack, err := auto.UpsertStackInlineSource(context.Background(), "test", "sandbox", program, auto.EnvVars(env),
		auto.WorkDir(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	return stack
}

func start(t *testing.T, o Options) *Sandbox {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// oneHost is a VPC with a host in it that a command runs on.
func oneHost(ctx *pulumi.Context) error {
	provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{
		Region:      pulumi.String("eu-central-1"),
		DefaultTags: &aws.ProviderDefaultTagsArgs{Tags: pulumi.StringMap{"owner": pulumi.String("me")}},
	})
	if err != nil {
		return err
	}
	opt := pulumi.Provider(provider)
	key, err := tls.NewPrivateKey(ctx, "user", &tls.PrivateKeyArgs{Algorithm: pulumi.String("ED25519")})
	if err != nil {
		return err
	}
	hostKey, err := tls.NewPrivateKey(ctx, "host", &tls.PrivateKeyArgs{Algorithm: pulumi.String("ED25519")})
	if err != nil {
		return err
	}
	vpc, err := ec2.NewVpc(ctx, "vpc", &ec2.VpcArgs{CidrBlock: pulumi.String("10.0.0.0/16")}, opt)
	if err != nil {
		return err
	}
	subnet, err := ec2.NewSubnet(ctx, "a", &ec2.SubnetArgs{
		VpcId: vpc.ID(), CidrBlock: pulumi.String("10.0.1.0/24"), AvailabilityZone: pulumi.String("eu-central-1a"),
		MapPublicIpOnLaunch: pulumi.Bool(true),
	}, opt)
	if err != nil {
		return err
	}
	gateway, err := ec2.NewInternetGateway(ctx, "gateway", &ec2.InternetGatewayArgs{VpcId: vpc.ID()}, opt)
	if err != nil {
		return err
	}
	table, err := ec2.NewRouteTable(ctx, "table", &ec2.RouteTableArgs{VpcId: vpc.ID()}, opt)
	if err != nil {
		return err
	}
	route, err := ec2.NewRoute(ctx, "route", &ec2.RouteArgs{
		RouteTableId: table.ID(), GatewayId: gateway.ID(), DestinationCidrBlock: pulumi.String("0.0.0.0/0"),
	}, opt)
	if err != nil {
		return err
	}
	association, err := ec2.NewRouteTableAssociation(ctx, "association",
		&ec2.RouteTableAssociationArgs{RouteTableId: table.ID(), SubnetId: subnet.ID()}, opt)
	if err != nil {
		return err
	}
	group, err := ec2.NewSecurityGroup(ctx, "group", &ec2.SecurityGroupArgs{
		VpcId:   vpc.ID(),
		Ingress: ec2.SecurityGroupIngressArray{},
		Egress: ec2.SecurityGroupEgressArray{&ec2.SecurityGroupEgressArgs{
			Protocol: pulumi.String("-1"), FromPort: pulumi.Int(0), ToPort: pulumi.Int(0),
			CidrBlocks: pulumi.ToStringArray([]string{"0.0.0.0/0"}),
		}},
	}, opt)
	if err != nil {
		return err
	}
	pair, err := ec2.NewKeyPair(ctx, "pair", &ec2.KeyPairArgs{PublicKey: key.PublicKeyOpenssh}, opt)
	if err != nil {
		return err
	}
	instance, err := ec2.NewInstance(ctx, "host", &ec2.InstanceArgs{
		Ami: pulumi.String("ami-0123456789abcdef0"), InstanceType: pulumi.String("t3.large"), SubnetId: subnet.ID(),
		VpcSecurityGroupIds: pulumi.StringArray{group.ID()}, KeyName: pair.KeyName,
		UserData: pulumi.Sprintf("#cloud-config\nssh_keys:\n  ed25519_private: |\n%s", hostKey.PrivateKeyOpenssh),
	}, opt, pulumi.DependsOn([]pulumi.Resource{route, association}))
	if err != nil {
		return err
	}
	_, err = remote.NewCommand(ctx, "ready", &remote.CommandArgs{
		Connection: &remote.ConnectionArgs{
			Host: instance.PublicIp, User: pulumi.String("ubuntu"), PrivateKey: key.PrivateKeyOpenssh,
			HostKey: hostKey.PublicKeyOpenssh,
		},
		Create: pulumi.String("sudo env STEP='ready' NODE='host' bash -c 'true'"),
	})
	return err
}

func TestUpAgainAndDestroyThroughTheEngine(t *testing.T) {
	s := start(t, Options{Dir: t.TempDir()})
	stack := stackOf(t, s, oneHost)
	ctx := context.Background()
	if _, err := stack.Preview(ctx); err != nil {
		t.Fatal(err)
	}
	if left := s.Leftovers(); len(left) > 0 {
		t.Fatalf("a preview made %v", left)
	}
	if _, err := stack.Up(ctx); err == nil {
		t.Fatal("no rule of the group opens port 22, so ready must fail")
	}
	t.Log(s.Leftovers())
	if _, err := stack.Up(ctx, optup.ExpectNoChanges()); err == nil {
		t.Fatal("still")
	}
	if _, err := stack.Destroy(ctx); err != nil {
		t.Fatal(err)
	}
	if left := s.Leftovers(); len(left) > 0 {
		t.Fatalf("left over: %v", left)
	}
}
