package account

import (
	"errors"
	"testing"

	"kubeadm-aws/internal/state"
)

// TestCredentialsOfAnotherAccount checks that the account of the VPC in the state is the one of the credentials. In
// another account AWS answers that no instance of the stack exists, and a living cluster would count as ended.
func TestCredentialsOfAnotherAccount(t *testing.T) {
	exported := `{"version":3,"deployment":{"resources":[{"urn":"urn:pulumi:dev::kubeadm-aws::aws:ec2/vpc:Vpc::vpc",` +
		`"custom":true,"id":"vpc-1","type":"aws:ec2/vpc:Vpc","outputs":{"ownerId":"111122223333"}}]}}`
	st, err := state.Parse([]byte(exported))
	if err != nil {
		t.Fatal(err)
	}
	for credentials, refused := range map[string]bool{"111122223333": false, "444455556666": true, "": false} {
		if err := refuseOther(st, credentials); errors.Is(err, ErrOtherAccount) != refused {
			t.Errorf("credentials of %q: %v", credentials, err)
		}
	}
	if err := refuseOther(state.State{}, "444455556666"); err != nil {
		t.Errorf("a stack without a VPC: %v", err)
	}
}
