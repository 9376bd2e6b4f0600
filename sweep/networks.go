package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// otherNetworks finds resources of the VPC's network that Pulumi did not create.
type otherNetworks struct{ *account }

// report names further resources that block the deletion of the VPC: NAT gateways, peering connections,
// subnets and route tables that Pulumi did not create. A VPC contains few of each, so one page is enough.
func (o otherNetworks) report(ctx context.Context, s *survey) error {
	for _, list := range []struct {
		what string
		of   func(context.Context, *survey) error
	}{
		{"NAT gateways", o.natGateways},
		{"peering connections", o.peerings},
		{"subnets", o.subnets},
		{"route tables", o.routeTables},
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
