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

// loadBalancing finds the load balancers, listeners and target groups of the VPC.
type loadBalancing struct{ *account }

// find returns every load balancer of the VPC. The Load Balancer Controller creates those of the second
// generation. The cloud controller manager creates classic ones for Services without a class.
func (l loadBalancing) find(ctx context.Context, s *survey) ([]*balancer, error) {
	second, err := l.secondGeneration(ctx)
	if err != nil {
		return nil, err
	}
	first, err := l.classicGeneration(ctx)
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

func (l loadBalancing) secondGeneration(ctx context.Context) ([]*balancer, error) {
	byARN := map[string]*balancer{}
	var arns []string
	pages := elb.NewDescribeLoadBalancersPaginator(l.elb, &elb.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, lb := range page.LoadBalancers {
			if deref(lb.VpcId) != l.vpc {
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
					_, err := l.elb.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &arn})
					return err
				},
			}
		}
	}
	tags, err := l.tagsOf(ctx, arns)
	if err != nil {
		return nil, err
	}
	list := make([]*balancer, len(arns))
	for i, arn := range arns {
		list[i] = byARN[arn]
		list[i].owned = l.owns(tags[arn])
	}
	return list, nil
}

func (l loadBalancing) classicGeneration(ctx context.Context) ([]*balancer, error) {
	byName := map[string]*balancer{}
	var names []string
	pages := classic.NewDescribeLoadBalancersPaginator(l.classic, &classic.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, lb := range page.LoadBalancerDescriptions {
			if deref(lb.VPCId) != l.vpc {
				continue
			}
			name := deref(lb.LoadBalancerName)
			names = append(names, name)
			byName[name] = &balancer{
				Item:        Item{Kind: "load balancer", ID: name, Detail: "classic, " + deref(lb.Scheme)},
				dns:         deref(lb.DNSName),
				description: "ELB " + name,
				delete: func(ctx context.Context) error {
					_, err := l.classic.DeleteLoadBalancer(ctx, &classic.DeleteLoadBalancerInput{LoadBalancerName: &name})
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
		out, err := l.classic.DescribeTags(ctx, &classic.DescribeTagsInput{LoadBalancerNames: batch})
		if err != nil {
			return nil, err
		}
		for _, d := range out.TagDescriptions {
			tags := tagMap(d.Tags, func(t classictypes.Tag) (key, value *string) { return t.Key, t.Value })
			byName[deref(d.LoadBalancerName)].owned = l.owns(tags)
		}
	}
	return list, nil
}

// listeners are deleted one by one and before their load balancer, which frees target groups and certificates
// immediately.
func (l loadBalancing) listeners(ctx context.Context, s *survey, balancers []*balancer) error {
	for _, b := range balancers {
		if !b.owned || !strings.HasPrefix(b.ID, "arn:") {
			continue
		}
		pages := elb.NewDescribeListenersPaginator(l.elb, &elb.DescribeListenersInput{LoadBalancerArn: &b.ID})
		records := slices.Clone(b.first)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				if missing(err) {
					break
				}
				return err
			}
			for _, listener := range page.Listeners {
				b.first = append(b.first, deref(listener.ListenerArn))
				s.add(leftover{
					Item: Item{Kind: "listener", ID: deref(listener.ListenerArn), Name: b.Name, Detail: string(listener.Protocol)},
					remove: func(ctx context.Context) error {
						_, err := l.elb.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: listener.ListenerArn})
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
func (s *survey) removeLoadBalancers(balancers []*balancer) {
	for _, b := range balancers {
		if b.owned {
			s.add(leftover{Item: b.Item, remove: b.delete, after: b.first})
		}
	}
}

func (l loadBalancing) targetGroups(ctx context.Context, s *survey) error {
	var arns []string
	items := map[string]Item{}
	pages := elb.NewDescribeTargetGroupsPaginator(l.elb, &elb.DescribeTargetGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.TargetGroups {
			if deref(g.VpcId) != l.vpc {
				continue
			}
			arn := deref(g.TargetGroupArn)
			arns = append(arns, arn)
			items[arn] = Item{Kind: "target group", ID: arn, Name: deref(g.TargetGroupName)}
		}
	}
	tags, err := l.tagsOf(ctx, arns)
	if err != nil {
		return err
	}
	for _, arn := range arns {
		if !l.owns(tags[arn]) {
			continue
		}
		s.add(leftover{Item: items[arn], remove: func(ctx context.Context) error {
			_, err := l.elb.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &arn})
			return err
		}})
	}
	return nil
}

// tagsOf returns the tags of load balancers and target groups, by ARN. A resource that was deleted since the listing
// has none.
func (l loadBalancing) tagsOf(ctx context.Context, arns []string) (map[string]map[string]string, error) {
	all := make(map[string]map[string]string, len(arns))
	for batch := range slices.Chunk(arns, describeTagsLimit) {
		out, err := l.elb.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: batch})
		if err != nil {
			return nil, err
		}
		for _, d := range out.TagDescriptions {
			all[deref(d.ResourceArn)] = tagMap(d.Tags, func(t elbtypes.Tag) (key, value *string) { return t.Key, t.Value })
		}
	}
	return all, nil
}
