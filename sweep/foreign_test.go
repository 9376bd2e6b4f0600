package main

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Two clusters with one name in an account: each sweep removes only its own volumes, including those created before
// volumes had the VPC's tag.
func TestANamesakesVolumesStay(t *testing.T) {
	w := newExternal(t)
	mine, namesake := w.newVPC("dev"), w.newVPC("dev")
	gone := w.volume(mine.claimed("data", "mine"))
	unmarked := w.volume(mine.owned(tagVolumeDriver, "dev"))
	theirs := w.volume(namesake.claimed("data", "theirs"))
	backup := w.snapshot(theirs, namesake.claimed("data", "theirs"))

	file := filepath.Join(t.TempDir(), "receipt.json")
	out := sweepIt(t, "--cluster", "dev", "--vpc", mine.id, "--volumes", "delete", "--receipt", file)

	if out.code != exitClean {
		t.Fatalf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
	}
	now := w.inventory()
	if slices.Contains(now, gone) || !slices.Contains(now, unmarked) || !slices.Contains(now, theirs) {
		t.Errorf("left %v; want %s gone and the volumes of the namesake, and the one that names no VPC, there", now, gone)
	}
	r := readReceipt(t, file)
	if got, want := ids(r.NotTouched), sorted([]string{unmarked, theirs}); !slices.Equal(got, want) {
		t.Errorf("named as not touched: %v, want %v", got, want)
	}
	if slices.Contains(ids(r.Kept), backup) {
		t.Error("the namesake's snapshot is called ours")
	}
	for _, i := range r.NotTouched {
		if !strings.Contains(i.Reason, namesake.id) {
			t.Errorf("%s does not name the other VPC", i)
		}
	}

	// The other cluster is deleted, VPC and instances: volumes without the VPC's tag are ours.
	must(w.aws.ec2.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &theirs}))
	for _, subnet := range namesake.subnets {
		must(w.aws.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet}))
	}
	must(w.aws.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &namesake.nodes}))
	must(w.aws.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &namesake.id}))
	again := sweepIt(t, "--cluster", "dev", "--vpc", mine.id, "--volumes", "delete")
	if again.code != exitClean || slices.Contains(w.inventory(), unmarked) {
		t.Errorf("the volume that names no VPC is left: exit code %d\n%s%s", again.code, again.stdout, again.stderr)
	}
}

// A volume that an earlier cluster of this name kept has the tag of that cluster's VPC.
func TestVolumesOfAnEarlierLifeStay(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	kept := w.volume(v.owned(tagVolumeDriver, "dev", tagVPC, "vpc-of-an-earlier-life"))

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete")

	if out.code != exitClean || !slices.Contains(w.inventory(), kept) ||
		!strings.Contains(out.stdout, "vpc-of-an-earlier-life") {
		t.Errorf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
	}
}

func (v *vpc) endpoint(service string, pairs ...string) string {
	return deref(must(v.aws.ec2.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
		VpcId: &v.id, ServiceName: &service, VpcEndpointType: types.VpcEndpointTypeInterface, SubnetIds: v.subnets[:1],
		TagSpecifications: specification(types.ResourceTypeVpcEndpoint, pairs),
	})).VpcEndpoint.VpcEndpointId)
}

func (v *vpc) endpoints() []string {
	var alive []string
	out := must(v.aws.ec2.DescribeVpcEndpoints(ctx,
		&ec2.DescribeVpcEndpointsInput{Filters: []types.Filter{filter("vpc-id", v.id)}}))
	for _, e := range out.VpcEndpoints {
		if e.State != "deleted" && e.State != "deleting" {
			alive = append(alive, deref(e.VpcEndpointId))
		}
	}
	return alive
}

func TestGuardDutysEndpointIsRemovedAndOthersAreReported(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	v.endpoint("com.amazonaws.eu-central-1.guardduty-data", tagGuardDuty, "true")
	group := v.group("GuardDutyManagedSecurityGroup-"+v.id, []string{tagGuardDuty, "true"})
	other := v.endpoint("com.amazonaws.eu-central-1.ssm")
	ours := v.endpoint("com.amazonaws.eu-central-1.s3", tagManagedBy, managedByPulumi)
	var order []string
	w.refusing(func(action string, _ url.Values) refusal {
		if action == "DeleteVpcEndpoints" || action == "DeleteSecurityGroup" {
			order = append(order, action)
		}
		return refusal{}
	})

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete")

	if out.code != exitClean || slices.Contains(w.inventory(), group) {
		t.Errorf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
	}
	if got, want := sorted(v.endpoints()), sorted([]string{other, ours}); !slices.Equal(got, want) {
		t.Errorf("endpoints left: %v, want %v", got, want)
	}
	if !slices.Equal(order, []string{"DeleteVpcEndpoints", "DeleteSecurityGroup"}) {
		t.Errorf("deleted in the order %v", order)
	}
	if !strings.Contains(out.stdout, "aws ec2 delete-vpc-endpoints --vpc-endpoint-ids "+other) ||
		strings.Contains(out.stdout, ours) {
		t.Errorf("named:\n%s", out.stdout)
	}
}

