package main

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// networkInterface is one interface in the VPC, whoever made it.
type networkInterface struct {
	id, description string
	available       bool
	tags            map[string]string
	groups          []string
}

func (a *account) interfaces(ctx context.Context) ([]networkInterface, error) {
	var list []networkInterface
	pages := ec2.NewDescribeNetworkInterfacesPaginator(a.ec2, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{a.inVPC()}})
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

// removeInterfaces takes the interfaces that controllers left unattached. Those of a load balancer vanish by
// themselves some minutes after it, and nothing else may delete them; until then they hold security groups, subnets
// and the internet gateway, so the sweep waits for them.
func (a *account) removeInterfaces(s *survey, list []networkInterface, groups []securityGroup, balancers []*balancer) {
	var standing []string
	for _, b := range balancers {
		if !b.owned {
			standing = append(standing, b.description)
		}
	}
	var owned []string
	for _, g := range groups {
		if g.owner == controllers {
			owned = append(owned, g.id)
		}
	}
	for _, n := range list {
		item := Item{Kind: "network interface", ID: n.id, Detail: n.description}
		ofBalancer := strings.HasPrefix(n.description, "ELB ")
		switch {
		case ofBalancer && slices.Contains(standing, n.description):
		case ofBalancer:
			item.Reason = "AWS removes it some minutes after its load balancer"
			s.add(thing{Item: item})
		case !n.available || n.tags[tagManagedBy] == managedByPulumi:
		case a.owns(n.tags) || slices.ContainsFunc(n.groups, func(g string) bool { return slices.Contains(owned, g) }):
			s.add(thing{Item: item, remove: func(ctx context.Context) error {
				_, err := a.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &n.id})
				return err
			}})
		default:
			item.Reason = "in the VPC and unattached, but without the cluster's tags"
			s.foreign = append(s.foreign, item)
		}
	}
}
