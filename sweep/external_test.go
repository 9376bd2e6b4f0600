package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	dnstypes "github.com/aws/aws-sdk-go-v2/service/route53/types"
)

const region = "eu-central-1"

var ctx = context.Background()

// external creates resources from outside the program: as Pulumi, the controllers and the users of an account.
type external struct {
	*testing.T
	aws  *account
	zone string
}

func newExternal(t *testing.T) *external {
	t.Helper()
	moto(t)
	w := &external{T: t, aws: must(open(ctx, scope{}, region))}
	zone := must(w.aws.route53.CreateHostedZone(ctx,
		&route53.CreateHostedZoneInput{Name: ptr("example.com"), CallerReference: ptr(t.Name())}))
	w.zone = strings.TrimPrefix(deref(zone.HostedZone.Id), "/hostedzone/")
	return w
}

func ptr[T any](v T) *T { return &v }

// must is for calls that prepare a test. A panic shows which one failed.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// vpc is one VPC with the resources that Pulumi creates in it for a cluster.
type vpc struct {
	*external
	cluster, id string
	subnets     []string
	// nodes is Pulumi's security group of the instances, which has the cluster's tag as the controllers require.
	nodes string
	port  int32
}

func (w *external) newVPC(cluster string) *vpc {
	v := &vpc{external: w, cluster: cluster}
	v.id = deref(must(w.aws.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{
		CidrBlock: ptr("10.0.0.0/16"), TagSpecifications: specification(types.ResourceTypeVpc,
			v.owned(tagManagedBy, managedByPulumi)),
	})).Vpc.VpcId)
	for i, zone := range []string{"a", "b"} {
		out := must(w.aws.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: &v.id, CidrBlock: ptr(fmt.Sprintf("10.0.%d.0/24", i)), AvailabilityZone: ptr(region + zone),
			TagSpecifications: specification(types.ResourceTypeSubnet, v.owned(tagManagedBy, managedByPulumi)),
		}))
		v.subnets = append(v.subnets, deref(out.Subnet.SubnetId))
	}
	v.nodes = v.group("nodes", v.owned(tagProject, cluster, tagManagedBy, managedByPulumi))
	v.rule(v.nodes, "ssh", "")
	return v
}

// owned returns the tags that the cloud provider sets, and further pairs of key and value.
func (v *vpc) owned(pairs ...string) []string {
	return append([]string{tagCloudProvider + v.cluster, "owned"}, pairs...)
}

func (v *vpc) ofController() []string { return []string{tagLoadBalancerController, v.cluster} }

func specification(of types.ResourceType, pairs []string) []types.TagSpecification {
	if len(pairs) == 0 {
		return nil
	}
	spec := types.TagSpecification{ResourceType: of}
	for pair := range slices.Chunk(pairs, 2) {
		spec.Tags = append(spec.Tags, types.Tag{Key: &pair[0], Value: &pair[1]})
	}
	return []types.TagSpecification{spec}
}

func elbTags(pairs []string) []elbtypes.Tag {
	var tags []elbtypes.Tag
	for pair := range slices.Chunk(pairs, 2) {
		tags = append(tags, elbtypes.Tag{Key: &pair[0], Value: &pair[1]})
	}
	return tags
}

func (v *vpc) group(name string, tags []string) string {
	return deref(must(v.aws.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		GroupName: &name, Description: &name, VpcId: &v.id,
		TagSpecifications: specification(types.ResourceTypeSecurityGroup, tags),
	})).GroupId)
}

// rule opens a port of a group to another group, or to all addresses, and returns the id of the rule.
func (v *vpc) rule(group, description, from string) string {
	v.port++ // two rules of a group may not be the same
	p := types.IpPermission{IpProtocol: ptr("tcp"), FromPort: &v.port, ToPort: &v.port}
	if from == "" {
		p.IpRanges = []types.IpRange{{CidrIp: ptr("0.0.0.0/0"), Description: &description}}
	} else {
		p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: &from, Description: &description}}
	}
	out := must(v.aws.ec2.AuthorizeSecurityGroupIngress(ctx,
		&ec2.AuthorizeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []types.IpPermission{p}}))
	return deref(out.SecurityGroupRules[0].SecurityGroupRuleId)
}

