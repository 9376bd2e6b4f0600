package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	dnstypes "github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// zones finds hosted zones by name and comment. A separate call sets their tags, so a zone without tags may match
// too. A zone with other tags does not.
func (f *finder) zones(ctx context.Context, w lookup) ([]string, error) {
	name := strings.TrimSuffix(w.text("name"), ".") + "."
	var found []string
	pages := &route53.ListHostedZonesByNameInput{DNSName: &name}
	for {
		out, err := f.route53.ListHostedZonesByName(ctx, pages)
		if err != nil {
			return nil, err
		}
		for _, zone := range out.HostedZones {
			if deref(zone.Name) != name {
				return found, nil // they come in order
			}
			ours, err := f.ours(ctx, zone, w)
			if err != nil {
				return nil, err
			}
			if ours {
				found = append(found, strings.TrimPrefix(deref(zone.Id), "/hostedzone/"))
			}
		}
		if !out.IsTruncated {
			return found, nil
		}
		pages.DNSName, pages.HostedZoneId = out.NextDNSName, out.NextHostedZoneId
	}
}

func (f *finder) ours(ctx context.Context, zone dnstypes.HostedZone, w lookup) (bool, error) {
	if zone.Config == nil || deref(zone.Config.Comment) != w.text("comment") {
		return false, nil
	}
	id := strings.TrimPrefix(deref(zone.Id), "/hostedzone/")
	listed, err := f.route53.ListTagsForResource(ctx,
		&route53.ListTagsForResourceInput{ResourceId: &id, ResourceType: dnstypes.TagResourceTypeHostedzone})
	if err != nil {
		return false, err
	}
	tags := tagMap(listed.ResourceTagSet.Tags, func(t dnstypes.Tag) (key, value *string) { return t.Key, t.Value })
	if len(tags) > 0 && !carries(tags, w.Tags) {
		return false, nil
	}
	vpcs, _ := w.Properties["vpcs"].([]any)
	if zone.Config.PrivateZone != (len(vpcs) > 0) {
		return false, nil
	}
	if len(vpcs) == 0 {
		return true, nil
	}
	details, err := f.route53.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &id})
	if err != nil {
		return false, err
	}
	first, _ := vpcs[0].(map[string]any)
	vpc, _ := first["vpcId"].(string)
	return slices.ContainsFunc(details.VPCs, func(v dnstypes.VPC) bool { return deref(v.VPCId) == vpc }), nil
}

// records finds a record with exactly these properties.
func (f *finder) records(ctx context.Context, w lookup) ([]string, error) {
	zone, name, kind := w.text("zoneId"), w.text("name"), w.text("type")
	out, err := f.route53.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId: &zone, StartRecordName: &name, StartRecordType: dnstypes.RRType(kind),
	})
	if err != nil {
		return nil, err
	}
	want := w.texts("records")
	for _, set := range out.ResourceRecordSets {
		have := idsOf(set.ResourceRecords, func(r dnstypes.ResourceRecord) *string { return r.Value })
		if plainName(deref(set.Name)) == plainName(name) && string(set.Type) == kind &&
			slices.Equal(sorted(have), sorted(want)) {
			return []string{strings.Join([]string{zone, strings.ToLower(name), kind}, "_")}, nil
		}
	}
	return nil, nil
}

// plainName returns a DNS name without the final dot and with the asterisk, which Route53 writes as a number.
func plainName(name string) string {
	return strings.ToLower(strings.TrimSuffix(strings.ReplaceAll(name, `\052`, "*"), "."))
}

func (f *finder) certificates(ctx context.Context, w lookup) ([]string, error) {
	var found []string
	pages := acm.NewListCertificatesPaginator(f.acm, &acm.ListCertificatesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range page.CertificateSummaryList {
			if deref(c.DomainName) != w.text("domainName") {
				continue
			}
			listed, err := f.acm.ListTagsForCertificate(ctx, &acm.ListTagsForCertificateInput{CertificateArn: c.CertificateArn})
			if err != nil {
				return nil, err
			}
			tags := tagMap(listed.Tags, func(t acmtypes.Tag) (key, value *string) { return t.Key, t.Value })
			if carries(tags, w.Tags) {
				found = append(found, deref(c.CertificateArn))
			}
		}
	}
	return found, nil
}

// repositories finds a repository with this name and the tags. Its id is its name.
func (f *finder) repositories(ctx context.Context, w lookup) ([]string, error) {
	out, err := f.ecr.DescribeRepositories(ctx,
		&ecr.DescribeRepositoriesInput{RepositoryNames: []string{w.text("name")}})
	if none := (*ecrtypes.RepositoryNotFoundException)(nil); errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []string
	for _, r := range out.Repositories {
		listed, err := f.ecr.ListTagsForResource(ctx, &ecr.ListTagsForResourceInput{ResourceArn: r.RepositoryArn})
		if err != nil {
			return nil, err
		}
		tags := tagMap(listed.Tags, func(t ecrtypes.Tag) (key, value *string) { return t.Key, t.Value })
		if carries(tags, w.Tags) {
			found = append(found, deref(r.RepositoryName))
		}
	}
	return found, nil
}

// issuers finds the identity provider with this URL and the tags. Its id is its ARN, which ends in the URL.
func (f *finder) issuers(ctx context.Context, w lookup) ([]string, error) {
	host := strings.TrimPrefix(w.text("url"), "https://")
	all, err := f.iam.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, p := range all.OpenIDConnectProviderList {
		if !strings.HasSuffix(deref(p.Arn), ":oidc-provider/"+host) {
			continue
		}
		one, err := f.iam.GetOpenIDConnectProvider(ctx,
			&iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: p.Arn})
		if err != nil {
			return nil, err
		}
		if carries(tagMap(one.Tags, func(t iamtypes.Tag) (key, value *string) { return t.Key, t.Value }), w.Tags) {
			found = append(found, deref(p.Arn))
		}
	}
	return found, nil
}
