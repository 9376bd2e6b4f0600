package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// otherNetworks finds resources of the VPC's network that Pulumi did not create.
type otherNetworks struct{ *account }

// report names further resources that block the deletion of the VPC and that Pulumi did not create. A VPC contains few
// of each, so one page is enough where the service selects by the VPC.
func (o otherNetworks) report(ctx context.Context, s *survey) error {
	for _, list := range []struct {
		what string
		of   func(context.Context, *survey) error
	}{
		{"NAT gateways", o.natGateways},
		{"peering connections", o.peerings},
		{"subnets", o.subnets},
		{"route tables", o.routeTables},
		{"network ACLs", o.acls},
		{"internet gateways", o.internetGateways},
		{"egress-only internet gateways", o.egressOnlyGateways},
		{"VPN gateways", o.vpnGateways},
	} {
		if err := list.of(ctx, s); err != nil {
			return fmt.Errorf("list %s: %w", list.what, err)
		}
	}
	return nil
}

// other reports a resource unless Pulumi created it.
func (s *survey) other(kind string, id *string, list []types.Tag, detail string) {
	if tags := ec2Tags(list); tags[tagManagedBy] != managedByPulumi {
		s.blocks(Item{Kind: kind, ID: deref(id), Name: tags["Name"], Detail: detail})
	}
}

func (o otherNetworks) natGateways(ctx context.Context, s *survey) error {
	out, err := o.ec2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: []types.Filter{o.inVPC()}})
	if err != nil {
		return err
	}
	for _, n := range out.NatGateways {
		if n.State != types.NatGatewayStateDeleted {
			s.other("NAT gateway", n.NatGatewayId, n.Tags, string(n.State))
		}
	}
	return nil
}

func (o otherNetworks) peerings(ctx context.Context, s *survey) error {
	for _, side := range []string{"requester-vpc-info.vpc-id", "accepter-vpc-info.vpc-id"} {
		out, err := o.ec2.DescribeVpcPeeringConnections(ctx, &ec2.DescribeVpcPeeringConnectionsInput{
			Filters: []types.Filter{filter(side, o.vpc), filter("status-code", "active", "pending-acceptance", "provisioning")},
		})
		if err != nil {
			return err
		}
		for _, p := range out.VpcPeeringConnections {
			s.other("peering connection", p.VpcPeeringConnectionId, p.Tags, "")
		}
	}
	return nil
}

func (o otherNetworks) subnets(ctx context.Context, s *survey) error {
	out, err := o.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{o.inVPC()}})
	if err != nil {
		return err
	}
	for _, n := range out.Subnets {
		s.other("subnet", n.SubnetId, n.Tags, deref(n.CidrBlock))
	}
	return nil
}

func (o otherNetworks) routeTables(ctx context.Context, s *survey) error {
	out, err := o.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{o.inVPC()}})
	if err != nil {
		return err
	}
	for _, t := range out.RouteTables {
		main := false // deleted with the VPC
		for _, association := range t.Associations {
			main = main || deref(association.Main)
		}
		if !main {
			s.other("route table", t.RouteTableId, t.Tags, "")
		}
	}
	return nil
}

func (o otherNetworks) acls(ctx context.Context, s *survey) error {
	out, err := o.ec2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{o.inVPC()}})
	if err != nil {
		return err
	}
	for _, n := range out.NetworkAcls {
		if !deref(n.IsDefault) { // the default one is deleted with the VPC
			s.other("network ACL", n.NetworkAclId, n.Tags, "")
		}
	}
	return nil
}

func (o otherNetworks) internetGateways(ctx context.Context, s *survey) error {
	out, err := o.ec2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{
		Filters: []types.Filter{filter("attachment.vpc-id", o.vpc)},
	})
	if err != nil {
		return err
	}
	for _, g := range out.InternetGateways {
		s.other("internet gateway", g.InternetGatewayId, g.Tags, "")
	}
	return nil
}

func (o otherNetworks) egressOnlyGateways(ctx context.Context, s *survey) error {
	pages := ec2.NewDescribeEgressOnlyInternetGatewaysPaginator(o.ec2, &ec2.DescribeEgressOnlyInternetGatewaysInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.EgressOnlyInternetGateways {
			for _, attachment := range g.Attachments {
				if deref(attachment.VpcId) == o.vpc {
					s.other("egress-only internet gateway", g.EgressOnlyInternetGatewayId, g.Tags, "")
				}
			}
		}
	}
	return nil
}

func (o otherNetworks) vpnGateways(ctx context.Context, s *survey) error {
	out, err := o.ec2.DescribeVpnGateways(ctx, &ec2.DescribeVpnGatewaysInput{
		Filters: []types.Filter{filter("attachment.vpc-id", o.vpc), filter("attachment.state", "attaching", "attached")},
	})
	if err != nil {
		return err
	}
	for _, g := range out.VpnGateways {
		s.other("VPN gateway", g.VpnGatewayId, g.Tags, "")
	}
	return nil
}