// balancer creates a load balancer with a listener and a target group. It returns their ARNs and its DNS name.
func (v *vpc) balancer(name string, tags []string, groups ...string) (lb, listener, targets, dns string) {
	out := must(v.aws.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{
		Name: &name, Subnets: v.subnets, SecurityGroups: groups, Tags: elbTags(tags),
	})).LoadBalancers[0]
	tg := must(v.aws.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: &name, VpcId: &v.id, Protocol: elbtypes.ProtocolEnumHttp, Port: ptr(int32(80)), Tags: elbTags(tags),
	})).TargetGroups[0]
	l := must(v.aws.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: out.LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: ptr(int32(80)),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: tg.TargetGroupArn}},
	})).Listeners[0]
	return deref(out.LoadBalancerArn), deref(l.ListenerArn), deref(tg.TargetGroupArn), deref(out.DNSName)
}

func (v *vpc) classicBalancer(name string, tags []string) string {
	in := &classic.CreateLoadBalancerInput{
		LoadBalancerName: &name, Subnets: v.subnets,
		Listeners: []classictypes.Listener{{Protocol: ptr("tcp"), LoadBalancerPort: 80, InstancePort: ptr(int32(30080))}},
	}
	for pair := range slices.Chunk(tags, 2) {
		in.Tags = append(in.Tags, classictypes.Tag{Key: &pair[0], Value: &pair[1]})
	}
	must(v.aws.classic.CreateLoadBalancer(ctx, in))
	return name
}

func (v *vpc) networkInterface(description string, tags []string, groups ...string) string {
	return deref(must(v.aws.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{
		SubnetId: &v.subnets[0], Description: &description, Groups: groups,
		TagSpecifications: specification(types.ResourceTypeNetworkInterface, tags),
	})).NetworkInterface.NetworkInterfaceId)
}

func (w *external) volume(tags []string) string {
	return deref(must(w.aws.ec2.CreateVolume(ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: ptr(region + "a"), Size: ptr(int32(10)),
		TagSpecifications: specification(types.ResourceTypeVolume, tags),
	})).VolumeId)
}

// claimed returns the tags that the volume driver sets.
func (v *vpc) claimed(namespace, name string) []string {
	return v.owned(tagVolumeDriver, v.cluster, tagClaimNamespace, namespace, tagClaimName, name, tagVPC, v.id)
}

func (w *external) snapshot(volume string, tags []string) string {
	return deref(must(w.aws.ec2.CreateSnapshot(ctx, &ec2.CreateSnapshotInput{
		VolumeId: &volume, TagSpecifications: specification(types.ResourceTypeSnapshot, tags),
	})).SnapshotId)
}

func (w *external) record(set dnstypes.ResourceRecordSet) string {
	must(w.aws.route53.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: &w.zone,
		ChangeBatch: &dnstypes.ChangeBatch{Changes: []dnstypes.Change{{Action: dnstypes.ChangeActionCreate,
			ResourceRecordSet: &set}}},
	}))
	return recordID(set)
}

func (w *external) alias(name, dns string) string {
	return w.record(dnstypes.ResourceRecordSet{
		Name: &name, Type: dnstypes.RRTypeA,
		AliasTarget: &dnstypes.AliasTarget{DNSName: &dns, HostedZoneId: ptr("Z215JYRZR1TBD5"), EvaluateTargetHealth: true},
	})
}

func (w *external) address(name, ip string) string {
	return w.record(dnstypes.ResourceRecordSet{
		Name: &name, Type: dnstypes.RRTypeA, TTL: ptr(int64(60)),
		ResourceRecords: []dnstypes.ResourceRecord{{Value: &ip}},
	})
}

func recordID(set dnstypes.ResourceRecordSet) string {
	return strings.TrimSuffix(deref(set.Name), ".") + " " + string(set.Type)
}

