package main

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// filters returns EC2 filters for a resource's tags and for some of its properties: pairs of EC2's name and Pulumi's.
func (w lookup) filters(pairs ...string) []types.Filter {
	var all []types.Filter
	for key, value := range w.Tags {
		all = append(all, filter("tag:"+key, value))
	}
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, filter(pair[0], w.text(pair[1])))
	}
	return all
}

// idsOf collects the ids from EC2's answer. Filtered lists are short, so there is only one page.
func idsOf[T any](list []T, id func(T) *string) []string {
	var all []string
	for _, element := range list {
		all = append(all, deref(id(element)))
	}
	return all
}

func (f *finder) vpcs(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: w.filters("cidr", "cidrBlock")})
	if err != nil {
		return nil, err
	}
	return idsOf(out.Vpcs, func(v types.Vpc) *string { return v.VpcId }), nil
}

func (f *finder) subnets(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: w.filters("vpc-id", "vpcId", "cidr-block",
		"cidrBlock")})
	if err != nil {
		return nil, err
	}
	return idsOf(out.Subnets, func(s types.Subnet) *string { return s.SubnetId }), nil
}

// gateways may not be attached yet, so only their tags identify them.
func (f *finder) gateways(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{Filters: w.filters()})
	if err != nil {
		return nil, err
	}
	return idsOf(out.InternetGateways, func(g types.InternetGateway) *string { return g.InternetGatewayId }), nil
}

func (f *finder) routeTables(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: w.filters("vpc-id", "vpcId")})
	if err != nil {
		return nil, err
	}
	return idsOf(out.RouteTables, func(t types.RouteTable) *string { return t.RouteTableId }), nil
}

func (f *finder) routeTableAssociations(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeRouteTables(ctx,
		&ec2.DescribeRouteTablesInput{Filters: w.filters("route-table-id", "routeTableId")})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, table := range out.RouteTables {
		for _, a := range table.Associations {
			if deref(a.SubnetId) == w.text("subnetId") {
				found = append(found, deref(a.RouteTableAssociationId))
			}
		}
	}
	return found, nil
}

func (f *finder) endpoints(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeVpcEndpoints(ctx,
		&ec2.DescribeVpcEndpointsInput{Filters: w.filters("vpc-id", "vpcId", "service-name", "serviceName")})
	if err != nil {
		return nil, err
	}
	alive := slices.DeleteFunc(out.VpcEndpoints,
		func(e types.VpcEndpoint) bool { return e.State == "deleting" || e.State == "deleted" })
	return idsOf(alive, func(e types.VpcEndpoint) *string { return e.VpcEndpointId }), nil
}

func (f *finder) groups(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeSecurityGroups(ctx,
		&ec2.DescribeSecurityGroupsInput{Filters: w.filters("vpc-id", "vpcId", "group-name", "name")})
	if err != nil {
		return nil, err
	}
	return idsOf(out.SecurityGroups, func(g types.SecurityGroup) *string { return g.GroupId }), nil
}

func (f *finder) ingressRules(ctx context.Context, w lookup) ([]string, error) {
	return f.rules(ctx, w, false)
}

func (f *finder) egressRules(ctx context.Context, w lookup) ([]string, error) {
	return f.rules(ctx, w, true)
}

func (f *finder) rules(ctx context.Context, w lookup, egress bool) ([]string, error) {
	out, err := f.ec2.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{
		Filters: []types.Filter{filter("group-id", w.text("securityGroupId"))},
	})
	if err != nil {
		return nil, err
	}
	fits := func(r types.SecurityGroupRule) bool {
		group := ""
		if r.ReferencedGroupInfo != nil {
			group = deref(r.ReferencedGroupInfo.GroupId)
		}
		return deref(r.IsEgress) == egress && !isTemporary(r) && carries(ec2Tags(r.Tags), w.Tags) &&
			deref(r.IpProtocol) == w.text("ipProtocol") &&
			samePort(r.FromPort, w.number("fromPort")) && samePort(r.ToPort, w.number("toPort")) &&
			deref(r.CidrIpv4) == w.text("cidrIpv4") && group == w.text("referencedSecurityGroupId")
	}
	fitting := slices.DeleteFunc(out.SecurityGroupRules, func(r types.SecurityGroupRule) bool { return !fits(r) })
	return idsOf(fitting, func(r types.SecurityGroupRule) *string { return r.SecurityGroupRuleId }), nil
}

// samePort accepts both notations of EC2 for a rule without ports.
func samePort(have *int32, want int32) bool {
	return have == nil && want == -1 || have != nil && *have == want
}

func (f *finder) instances(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeInstances(ctx,
		&ec2.DescribeInstancesInput{Filters: append(w.filters("subnet-id", "subnetId"),
			filter("instance-state-name", "pending", "running", "stopping", "stopped"))})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, r := range out.Reservations {
		found = append(found, idsOf(r.Instances, func(i types.Instance) *string { return i.InstanceId })...)
	}
	return found, nil
}

func (f *finder) addresses(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: w.filters()})
	if err != nil {
		return nil, err
	}
	return idsOf(out.Addresses, func(a types.Address) *string { return a.AllocationId }), nil
}

func (f *finder) addressAssociations(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{
		Filters: w.filters("allocation-id", "allocationId", "instance-id", "instanceId"),
	})
	if err != nil {
		return nil, err
	}
	return idsOf(out.Addresses, func(a types.Address) *string { return a.AssociationId }), nil
}
