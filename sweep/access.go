package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"kubeadm-aws/sweep/question"
)

// temporaryRule is the description of a temporary rule.
const temporaryRule = "temporary, by kubeadm-aws access open"

// access opens and closes ports for one address, and removes temporary rules whose time is over. It changes no rule
// that it did not make.
func access(ctx context.Context, region string, asked io.Reader, answer io.Writer) error {
	var q question.AccessRequest
	if err := json.NewDecoder(asked).Decode(&q); err != nil {
		return fmt.Errorf("read the question from standard input: %w", err)
	}
	var address netip.Addr
	if !q.Until.IsZero() {
		text := q.Address
		if text == "" {
			text = ownAddress(ctx)
		}
		var err error
		if address, err = netip.ParseAddr(text); err != nil || !address.Is4() {
			return fmt.Errorf("%q is not an IPv4 address (without one in the question, %s is asked); name the address of this "+
				"machine with --address", text, addressService)
		}
	}
	cfg, err := configure(ctx, region)
	if err != nil {
		return err
	}
	d := rules{AccessRequest: q, ec2: ec2.NewFromConfig(cfg), now: time.Now()}
	if address.IsValid() {
		d.said.Address = address.String()
		for _, group := range slices.Sorted(maps.Keys(q.Ports)) {
			if err := d.open(ctx, group, netip.PrefixFrom(address, 32)); err != nil {
				return fmt.Errorf("open port %d of %s for %s: %w", q.Ports[group], group, address, err)
			}
		}
	}
	if err := d.close(ctx); err != nil {
		return fmt.Errorf("close what is over: %w", err)
	}
	return json.NewEncoder(answer).Encode(d.said)
}

// rules are the temporary rules in the security groups of one question.
type rules struct {
	question.AccessRequest
	ec2  *ec2.Client
	now  time.Time
	said question.AccessChange
}

// open lets an address reach the port of a group. It leaves out a group that does not exist: after a destroy that
// failed half way the state can name groups that are deleted.
func (d *rules) open(ctx context.Context, group string, from netip.Prefix) error {
	// Another run with this address can make or remove the rule between the look and the change.
	var err error
	for range 3 {
		var rules []types.SecurityGroupRule
		if rules, err = d.list(ctx, group); err != nil {
			return err
		}
		port := d.Ports[group]
		if slices.ContainsFunc(rules, func(r types.SecurityGroupRule) bool {
			return !isTemporary(r) && opens(r, port) && covers(r, from.Addr())
		}) {
			d.said.Admitted = append(d.said.Admitted, group)
			return nil
		}
		i := slices.IndexFunc(rules, func(r types.SecurityGroupRule) bool {
			return isTemporary(r) && opens(r, port) && deref(r.CidrIpv4) == from.String()
		})
		if i >= 0 {
			_, err = d.ec2.CreateTags(ctx, &ec2.CreateTagsInput{
				Resources: []string{deref(rules[i].SecurityGroupRuleId)}, Tags: d.tags(),
			})
		} else {
			err = d.authorize(ctx, group, from)
		}
		if err == nil {
			d.said.Opened = append(d.said.Opened, group)
			return nil
		}
		if isGroupMissing(err) {
			return nil
		}
		if !missing(err) && !isDuplicate(err) {
			return err
		}
	}
	return err
}

func (d *rules) authorize(ctx context.Context, group string, from netip.Prefix) error {
	port := d.Ports[group]
	_, err := d.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &group,
		IpPermissions: []types.IpPermission{{
			IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port,
			IpRanges: []types.IpRange{{CidrIp: aws.String(from.String()), Description: aws.String(temporaryRule)}},
		}},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroupRule, Tags: d.tags()}},
	})
	return err
}

// tags are those of a rule that the holder opens. The cluster's tag is always among them, because a role may need it to
// tag at all.
func (d *rules) tags() []types.Tag {
	return []types.Tag{
		{Key: aws.String(tagProject), Value: aws.String(d.Cluster)},
		{Key: aws.String(question.HolderTag + d.Holder), Value: aws.String(d.Until.UTC().Format(time.RFC3339))},
	}
}

// close removes temporary rules whose holders have all closed them or are over their time.
func (d *rules) close(ctx context.Context) error {
	for _, group := range slices.Sorted(maps.Keys(d.Ports)) {
		rules, err := d.list(ctx, group)
		if err != nil {
			return err
		}
		for _, r := range rules {
			gone, stay := d.holders(r)
			if len(gone) == 0 {
				continue
			}
			if stay {
				_, err = d.ec2.DeleteTags(ctx, &ec2.DeleteTagsInput{
					Resources: []string{deref(r.SecurityGroupRuleId)}, Tags: gone,
				})
			} else {
				_, err = d.ec2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{
					GroupId: &group, SecurityGroupRuleIds: []string{deref(r.SecurityGroupRuleId)},
				})
				d.said.Closed = append(d.said.Closed, fmt.Sprintf("%d from %s", deref(r.FromPort), deref(r.CidrIpv4)))
			}
			if err != nil && !missing(err) {
				return err
			}
		}
	}
	return nil
}

// holders are the tags of the holders of a rule that no longer hold it, and whether another holder stays. A time that
// cannot be read counts as over.
func (d *rules) holders(r types.SecurityGroupRule) (gone []types.Tag, stay bool) {
	for _, t := range r.Tags {
		holder, is := strings.CutPrefix(deref(t.Key), question.HolderTag)
		if !is {
			continue
		}
		until, err := time.Parse(time.RFC3339, deref(t.Value))
		closed := holder == d.Holder && d.Until.IsZero()
		if err != nil || !until.After(d.now) || closed {
			gone = append(gone, types.Tag{Key: t.Key})
		} else {
			stay = true
		}
	}
	return gone, stay
}

// list returns the ingress rules of a group, and none of a group that does not exist.
func (d *rules) list(ctx context.Context, group string) ([]types.SecurityGroupRule, error) {
	var all []types.SecurityGroupRule
	pages := ec2.NewDescribeSecurityGroupRulesPaginator(d.ec2, &ec2.DescribeSecurityGroupRulesInput{
		Filters: []types.Filter{filter("group-id", group)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if isGroupMissing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the rules of %s: %w", group, err)
		}
		all = append(all, slices.DeleteFunc(page.SecurityGroupRules,
			func(r types.SecurityGroupRule) bool { return aws.ToBool(r.IsEgress) })...)
	}
	return all, nil
}

// isTemporary reports whether access made a rule.
func isTemporary(r types.SecurityGroupRule) bool {
	return slices.ContainsFunc(r.Tags, func(t types.Tag) bool {
		return strings.HasPrefix(deref(t.Key), question.HolderTag)
	})
}

// opens reports whether a rule is for a TCP port.
func opens(r types.SecurityGroupRule, port int32) bool {
	return deref(r.IpProtocol) == "-1" ||
		deref(r.IpProtocol) == "tcp" && deref(r.FromPort) <= port && port <= deref(r.ToPort)
}

func covers(r types.SecurityGroupRule, address netip.Addr) bool {
	prefix, err := netip.ParsePrefix(deref(r.CidrIpv4))
	return err == nil && prefix.Contains(address)
}

func isGroupMissing(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "InvalidGroup.NotFound"
}

func isDuplicate(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "InvalidPermission.Duplicate"
}
