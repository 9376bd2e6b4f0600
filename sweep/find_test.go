package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	dnstypes "github.com/aws/aws-sdk-go-v2/service/route53/types"

	"kubeadm-aws/sweep/question"
)

// site creates one resource of every type whose id AWS generates.
type site struct {
	*external
	*finder
	stack string
	// lookups are the lookups of each resource. ids are the expected results, by URN.
	lookups []lookup
	ids     map[string]string
}

func (w *external) newSite(stack string) *site {
	cfg := must(configure(ctx, region))
	return &site{external: w, stack: stack, ids: map[string]string{},
		finder: &finder{ec2: ec2.NewFromConfig(cfg), route53: route53.NewFromConfig(cfg), acm: acm.NewFromConfig(cfg),
			ecr: ecr.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg)}}
}

func (s *site) tags(name string) map[string]string {
	return map[string]string{"Name": s.stack + "-" + name, tagProject: s.stack, "kubeadm-aws/stack": s.stack,
		tagManagedBy: managedByPulumi}
}

// spec tags the resources that EC2 creates.
func (s *site) spec(of types.ResourceType, name string) []types.TagSpecification {
	var pairs []string
	for key, value := range s.tags(name) {
		pairs = append(pairs, key, value)
	}
	return specification(of, pairs)
}

// made records a resource: its Pulumi type, name, id, and pairs of properties.
func (s *site) made(typ, name string, id *string, tagged bool, pairs ...any) string {
	w := lookup{question.Lookup{URN: typ + "::" + name, Type: typ, Properties: map[string]any{}}}
	if tagged {
		w.Tags = s.tags(name)
	}
	for pair := range slices.Chunk(pairs, 2) {
		w.Properties[pair[0].(string)] = pair[1]
	}
	s.lookups = append(s.lookups, w)
	s.ids[w.URN] = deref(id)
	return deref(id)
}

func (s *site) network() (vpc, subnet string) {
	e := s.finder.ec2
	vpc = s.made("aws:ec2/vpc:Vpc", "vpc", must(e.CreateVpc(ctx, &ec2.CreateVpcInput{
		CidrBlock: ptr("10.0.0.0/16"), TagSpecifications: s.spec(types.ResourceTypeVpc, "vpc"),
	})).Vpc.VpcId, true, "cidrBlock", "10.0.0.0/16")
	s.made("aws:ec2/internetGateway:InternetGateway", "internet",
		must(e.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{
			TagSpecifications: s.spec(types.ResourceTypeInternetGateway, "internet"),
		})).InternetGateway.InternetGatewayId, true)
	table := s.made("aws:ec2/routeTable:RouteTable", "public", must(e.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{
		VpcId: &vpc, TagSpecifications: s.spec(types.ResourceTypeRouteTable, "public"),
	})).RouteTable.RouteTableId, true, "vpcId", vpc)
	for i, zone := range []string{"a", "b"} {
		name, cidr := "public-"+zone, fmt.Sprintf("10.0.%d.0/24", i)
		subnet = s.made("aws:ec2/subnet:Subnet", name, must(e.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: &vpc, CidrBlock: &cidr, TagSpecifications: s.spec(types.ResourceTypeSubnet, name),
		})).Subnet.SubnetId, true, "vpcId", vpc, "cidrBlock", cidr)
		s.made("aws:ec2/routeTableAssociation:RouteTableAssociation", name,
			must(e.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{
				RouteTableId: &table, SubnetId: &subnet,
			})).AssociationId, false, "routeTableId", table, "subnetId", subnet)
	}
	service := "com.amazonaws." + region + ".s3"
	s.made("aws:ec2/vpcEndpoint:VpcEndpoint", "s3", must(e.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
		VpcId: &vpc, ServiceName: &service, RouteTableIds: []string{table},
		TagSpecifications: s.spec(types.ResourceTypeVpcEndpoint, "s3"),
	})).VpcEndpoint.VpcEndpointId, true, "vpcId", vpc, "serviceName", service)
	return vpc, subnet
}

