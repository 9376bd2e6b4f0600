package main

import (
	"context"
	"fmt"
)

// Item is one thing in the account, as the receipt names it.
type Item struct {
	Kind string `json:"kind"`
	// ID is what AWS calls it: an id, an ARN, or name and type of a record.
	ID string `json:"id"`
	// Name is what a person would recognise it by; may be empty.
	Name string `json:"name,omitempty"`
	// Detail is size, zone, PVC and the like; may be empty.
	Detail string `json:"detail,omitempty"`
	// Reason says why the thing is kept, left or not touched.
	Reason string `json:"reason,omitempty"`
}

func (i Item) String() string {
	text := i.Kind + " " + i.ID
	if i.Name != "" && i.Name != i.ID {
		text += " " + i.Name
	}
	if i.Detail != "" {
		text += " (" + i.Detail + ")"
	}
	if i.Reason != "" {
		text += ": " + i.Reason
	}
	return text
}

// thing is an Item that has to go.
type thing struct {
	Item
	// remove asks AWS to delete it; nil where AWS does so by itself and the sweep can only wait.
	remove func(context.Context) error
	// after are the ids of things that must go first: if one of them cannot be removed, this one is not tried.
	after []string
}

// survey is everything of the cluster at one moment. Only a survey says what exists: what an API call answered does not count.
type survey struct {
	// things are in the order in which they are removed.
	things []thing
	// kept stay by the user's choice.
	kept []Item
	// foreign are not touched: resources in the VPC that are neither the cluster's nor Pulumi's, which block the deletion of the
	// VPC, and volumes of a namesake.
	foreign []Item
	// alive are instances of the cluster.
	alive []Item
}

func (s *survey) add(t ...thing) { s.things = append(s.things, t...) }

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
	balancers, err := a.loadBalancers(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("list load balancers: %w", err)
	}
	if err := a.records(ctx, s, balancers); err != nil {
		return nil, fmt.Errorf("list the records of zone %s: %w", a.zone, err)
	}
	if err := a.listeners(ctx, s, balancers); err != nil {
		return nil, fmt.Errorf("list listeners: %w", err)
	}
	a.removeLoadBalancers(s, balancers)
	if err := a.targetGroups(ctx, s); err != nil {
		return nil, fmt.Errorf("list target groups: %w", err)
	}
	if err := a.volumesAndSnapshots(ctx, s); err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
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
	if err := a.networksOfOthers(ctx, s); err != nil {
		return nil, err
	}
	a.removeInterfaces(s, interfaces, groups, balancers, endpoints)
	if err := a.removeRules(ctx, s, groups); err != nil {
		return nil, fmt.Errorf("list security group rules: %w", err)
	}
	a.removeGroups(s, groups, interfaces, endpoints)
	return s, nil
}