// Every resource that blocks the deletion of the VPC is reported with the facts that lead to its owner.
func TestWhatBlocksTheVPCIsNamed(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	subnet := deref(must(w.aws.ec2.CreateSubnet(ctx,
		&ec2.CreateSubnetInput{VpcId: &v.id, CidrBlock: ptr("10.0.9.0/24")})).Subnet.SubnetId)
	table := deref(must(w.aws.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &v.id})).RouteTable.RouteTableId)
	nat := deref(must(w.aws.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
		SubnetId: &subnet, ConnectivityType: types.ConnectivityTypePrivate,
	})).NatGateway.NatGatewayId)
	peer := deref(must(w.aws.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: ptr("10.9.0.0/16")})).Vpc.VpcId)
	peering := deref(must(w.aws.ec2.CreateVpcPeeringConnection(ctx, &ec2.CreateVpcPeeringConnectionInput{
		VpcId: &v.id, PeerVpcId: &peer,
	})).VpcPeeringConnection.VpcPeeringConnectionId)
	image := must(w.aws.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{})).Images[0]
	instance := deref(must(w.aws.ec2.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: image.ImageId, MinCount: ptr(int32(1)), MaxCount: ptr(int32(1)), SubnetId: &subnet,
	})).Instances[0].InstanceId)
	acl := deref(must(w.aws.ec2.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: &v.id})).NetworkAcl.NetworkAclId)
	internet := deref(must(w.aws.ec2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})).
		InternetGateway.InternetGatewayId)
	must(w.aws.ec2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{VpcId: &v.id, InternetGatewayId: &internet}))
	egress := deref(must(w.aws.ec2.CreateEgressOnlyInternetGateway(ctx, &ec2.CreateEgressOnlyInternetGatewayInput{
		VpcId: &v.id,
	})).EgressOnlyInternetGateway.EgressOnlyInternetGatewayId)
	vpn := deref(must(w.aws.ec2.CreateVpnGateway(ctx, &ec2.CreateVpnGatewayInput{Type: types.GatewayTypeIpsec1})).
		VpnGateway.VpnGatewayId)
	must(w.aws.ec2.AttachVpnGateway(ctx, &ec2.AttachVpnGatewayInput{VpcId: &v.id, VpnGatewayId: &vpn}))
	lambda := v.networkInterface("AWS Lambda VPC ENI-report-1234", nil)

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete")

	for kind, id := range map[string]string{
		"subnet": subnet, "route table": table, "NAT gateway": nat, "peering connection": peering, "instance": instance,
		"network interface": lambda, "network ACL": acl, "internet gateway": internet, "egress-only internet gateway": egress,
		"VPN gateway": vpn,
	} {
		if !strings.Contains(out.stdout, "not touched   "+kind+" "+id) {
			t.Errorf("the %s %s is not named", kind, id)
		}
	}
	if !strings.Contains(out.stdout, "AWS Lambda VPC ENI-report-1234") {
		t.Error("the interface is named without its description")
	}
	if out.code != exitClean || t.Failed() {
		t.Errorf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
	}
}

func TestTheUserOfAnInterface(t *testing.T) {
	for want, n := range map[string]types.NetworkInterface{
		"instance i-1": {Attachment: &types.NetworkInterfaceAttachment{InstanceId: ptr("i-1")},
			RequesterId: ptr("amazon-aws")},
		"lambda":     {InterfaceType: types.NetworkInterfaceTypeLambda, RequesterId: ptr("AROA1")},
		"amazon-rds": {InterfaceType: types.NetworkInterfaceTypeInterface, RequesterId: ptr("amazon-rds")},
		"":           {},
	} {
		if got := user(n); got != want {
			t.Errorf("user %q, want %q", got, want)
		}
	}
}
