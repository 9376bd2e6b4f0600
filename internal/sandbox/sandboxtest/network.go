package sandboxtest

import (
	"strings"
	"testing"

	"kubeadm-aws/internal/sandbox/props"
)

// network is a VPC with everything that a host needs to be reached.
type network struct {
	VPC, Subnet, Gateway, Table, Route, Association, Group, SSH, Out *Resource
}

func (c *Client) Network() network {
	c.T.Helper()
	c.Configure("aws", props.Map{"region": "eu-central-1", "defaultTags": `{"tags":{"owner":"me"}}`})
	var n network
	n.VPC = c.Make("aws:ec2/vpc:Vpc", "vpc", props.Map{"cidrBlock": "10.0.0.0/16"})
	n.Subnet = c.Make("aws:ec2/subnet:Subnet", "a", props.Map{
		"vpcId": n.VPC.ID, "cidrBlock": "10.0.1.0/24", "availabilityZone": "eu-central-1a",
		"tags": map[string]any{"kubernetes.io/role/elb": "1"},
	})
	n.Gateway = c.Make("aws:ec2/internetGateway:InternetGateway", "gateway", props.Map{"vpcId": n.VPC.ID})
	n.Table = c.Make("aws:ec2/routeTable:RouteTable", "table", props.Map{"vpcId": n.VPC.ID})
	n.Route = c.Make("aws:ec2/route:Route", "route",
		props.Map{"routeTableId": n.Table.ID, "gatewayId": n.Gateway.ID, "destinationCidrBlock": "0.0.0.0/0"})
	n.Association = c.Make("aws:ec2/routeTableAssociation:RouteTableAssociation", "association",
		props.Map{"routeTableId": n.Table.ID, "subnetId": n.Subnet.ID})
	n.Group = c.Make("aws:ec2/securityGroup:SecurityGroup", "nodes",
		props.Map{"vpcId": n.VPC.ID, "tags": map[string]any{"kubernetes.io/cluster/dev": "owned"}})
	n.SSH = c.Make("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ssh",
		props.Map{"securityGroupId": n.Group.ID, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
			"cidrIpv4": "192.0.2.0/24"})
	n.Out = c.Make("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "out",
		props.Map{"securityGroupId": n.Group.ID, "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"})
	return n
}

func (c *Client) Instance(n network, name string, more props.Map) *Resource {
	c.T.Helper()
	in := props.Map{
		"ami": "ami-0123456789abcdef0", "instanceType": "t3.large", "subnetId": n.Subnet.ID, "associatePublicIpAddress": true,
		"vpcSecurityGroupIds": []any{n.Group.ID}, "tags": map[string]any{"Name": name, "kubernetes.io/cluster/dev": "owned"},
	}
	for k, v := range more {
		in[k] = v
	}
	return c.Make("aws:ec2/instance:Instance", name, in)
}

func WantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", part)
	}
	if !strings.Contains(err.Error(), part) {
		t.Fatalf("error %q does not contain %q", err, part)
	}
}
