package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// controllerRule is the beginning of the description of every rule that the Load Balancer Controller writes into the
// nodes' group.
const controllerRule = "elbv2.k8s.aws/"

// owner is the owner of a security group in the VPC.
type owner int

const (
	unowned     owner = iota // not the cluster's: never changed
	controllers              // created by the cluster's controllers or by GuardDuty: removed
	pulumi                   // Pulumi's, for this cluster: kept, but rules of controllers in it are revoked
)

type securityGroup struct {
	id, name string
	owner    owner
	// refers are the ids of the other groups that its rules refer to.
	refers []string
}

func (a *account) securityGroups(ctx context.Context) ([]securityGroup, error) {
	var list []securityGroup
	pages := ec2.NewDescribeSecurityGroupsPaginator(a.ec2,
		&ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{a.inVPC()}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, sg := range page.SecurityGroups {
			g := securityGroup{id: deref(sg.GroupId), name: deref(sg.GroupName)}
			switch tags := ec2Tags(sg.Tags); {
			case a.owns(tags):
				g.owner = controllers
			case a.pulumiOwns(tags):
				g.owner = pulumi
			// Only GuardDuty's endpoints use its group, and they are removed too.
			case tags[tagGuardDuty] == "true":
				g.owner = controllers
			}
			for _, p := range slices.Concat(sg.IpPermissions, sg.IpPermissionsEgress) {
				for _, pair := range p.UserIdGroupPairs {
					if id := deref(pair.GroupId); id != g.id {
						g.refers = append(g.refers, id)
					}
				}
			}
			list = append(list, g)
		}
	}
	return list, nil
}

// removeRules removes the rules that block the deletion of groups. In the controllers' groups, those are the rules
// that refer to another group: two groups that refer to each other could not be deleted otherwise. In Pulumi's
// groups, those are the rules that refer to a removed group or were written by a controller.
func (a *account) removeRules(ctx context.Context, s *survey, groups []securityGroup) error {
	owners, names := map[string]owner{}, map[string]string{}
	var ours []string
	for _, g := range groups {
		owners[g.id], names[g.id] = g.owner, g.name
		if g.owner != unowned {
			ours = append(ours, g.id)
		}
	}
	// AWS accepts 200 values in a filter.
	for batch := range slices.Chunk(ours, 200) {
		pages := ec2.NewDescribeSecurityGroupRulesPaginator(a.ec2, &ec2.DescribeSecurityGroupRulesInput{
			Filters: []types.Filter{filter("group-id", batch...)},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, r := range page.SecurityGroupRules {
				group, other := deref(r.GroupId), ""
				if r.ReferencedGroupInfo != nil {
					other = deref(r.ReferencedGroupInfo.GroupId)
				}
				ofController := owners[group] == controllers && other != "" && other != group
				inPulumis := owners[group] == pulumi &&
					(owners[other] == controllers || strings.HasPrefix(deref(r.Description), controllerRule))
				if !ofController && !inPulumis {
					continue
				}
				s.add(leftover{
					Item: Item{
						Kind: "security group rule", ID: deref(r.SecurityGroupRuleId), Name: deref(r.Description),
						Detail: fmt.Sprintf("in %s %s", group, names[group]),
					},
					remove: a.revoke(r),
				})
			}
		}
	}
	return nil
}

func (a *account) revoke(r types.SecurityGroupRule) func(context.Context) error {
	ids := []string{deref(r.SecurityGroupRuleId)}
	return func(ctx context.Context) error {
		var err error
		if deref(r.IsEgress) {
			_, err = a.ec2.RevokeSecurityGroupEgress(ctx,
				&ec2.RevokeSecurityGroupEgressInput{GroupId: r.GroupId, SecurityGroupRuleIds: ids})
		} else {
			_, err = a.ec2.RevokeSecurityGroupIngress(ctx,
				&ec2.RevokeSecurityGroupIngressInput{GroupId: r.GroupId, SecurityGroupRuleIds: ids})
		}
		return err
	}
}

// removeGroups removes the controllers' groups, after the endpoints that may use them, and reports the groups of
// others. A group cannot be deleted while a rule of a foreign group refers to it, and the sweep may not revoke
// that rule. It reports this immediately, not at the deadline.
func (a *account) removeGroups(s *survey, groups []securityGroup, interfaces []networkInterface, endpoints []string) {
	for _, g := range groups {
		if g.owner == unowned && g.name != "default" { // the default group goes with the VPC
			s.blocks(Item{Kind: "security group", ID: g.id, Name: g.name})
		}
		if g.owner != controllers {
			continue
		}
		t := leftover{Item: Item{Kind: "security group", ID: g.id, Name: g.name}, after: endpoints}
		var users []string
		for _, n := range interfaces {
			if slices.Contains(n.groups, g.id) {
				users = append(users, n.id)
			}
		}
		if len(users) > 0 {
			t.Detail = "used by " + strings.Join(sorted(users), ", ")
		}
		t.remove = func(ctx context.Context) error {
			_, err := a.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &g.id})
			return err
		}
		for _, other := range groups {
			if other.owner == unowned && slices.Contains(other.refers, g.id) {
				t.remove = func(context.Context) error {
					return &blocked{fmt.Sprintf("rules of %s %s refer to it, and that group does not carry the cluster's tags; "+
						"delete those rules: aws ec2 describe-security-group-rules --filters Name=group-id,Values=%s", other.id,
						other.name, other.id)}
				}
			}
		}
		s.add(t)
	}
}
