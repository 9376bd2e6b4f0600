package main

import (
	"context"
	"slices"
	"strings"

	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// describeTagsLimit is how many load balancers or target groups AWS accepts in one DescribeTags call.
const describeTagsLimit = 20

// balancer is a load balancer in the VPC, of either generation.
type balancer struct {
	Item
	// dns is the name that records point to.
	dns string
	// description is the description that AWS sets on its network interfaces.
	description string
	// owned is false for a load balancer that the cluster's controllers did not create.
	owned  bool
	delete func(context.Context) error
	// first are the ids of its records and listeners, which are removed before it.
	first []string
}

// loadBalancers finds every load balancer of the VPC. The Load Balancer Controller creates those of the second
// generation. The cloud controller manager creates classic ones for Services without a class.
func (a *account) loadBalancers(ctx context.Context, s *survey) ([]*balancer, error) {
	second, err := a.secondGeneration(ctx)
	if err != nil {
		return nil, err
	}
	first, err := a.classicGeneration(ctx)
	if err != nil {
		return nil, err
	}
	all := append(second, first...)
	for _, b := range all {
		if !b.owned {
			s.blocks(b.Item)
		}
	}
	return all, nil
}

func (a *account) secondGeneration(ctx context.Context) ([]*balancer, error) {
	byARN := map[string]*balancer{}
	var arns []string
	pages := elb.NewDescribeLoadBalancersPaginator(a.elb, &elb.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, lb := range page.LoadBalancers {
			if deref(lb.VpcId) != a.vpc {
				continue
			}
			arn := deref(lb.LoadBalancerArn)
			_, path, _ := strings.Cut(arn, ":loadbalancer/")
			arns = append(arns, arn)
			byARN[arn] = &balancer{
				Item: Item{Kind: "load balancer", ID: arn, Name: deref(lb.LoadBalancerName),
					Detail: string(lb.Type) + ", " + string(lb.Scheme)},
				dns:         deref(lb.DNSName),
				description: "ELB " + path,
				delete: func(ctx context.Context) error {
					_, err := a.elb.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &arn})
					return err
				},
			}
		}
	}
	tags, err := a.tagsOf(ctx, arns)
	if err != nil {
		return nil, err
	}
	list := make([]*balancer, len(arns))
	for i, arn := range arns {
		list[i] = byARN[arn]
		list[i].owned = a.owns(tags[arn])
	}
	return list, nil
}

func (a *account) classicGeneration(ctx context.Context) ([]*balancer, error) {
	byName := map[string]*balancer{}
	var names []string
	pages := classic.NewDescribeLoadBalancersPaginator(a.classic, &classic.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, lb := range page.LoadBalancerDescriptions {
			if deref(lb.VPCId) != a.vpc {
				continue
			}
			name := deref(lb.LoadBalancerName)
			names = append(names, name)
			byName[name] = &balancer{
				Item:        Item{Kind: "load balancer", ID: name, Detail: "classic, " + deref(lb.Scheme)},
				dns:         deref(lb.DNSName),
				description: "ELB " + name,
				delete: func(ctx context.Context) error {
					_, err := a.classic.DeleteLoadBalancer(ctx, &classic.DeleteLoadBalancerInput{LoadBalancerName: &name})
					return err
				},
			}
		}
	}
	list := make([]*balancer, len(names))
	for i, name := range names {
		list[i] = byName[name]
	}
	for batch := range slices.Chunk(names, describeTagsLimit) {
		out, err := a.classic.DescribeTags(ctx, &classic.DescribeTagsInput{LoadBalancerNames: batch})
		if err != nil {
			return nil, err
		}
		for _, d := range out.TagDescriptions {
			tags := tagMap(d.Tags, func(t classictypes.Tag) (key, value *string) { return t.Key, t.Value })
			byName[deref(d.LoadBalancerName)].owned = a.owns(tags)
		}
	}
	return list, nil
}

// listeners are deleted one by one and before their load balancer, which frees target groups and certificates
// immediately.
func (a *account) listeners(ctx context.Context, s *survey, balancers []*balancer) error {
	for _, b := range balancers {
		if !b.owned || !strings.HasPrefix(b.ID, "arn:") {
			continue
		}
		pages := elb.NewDescribeListenersPaginator(a.elb, &elb.DescribeListenersInput{LoadBalancerArn: &b.ID})
		records := slices.Clone(b.first)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				if missing(err) {
					break
				}
				return err
			}
			for _, l := range page.Listeners {
				b.first = append(b.first, deref(l.ListenerArn))
				s.add(leftover{
					Item: Item{Kind: "listener", ID: deref(l.ListenerArn), Name: b.Name, Detail: string(l.Protocol)},
					remove: func(ctx context.Context) error {
						_, err := a.elb.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn})
						return err
					},
					after: records,
				})
			}
		}
	}
	return nil
}

// removeLoadBalancers keeps a load balancer until its records are deleted: it is the only proof that they belong to
// the cluster.
func (a *account) removeLoadBalancers(s *survey, balancers []*balancer) {
	for _, b := range balancers {
		if b.owned {
			s.add(leftover{Item: b.Item, remove: b.delete, after: b.first})
		}
	}
}

func (a *account) targetGroups(ctx context.Context, s *survey) error {
	var arns []string
	items := map[string]Item{}
	pages := elb.NewDescribeTargetGroupsPaginator(a.elb, &elb.DescribeTargetGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.TargetGroups {
			if deref(g.VpcId) != a.vpc {
				continue
			}
			arn := deref(g.TargetGroupArn)
			arns = append(arns, arn)
			items[arn] = Item{Kind: "target group", ID: arn, Name: deref(g.TargetGroupName)}
		}
	}
	tags, err := a.tagsOf(ctx, arns)
	if err != nil {
		return err
	}
	for _, arn := range arns {
		if !a.owns(tags[arn]) {
			continue
		}
		s.add(leftover{Item: items[arn], remove: func(ctx context.Context) error {
			_, err := a.elb.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &arn})
			return err
		}})
	}
	return nil
}

// tagsOf returns the tags of load balancers and target groups, by ARN. A resource that was deleted since the listing
// has none.
func (a *account) tagsOf(ctx context.Context, arns []string) (map[string]map[string]string, error) {
	all := make(map[string]map[string]string, len(arns))
	for batch := range slices.Chunk(arns, describeTagsLimit) {
		out, err := a.elb.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: batch})
		if err != nil {
			return nil, err
		}
		for _, d := range out.TagDescriptions {
			all[deref(d.ResourceArn)] = tagMap(d.Tags, func(t elbtypes.Tag) (key, value *string) { return t.Key, t.Value })
		}
	}
	return all, nil
}
