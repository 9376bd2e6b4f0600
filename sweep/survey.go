package main

import (
	"context"
	"fmt"

	"kubeadm-aws/sweep/receipt"
)

// Item is an item of the receipt.
type Item = receipt.Item

// leftover is an item that has to be removed.
type leftover struct {
	Item
	// remove asks AWS to delete it; nil where AWS does so by itself and the sweep can only wait.
	remove func(context.Context) error
	// after are the ids of the items that must be removed first. If one of them cannot be removed, this one is not tried.
	after []string
}

// survey is everything of the cluster at one moment. Only a survey counts as proof of what exists; the
// answer of a deletion does not.
type survey struct {
	// leftovers are in the order in which they are removed.
	leftovers []leftover
	// kept stay by the user's choice.
	kept []Item
	// foreign are not touched: resources in the VPC that are neither the cluster's nor Pulumi's, which block the deletion
	// of the VPC, and volumes of a namesake.
	foreign []Item
	// alive are instances of the cluster.
	alive []Item
}

func (s *survey) add(t ...leftover) { s.leftovers = append(s.leftovers, t...) }

// blocks names a resource of others in the VPC. A reason that is set already stays.
func (s *survey) blocks(i Item) {
	if i.Reason == "" {
		i.Reason = inTheWay
	}
	s.foreign = append(s.foreign, i)
}

const inTheWay = "in the VPC, but without the cluster's tags; the VPC cannot be deleted before it"

func (a *account) survey(ctx context.Context) (*survey, error) {
	s := &survey{}
	if err := a.instances(ctx, s); err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	balancing := loadBalancing{a}
	balancers, err := balancing.find(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("list load balancers: %w", err)
	}
	if err := a.records(ctx, s, balancers); err != nil {
		return nil, fmt.Errorf("list the records of zone %s: %w", a.zone, err)
	}
	if err := balancing.listeners(ctx, s, balancers); err != nil {
		return nil, fmt.Errorf("list listeners: %w", err)
	}
	s.removeLoadBalancers(balancers)
	if err := balancing.targetGroups(ctx, s); err != nil {
		return nil, fmt.Errorf("list target groups: %w", err)
	}
	if err := a.volumesAndSnapshots(ctx, s); err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	if err := a.machineImages(ctx, s); err != nil {
		return nil, fmt.Errorf("list machine images: %w", err)
	}
	groups, err := a.securityGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("list security groups: %w", err)
	}
	interfaces, err := a.interfaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	endpoints, err := a.endpoints(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("list VPC endpoints: %w", err)
	}
	if err := (otherNetworks{a}).report(ctx, s); err != nil {
		return nil, err
	}
	a.removeInterfaces(s, interfaces, groups, balancers, endpoints)
	if err := a.removeRules(ctx, s, groups); err != nil {
		return nil, fmt.Errorf("list security group rules: %w", err)
	}
	a.removeGroups(s, groups, interfaces, endpoints)
	return s, nil
}

// items returns the receipt's items of a survey, without their remove functions.
func items(leftovers []leftover) []Item {
	all := make([]Item, len(leftovers))
	for i, t := range leftovers {
		all[i] = t.Item
	}
	return all
}
