package state

import (
	"slices"
	"strings"
	"testing"
)

const prefix = "urn:pulumi:dev::kubeadm-aws::"

func TestStateWithoutTheCluster(t *testing.T) {
	const kubernetes, vpcURN, gate, drain = prefix + "kubernetes:core/v1:Namespace::a", prefix + "aws:ec2/vpc:Vpc::v",
		prefix + "command:remote:Command::gate", prefix + "command:remote:Command::worker-1-node"
	exported := `{"version":3,"deployment":{"secrets_providers":{"type":"passphrase"},"resources":[
	 {"urn":"` + vpcURN + `","custom":true,"type":"aws:ec2/vpc:Vpc","inputs":{"big":12345678901234567890}},
	 {"urn":"` + kubernetes + `","custom":true,"type":"kubernetes:core/v1:Namespace"},
	 {"urn":"` + gate + `","custom":true,"type":"command:remote:Command","inputs":{"delete":"x"},"dependencies":["` +
		kubernetes + `"]},
	 {"urn":"` + drain + `","custom":true,"type":"command:remote:Command","inputs":{"delete":"x"},"deletedWith":"` +
		vpcURN + `",
	  "dependencies":["` + kubernetes + `","` + vpcURN + `"],"propertyDependencies":{"create":["` + gate + `","` + vpcURN +
		`"]}}],
	 "pending_operations":[{"type":"creating","resource":{"urn":"` + kubernetes + `"}}]}}`
	d, err := Parse([]byte(exported))
	if err != nil {
		t.Fatal(err)
	}
	inside := d.InsideCluster()
	if len(inside) != 2 || !inside[kubernetes] || !inside[gate] {
		t.Fatalf("inside the cluster are %v", inside)
	}
	after := d.Without(inside)
	text, err := after.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Resources) != 2 || len(after.PendingOperations) != 0 {
		t.Fatalf("after it the state is %s", text)
	}
	left := after.Resources[1]
	if !slices.Equal(left.Dependencies, []URN{vpcURN}) ||
		!slices.Equal(left.PropertyDependencies["create"], []URN{vpcURN}) || left.DeletedWith != vpcURN {
		t.Errorf("references are %+v", left)
	}
	for _, gone := range []string{kubernetes, gate} {
		if strings.Contains(string(text), gone) {
			t.Errorf("%s is still named in %s", gone, text)
		}
	}
	if !strings.Contains(string(text), "12345678901234567890") {
		t.Errorf("a number was rounded: %s", text)
	}
}