func (s *site) firewall(vpc string) {
	e := s.finder.ec2
	var groups []string
	for _, name := range []string{"nodes", "backend"} {
		groups = append(groups, s.made("aws:ec2/securityGroup:SecurityGroup", name,
			must(e.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
				GroupName: &name, Description: &name, VpcId: &vpc, TagSpecifications: s.spec(types.ResourceTypeSecurityGroup, name),
			})).GroupId, true, "vpcId", vpc, "name", name))
	}
	const ingress, egress = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
		"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	let := func(name string, p types.IpPermission, pairs ...any) {
		out := must(e.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: &groups[0], IpPermissions: []types.IpPermission{p},
			TagSpecifications: s.spec(types.ResourceTypeSecurityGroupRule, name),
		}))
		s.made(ingress, name, out.SecurityGroupRules[0].SecurityGroupRuleId, true,
			append(pairs, "securityGroupId", groups[0], "ipProtocol", deref(p.IpProtocol))...)
	}
	let("ssh", types.IpPermission{IpProtocol: ptr("tcp"), FromPort: ptr(int32(22)), ToPort: ptr(int32(22)),
		IpRanges: []types.IpRange{{CidrIp: ptr("192.0.2.0/24")}}},
		"fromPort", 22.0, "toPort", 22.0, "cidrIpv4", "192.0.2.0/24")
	let("api", types.IpPermission{IpProtocol: ptr("tcp"), FromPort: ptr(int32(6443)), ToPort: ptr(int32(6443)),
		UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &groups[1]}}},
		"fromPort", 6443.0, "toPort", 6443.0, "referencedSecurityGroupId", groups[1])
	out := must(e.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{
		GroupId: &groups[0], TagSpecifications: s.spec(types.ResourceTypeSecurityGroupRule, "out"),
		IpPermissions: []types.IpPermission{
			{IpProtocol: ptr("-1"), IpRanges: []types.IpRange{{CidrIp: ptr("198.51.100.0/24")}}},
		},
	}))
	s.made(egress, "out", out.SecurityGroupRules[0].SecurityGroupRuleId, true, "securityGroupId", groups[0], "ipProtocol",
		"-1", "cidrIpv4", "198.51.100.0/24")
}

func (s *site) machine(subnet string) {
	e := s.finder.ec2
	image := must(e.DescribeImages(ctx, &ec2.DescribeImagesInput{})).Images[0]
	launch := func() *string {
		return must(e.RunInstances(ctx, &ec2.RunInstancesInput{
			ImageId: image.ImageId, MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)), SubnetId: &subnet,
			TagSpecifications: s.spec(types.ResourceTypeInstance, "master"),
		})).Instances[0].InstanceId
	}
	// An instance that existed before and is terminated remains listed for an hour.
	must(e.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{deref(launch())}}))
	id := s.made("aws:ec2/instance:Instance", "master", launch(), true, "subnetId", subnet)
	address := s.made("aws:ec2/eip:Eip", "master", must(e.AllocateAddress(ctx, &ec2.AllocateAddressInput{
		Domain: types.DomainTypeVpc, TagSpecifications: s.spec(types.ResourceTypeElasticIp, "master"),
	})).AllocationId, true)
	s.made("aws:ec2/eipAssociation:EipAssociation", "master", must(e.AssociateAddress(ctx, &ec2.AssociateAddressInput{
		AllocationId: &address, InstanceId: &id,
	})).AssociationId, false, "allocationId", address, "instanceId", id)
}

func (s *site) names(vpc string) {
	zone := func(name, domain, comment string, tagged bool, in *dnstypes.VPC, pairs ...any) string {
		out := must(s.finder.route53.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{
			Name: &domain, CallerReference: ptr(s.stack + name), VPC: in,
			HostedZoneConfig: &dnstypes.HostedZoneConfig{Comment: &comment, PrivateZone: in != nil},
		}))
		id := strings.TrimPrefix(deref(out.HostedZone.Id), "/hostedzone/")
		if tagged {
			change := &route53.ChangeTagsForResourceInput{ResourceId: &id, ResourceType: dnstypes.TagResourceTypeHostedzone}
			for key, value := range s.tags(name) {
				change.AddTags = append(change.AddTags, dnstypes.Tag{Key: &key, Value: &value})
			}
			must(s.finder.route53.ChangeTagsForResource(ctx, change))
		}
		return s.made("aws:route53/zone:Zone", name, &id, true, append(pairs, "name", domain, "comment", comment)...)
	}
	zone("private", "dev.internal", "Names inside the VPC", false,
		&dnstypes.VPC{VPCId: &vpc, VPCRegion: dnstypes.VPCRegion(region)},
		"vpcs", []any{map[string]any{"vpcId": vpc}})
	public := zone("public", "example.org", "Public names", true, nil)
	must(s.finder.route53.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: &public,
		ChangeBatch: &dnstypes.ChangeBatch{Changes: []dnstypes.Change{{Action: dnstypes.ChangeActionCreate,
			ResourceRecordSet: &dnstypes.ResourceRecordSet{
				Name: ptr("*.apps.example.org"), Type: dnstypes.RRTypeA, TTL: ptr(int64(60)),
				ResourceRecords: []dnstypes.ResourceRecord{{Value: ptr("192.0.2.1")}, {Value: ptr("192.0.2.2")}},
			}}}},
	}))
	s.made("aws:route53/record:Record", "apps", ptr(public+"_*.apps.example.org_A"), false,
		"zoneId", public, "name", "*.apps.example.org", "type", "A", "records", []any{"192.0.2.2", "192.0.2.1"})
	request := &acm.RequestCertificateInput{DomainName: ptr("argocd.example.org"),
		ValidationMethod: acmtypes.ValidationMethodDns}
	for key, value := range s.tags("ingress") {
		request.Tags = append(request.Tags, acmtypes.Tag{Key: &key, Value: &value})
	}
	s.made("aws:acm/certificate:Certificate", "ingress", must(s.acm.RequestCertificate(ctx, request)).CertificateArn, true,
		"domainName", "argocd.example.org")
}