func (v *vpc) instance() string {
	image := must(v.aws.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{})).Images[0]
	return deref(must(v.aws.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: image.ImageId, MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)), SubnetId: &v.subnets[0],
		TagSpecifications: specification(types.ResourceTypeInstance,
			v.owned("Name", "worker-1", tagManagedBy, managedByPulumi)),
	})).Instances[0].InstanceId)
}

// leftovers are the ids of the resources that a cluster's controllers left.
type leftovers struct {
	load    []string // load balancers, listeners, target groups
	network []string // security groups, rules, interfaces
	volumes []string
	records []string
}

func (l leftovers) all() []string {
	return sorted(slices.Concat(l.load, l.network, l.volumes, l.records))
}

// leave creates one resource of every type that controllers leave.
func (v *vpc) leave() leftovers {
	var l leftovers
	shared := v.group("k8s-traffic-"+v.cluster, v.ofController())
	front := v.group("k8s-platform-"+v.cluster, v.ofController())
	service := v.group("k8s-elb-"+v.cluster, v.owned())
	l.network = append(l.network, shared, front, service,
		// Two groups that refer to each other, and Pulumi's group that refers to one of them.
		v.rule(shared, "from the front", front),
		v.rule(front, "from the backend", shared),
		v.rule(v.nodes, controllerRule+"targetGroupBinding=shared", shared),
		v.rule(v.nodes, "from the classic load balancer", service),
		v.networkInterface("left by a controller", v.owned()),
		v.networkInterface("in a group of a controller", nil, shared),
	)
	lb, listener, targets, dns := v.balancer("k8s-platform-"+v.cluster, v.ofController(), front, shared)
	l.load = append(l.load, lb, listener, targets, v.classicBalancer("a"+v.cluster+"service", v.owned()))
	l.volumes = append(l.volumes, v.volume(v.claimed("data", "rabbitmq-0")),
		v.volume(v.claimed("monitoring", "prometheus-0")))
	l.records = append(l.records, v.alias("grafana."+v.cluster+".example.com", "dualstack."+dns),
		v.alias("argocd."+v.cluster+".example.com", dns))
	return l
}

// inventory returns every id in the account, whoever owns it.
func (w *external) inventory() []string {
	var ids []string
	a := w.aws
	for _, lb := range must(a.elb.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{})).LoadBalancers {
		ids = append(ids, deref(lb.LoadBalancerArn))
		for _, l := range must(a.elb.DescribeListeners(ctx,
			&elb.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})).Listeners {
			ids = append(ids, deref(l.ListenerArn))
		}
	}
	for _, g := range must(a.elb.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{})).TargetGroups {
		ids = append(ids, deref(g.TargetGroupArn))
	}
	for _, lb := range must(a.classic.DescribeLoadBalancers(ctx,
		&classic.DescribeLoadBalancersInput{})).LoadBalancerDescriptions {
		ids = append(ids, deref(lb.LoadBalancerName))
	}
	for _, g := range must(a.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{})).SecurityGroups {
		ids = append(ids, deref(g.GroupId))
		rules := must(a.ec2.DescribeSecurityGroupRules(ctx,
			&ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{filter("group-id", deref(g.GroupId))}}))
		for _, r := range rules.SecurityGroupRules {
			if !deref(r.IsEgress) { // the rule that allows all outgoing traffic is deleted with its group
				ids = append(ids, deref(r.SecurityGroupRuleId))
			}
		}
	}
	for _, n := range must(a.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces {
		ids = append(ids, deref(n.NetworkInterfaceId))
	}
	for _, v := range must(a.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})).Volumes {
		ids = append(ids, deref(v.VolumeId))
	}
	for _, s := range must(a.ec2.DescribeSnapshots(ctx,
		&ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})).Snapshots {
		ids = append(ids, deref(s.SnapshotId))
	}
	for _, r := range must(a.route53.ListResourceRecordSets(ctx,
		&route53.ListResourceRecordSetsInput{HostedZoneId: &w.zone})).ResourceRecordSets {
		ids = append(ids, recordID(r))
	}
	return sorted(ids)
}

// gone returns the ids that existed before and do not exist now.
func gone(before, now []string) []string {
	return slices.DeleteFunc(slices.Clone(before), func(id string) bool { return slices.Contains(now, id) })
}
