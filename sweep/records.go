package main

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// records finds the DNS records that point to the cluster's load balancers. Records have no tags, so the target is
// the only proof of ownership. All other records in the zone are ignored.
func (a *account) records(ctx context.Context, s *survey, balancers []*balancer) error {
	if a.zone == "" {
		return nil
	}
	owned := map[string]*balancer{}
	for _, b := range balancers {
		if b.owned && b.dns != "" {
			owned[canonical(b.dns)] = b
		}
	}
	if len(owned) == 0 {
		return nil
	}
	pages := route53.NewListResourceRecordSetsPaginator(a.route53,
		&route53.ListResourceRecordSetsInput{HostedZoneId: &a.zone})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			if missing(err) {
				return nil
			}
			return err
		}
		for _, r := range page.ResourceRecordSets {
			b := owned[target(r)]
			if b == nil {
				continue
			}
			item := Item{
				Kind:   "DNS record",
				ID:     strings.TrimSuffix(deref(r.Name), ".") + " " + string(r.Type),
				Detail: "points to " + b.Name,
			}
			if id := deref(r.SetIdentifier); id != "" {
				item.ID += " " + id
			}
			b.first = append(b.first, item.ID)
			s.add(leftover{Item: item, remove: func(ctx context.Context) error {
				_, err := a.route53.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{
					HostedZoneId: &a.zone,
					ChangeBatch: &types.ChangeBatch{
						Changes: []types.Change{{Action: types.ChangeActionDelete, ResourceRecordSet: &r}},
					},
				})
				return err
			}})
		}
	}
	return nil
}

// target returns the name that a record points to. It is empty for a record with addresses or text.
func target(r types.ResourceRecordSet) string {
	if r.AliasTarget != nil {
		return canonical(deref(r.AliasTarget.DNSName))
	}
	if r.Type == types.RRTypeCname && len(r.ResourceRecords) == 1 {
		return canonical(deref(r.ResourceRecords[0].Value))
	}
	return ""
}

// canonical returns a load balancer's name in a form that can be compared: the console and the controllers prefix it
// with "dualstack.".
func canonical(name string) string {
	return strings.TrimPrefix(strings.TrimSuffix(strings.ToLower(name), "."), "dualstack.")
}
