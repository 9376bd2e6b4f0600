package aws

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"

	"kubeadm-aws/sweep/sweepline"
)

// A stopped worker has no public address. Without ignoreChanges the next plan replaces the worker.
func TestAStoppedInstanceIsReadAsAWSShowsIt(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	worker := c.Instance(n, "worker", props.Map{"associatePublicIpAddress": true})
	if err := c.console.StopInstance("worker"); err != nil {
		t.Fatal(err)
	}
	stopped := c.Refreshed(worker)
	if got := props.FromSDK(stopped.Outputs, false); got.Str("publicIp") != "" || got.Str("instanceState") != "stopped" {
		t.Errorf("a stopped instance is read with %v, %v", got["publicIp"], got["instanceState"])
	}
	d := c.Diff(stopped, props.FromSDK(worker.Inputs, false))
	if !slices.Contains(d.Replaces, "associatePublicIpAddress") {
		t.Errorf("replaces %v: the provider would replace the instance", d.Replaces)
	}
	ignoring, err := c.Server(InstanceType).Diff(t.Context(), &pulumirpc.DiffRequest{
		Urn: sandboxtest.URN(worker.Type, worker.Name), Id: worker.ID, News: c.Marshal(worker.Inputs),
		OldInputs: c.Marshal(stopped.Inputs), Olds: c.Marshal(stopped.Outputs), IgnoreChanges: []string{"associatePublicIpAddress"},
	})
	if err != nil || len(ignoring.Replaces) > 0 {
		t.Errorf("replaces %v although the change is ignored (%v)", ignoring.Replaces, err)
	}
	if err := c.console.StartInstance("worker"); err != nil {
		t.Fatal(err)
	}
	if got := c.Refreshed(worker).Inputs["associatePublicIpAddress"]; !got.DeepEquals(resource.NewProperty(true)) {
		t.Errorf("a started instance is read with associatePublicIpAddress %v", got)
	}
}

// IAM deletes no role with a policy. The provider detaches those of others first if the program says so.
func TestAPolicyOfOthersIsDetached(t *testing.T) {
	c := newClient(t)
	role := c.Make(roleType, "plain", props.Map{"name": "plain", "assumeRolePolicy": trust})
	forced := c.Make(roleType, "forced", props.Map{
		"name": "forced", "assumeRolePolicy": trust, "forceDetachPolicies": true,
	})
	for _, name := range []string{"plain", "forced"} {
		c.console.AttachPolicy(name, "AmazonS3ReadOnlyAccess")
	}
	if err := c.Delete(role); err == nil || !strings.Contains(err.Error(), "DeleteConflict") {
		t.Errorf("a role with a policy goes: %v", err)
	}
	if err := c.Delete(forced); err != nil {
		t.Error(err)
	}
}

// GuardDuty's endpoint blocks the deletion of the subnets. The sweep removes it, and leaves the endpoint of a person.
func TestEndpointsOfOthersBlockTheSubnets(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	if err := c.console.GuardDutyEndpoint(n.VPC.ID); err != nil {
		t.Fatal(err)
	}
	blocked := func() bool {
		err := c.Delete(n.Subnet)
		return err != nil && strings.Contains(err.Error(), "DependencyViolation")
	}
	if !blocked() {
		t.Error("the subnet went although an endpoint has an interface in it")
	}
	line := sweepline.Line{Cluster: "dev", VPC: n.VPC.ID, Volumes: sweepline.Delete}
	if swept := c.console.Sweep(line, false); len(swept.Found) != 2 {
		t.Errorf("swept %v, want the endpoint and its group", swept.Found)
	}
	if err := c.console.ForeignEndpoint(n.VPC.ID, "ssm"); err != nil {
		t.Fatal(err)
	}
	if swept := c.console.Sweep(line, false); len(swept.Found) != 0 || !blocked() {
		t.Errorf("swept %v: that endpoint is not ours", swept.Found)
	}
}
