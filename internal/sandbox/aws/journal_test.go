package aws

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
)

// A killed process leaves a journal that may end in half a line. The next process finds exactly the operations that
// were answered.
func TestJournalSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	c := startClient(t, dir, nil)
	n := c.Network()
	c.Instance(n, "host", nil)
	if err := c.Delete(n.SSH); err != nil {
		t.Fatal(err)
	}
	want := c.leftovers()

	path := filepath.Join(dir, "account.jsonl")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"object":{"type":"aws:ec2/vpc:Vpc","id":"vpc-ha` +
		strings.Repeat("lf", 2000)); err != nil {
		t.Fatal(err)
	}
	file.Close()

	for range 2 { // the second process reads what the first wrote after the half line
		next := startClient(t, dir, nil)
		if got := next.leftovers(); !slices.Equal(got, want) {
			t.Errorf("after a restart\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		again := next.Make(VPCType, "vpc", props.Map{"cidrBlock": "10.1.0.0/16"})
		if again.ID == n.VPC.ID {
			t.Error("an id was given twice")
		}
		if err := next.Delete(again); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournalHoldsNoSecrets(t *testing.T) {
	dir := t.TempDir()
	c := startClient(t, dir, nil)
	n := c.Network()
	key := c.Make("tls:index/privateKey:PrivateKey", "host", props.Map{"algorithm": "ED25519"})
	in := props.ToSDK(props.Map{
		"ami": "ami-0123456789abcdef0", "instanceType": "t3.large", "subnetId": n.Subnet.ID,
		"vpcSecurityGroupIds": []any{n.Group.ID},
	}).ObjectValue()
	in["userData"] = resource.MakeSecret(resource.NewStringProperty("#cloud-config\n" + key.Out("privateKeyOpenssh")))
	if _, err := c.Server(InstanceType).Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: sandboxtest.URN(InstanceType, "host"), Properties: c.Marshal(in),
	}); err != nil {
		t.Fatal(err)
	}
	journal, err := os.ReadFile(filepath.Join(dir, "account.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(journal), "PRIVATE KEY") || !strings.Contains(string(journal), `"userData":"secret:`) {
		t.Error("the journal must hold a hash in place of the user data with the private key in it")
	}
}