// repository creates one, or returns another stack's repository of the same name if it exists.
func (s *site) repository() {
	request := &ecr.CreateRepositoryInput{RepositoryName: ptr("apps/api")}
	for key, value := range s.tags("api") {
		request.Tags = append(request.Tags, ecrtypes.Tag{Key: &key, Value: &value})
	}
	id := ptr("")
	if out, err := s.ecr.CreateRepository(ctx, request); err == nil {
		id = out.Repository.RepositoryName
	}
	s.made("aws:ecr/repository:Repository", "api", id, true, "name", "apps/api")
}

// issuer creates an identity provider, or returns another stack's provider of the same URL if it exists.
func (s *site) issuer() {
	const url = "https://oidc.example.org/cluster"
	request := &iam.CreateOpenIDConnectProviderInput{Url: ptr(url), ThumbprintList: []string{strings.Repeat("f", 40)}}
	for key, value := range s.tags("issuer") {
		request.Tags = append(request.Tags, iamtypes.Tag{Key: &key, Value: &value})
	}
	id := ptr("")
	if out, err := s.iam.CreateOpenIDConnectProvider(ctx, request); err == nil {
		id = out.OpenIDConnectProviderArn
	}
	s.made("aws:iam/openIdConnectProvider:OpenIdConnectProvider", "issuer", id, true, "url", url)
}

func (s *site) build() *site {
	vpc, subnet := s.network()
	s.firewall(vpc)
	s.machine(subnet)
	s.names(vpc)
	s.repository()
	s.issuer()
	return s
}

// look runs the program as the driver does.
func look(t *testing.T, lookups []lookup) (found map[string][]string, code int, said string) {
	t.Helper()
	question := must(json.Marshal(lookups))
	var stdout, stderr bytes.Buffer
	code = run(ctx, []string{"--find", "--region", region}, bytes.NewReader(question), &stdout, &stderr)
	if code == exitClean {
		if err := json.Unmarshal(stdout.Bytes(), &found); err != nil {
			t.Fatalf("the answer is not JSON: %v\n%s", err, &stdout)
		}
	}
	return found, code, stderr.String()
}

// Two stacks that differ only in their tags: each finds only its own resources.
func TestFindReturnsOnlyTheResourcesOfAStack(t *testing.T) {
	w := newExternal(t)
	one, two := w.newSite("one").build(), w.newSite("two").build()
	for typ := range finders {
		if !slices.ContainsFunc(one.lookups, func(w lookup) bool { return w.Type == typ }) {
			t.Errorf("this test makes no %s", typ)
		}
	}
	for _, s := range []*site{one, two} {
		found, code, said := look(t, s.lookups)
		if code != exitClean {
			t.Fatalf("stack %s: exit code %d: %s", s.stack, code, said)
		}
		for urn, id := range s.ids {
			want := []string{id}
			if id == "" {
				want = nil
			}
			if !slices.Equal(found[urn], want) {
				t.Errorf("stack %s: %s is %v, found %v", s.stack, urn, want, found[urn])
			}
		}
	}
}

// Several resources that match are all returned, and the driver has to ask.
func TestFindReturnsAllThatMatch(t *testing.T) {
	w := newExternal(t)
	s := w.newSite("one")
	s.network()
	first := s.ids["aws:ec2/vpc:Vpc::vpc"]
	s.network()
	found, code, said := look(t, s.lookups[:1])
	want := sorted([]string{first, s.ids["aws:ec2/vpc:Vpc::vpc"]})
	if got := sorted(slices.Concat(slices.Collect(maps.Values(found))...)); code != exitClean || !slices.Equal(got, want) {
		t.Errorf("exit code %d, found %v, want %v: %s", code, got, want, said)
	}
}

func TestFindRefusesWhatItCannotAnswer(t *testing.T) {
	newExternal(t)
	for name, lookups := range map[string][]lookup{
		"no finder is registered for type aws:eks/cluster:Cluster": {{question.Lookup{URN: "a",
			Type: "aws:eks/cluster:Cluster", Tags: map[string]string{"a": "b"}}}},
		"neither tags nor properties are given": {{question.Lookup{URN: "a", Type: "aws:ec2/vpc:Vpc"}}},
	} {
		if _, code, said := look(t, lookups); code != exitLeft || !strings.Contains(said, name) {
			t.Errorf("exit code %d, %q; want %q", code, said, name)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"--find"}, strings.NewReader("[]"), &stdout, &stderr); code != exitUsage ||
		!strings.Contains(stderr.String(), "--region is missing") {
		t.Errorf("without a region: exit code %d, %q", code, &stderr)
	}
}
