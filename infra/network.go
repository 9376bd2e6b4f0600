package infra

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Network is the VPC with one public subnet in every zone.
type Network struct {
	pulumi.ResourceState

	VPC *ec2.Vpc
	// Subnets are in the order of the configured zones.
	Subnets []*ec2.Subnet
	// Routes are the routes out of the subnets. A resource that depends on them depends on the whole network.
	Routes []pulumi.Resource
}

func newNetwork(s *deployer, _ none) (*Network, error) {
	n := &Network{}
	opts, err := s.component("Network", "network", n)
	if err != nil {
		return nil, err
	}
	// The private zone resolves only in a VPC with both DNS settings enabled.
	n.VPC, err = ec2.NewVpc(s.ctx, "vpc", &ec2.VpcArgs{
		CidrBlock:          pulumi.String(s.cfg.Network.VPCCIDR),
		EnableDnsSupport:   pulumi.Bool(true),
		EnableDnsHostnames: pulumi.Bool(true),
		Tags:               s.tags("vpc", map[string]string{s.clusterTag(): "owned"}),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("vpc: %w", err)
	}
	gateway, err := ec2.NewInternetGateway(s.ctx, "internet", &ec2.InternetGatewayArgs{
		VpcId: n.VPC.ID(),
		Tags:  s.tags("internet"),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("internet gateway: %w", err)
	}
	table, err := ec2.NewRouteTable(s.ctx, "public", &ec2.RouteTableArgs{
		VpcId: n.VPC.ID(),
		Tags:  s.tags("public"),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("route table: %w", err)
	}
	internet, err := ec2.NewRoute(s.ctx, "internet", &ec2.RouteArgs{
		RouteTableId:         table.ID(),
		DestinationCidrBlock: pulumi.String(anywhere),
		GatewayId:            gateway.ID(),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("route to the internet: %w", err)
	}
	n.Routes = append(n.Routes, internet)
	// The endpoint is not in Routes: it only saves money and takes longer than the rest, so no resource has to wait
	// for it.
	_, err = ec2.NewVpcEndpoint(s.ctx, "s3", &ec2.VpcEndpointArgs{
		VpcId: n.VPC.ID(),
		// The gateway endpoint of S3 has this prefix in every partition. Only interface endpoints in China begin with
		// "cn.".
		ServiceName:     pulumi.Sprintf("com.amazonaws.%s.s3", s.cfg.Region),
		VpcEndpointType: pulumi.String("Gateway"),
		RouteTableIds:   pulumi.StringArray{table.ID()},
		Tags:            s.tags("s3"),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("s3 endpoint: %w", err)
	}
	if err := n.subnets(s, table, opts); err != nil {
		return nil, err
	}
	return n, s.ctx.RegisterResourceOutputs(n, pulumi.Map{"vpcId": n.VPC.ID()})
}

// subnets creates a subnet in every zone and associates it with table.
func (n *Network) subnets(s *deployer, table *ec2.RouteTable, opts []pulumi.ResourceOption) error {
	for i, cidr := range s.cfg.SubnetCIDRs() {
		name := "public-" + s.cfg.Network.Zones[i]
		// Instances ask for their public address themselves. A subnet that assigns addresses takes 10 s longer to
		// create.
		subnet, err := ec2.NewSubnet(s.ctx, name, &ec2.SubnetArgs{
			VpcId:            n.VPC.ID(),
			CidrBlock:        pulumi.String(cidr),
			AvailabilityZone: pulumi.String(s.cfg.AvailabilityZone(i)),
			Tags: s.tags(name, map[string]string{
				"kubernetes.io/role/elb": "1",
				s.clusterTag():           "owned",
			}),
		}, opts...)
		if err != nil {
			return fmt.Errorf("subnet %s: %w", name, err)
		}
		association, err := ec2.NewRouteTableAssociation(s.ctx, name, &ec2.RouteTableAssociationArgs{
			RouteTableId: table.ID(),
			SubnetId:     subnet.ID(),
		}, opts...)
		if err != nil {
			return fmt.Errorf("route table of subnet %s: %w", name, err)
		}
		n.Subnets, n.Routes = append(n.Subnets, subnet), append(n.Routes, association)
	}
	return nil
}
