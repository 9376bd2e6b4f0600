package main

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// networkInterface is a network interface in the VPC, whoever created it.
type networkInterface struct {
	id, description string
	available       bool
	// user is the instance, the service or the account that it is attached to. It is empty if AWS does not report it.
	user   string
	tags   map[string]string
	groups []string
}

func (a *account) interfaces(ctx context.Context) ([]networkInterface, error) {
	var list []networkInterface
	pages := ec2.NewDescribeNetworkInterfacesPaginator(a.ec2,
		&ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{a.inVPC()}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, n := range page.NetworkInterfaces {
			ni := networkInterface{
				id:          deref(n.NetworkInterfaceId),
				description: deref(n.Description),
				available:   n.Status == types.NetworkInterfaceStatusAvailable,
				user:        user(n),
				tags:        ec2Tags(n.TagSet),
			}
			for _, g := range n.Groups {
				ni.groups = append(ni.groups, deref(g.GroupId))
			}
			list = append(list, ni)
		}
	}
	return list, nil
}

// user returns who uses the interface, as precisely as AWS reports it.
func user(n types.NetworkInterface) string {
	switch {
	case n.Attachment != nil && deref(n.Attachment.InstanceId) != "":
		return "instance " + deref(n.Attachment.InstanceId)
	case n.InterfaceType != "" && n.InterfaceType != types.NetworkInterfaceTypeInterface:
		return string(n.InterfaceType)
	}
	return deref(n.RequesterId)
}

// mentions reports whether the description or the user of the interface contains one of these resources.
func (n networkInterface) mentions(ids []string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(n.description+" "+n.user, id) })
}

// removeInterfaces removes the interfaces that controllers left unattached. Interfaces of a load balancer or an
// endpoint disappear some minutes after it, and only AWS may delete them. Until then they use security groups,
// subnets and the internet gateway, so the sweep waits for them. It reports every other interface that would block
// the deletion of the VPC.
func (a *account) removeInterfaces(s *survey, list []networkInterface, groups []securityGroup, balancers []*balancer,
	endpoints []string) {
	var standing, owned, named []string
	for _, b := range balancers {
		if !b.owned {
			standing = append(standing, b.description)
		}
	}
	for _, g := range groups {
		if g.owner == controllers {
			owned = append(owned, g.id)
		}
	}
	for _, i := range append(s.alive[:len(s.alive):len(s.alive)], s.foreign...) {
		named = append(named, i.ID)
	}
	for _, n := range list {
		item := Item{Kind: "network interface", ID: n.id, Detail: n.description}
		ofBalancer, ofEndpoint := strings.HasPrefix(n.description, "ELB "),
			strings.HasPrefix(n.description, "VPC Endpoint Interface ")
		inOwned := slices.ContainsFunc(n.groups, func(g string) bool { return slices.Contains(owned, g) })
		switch {
		case ofBalancer && slices.Contains(standing, n.description):
		case ofBalancer:
			item.Reason = "AWS removes it some minutes after its load balancer"
			s.add(leftover{Item: item})
		case ofEndpoint && (inOwned || n.mentions(endpoints)):
			item.Reason = "AWS removes it some minutes after its endpoint"
			s.add(leftover{Item: item})
		case n.tags[tagManagedBy] == managedByPulumi || n.mentions(named):
		case n.available && (inOwned || a.owns(n.tags)):
			s.add(leftover{Item: item, remove: func(ctx context.Context) error {
				_, err := a.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &n.id})
				return err
			}})
		case n.available:
			item.Reason = "unattached, " + inTheWay
			s.blocks(item)
		case n.user != "":
			item.Reason = "used by " + n.user + ", " + inTheWay
			s.blocks(item)
		default:
			item.Reason = "in use, " + inTheWay
			s.blocks(item)
		}
	}
}
