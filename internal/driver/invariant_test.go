package driver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
)

// mustMatch compares the state with the account and the cluster, both ways: what the state has must exist, and what the
// engine made and exists must be in the state. Nothing may be left over from a run that was interrupted.
func mustMatch(t *testing.T, dir string) {
	t.Helper()
	st := stateOf(t, dir)
	var exists []string
	external(t, dir, func(s *sandbox.Sandbox) error {
		for _, m := range s.Made() {
			exists = append(exists, m.URN+" "+m.ID)
		}
		return nil
	})
	var known []string
	for _, r := range st.Resources {
		if pkg, _, _ := strings.Cut(string(r.Type), ":"); r.Custom && (pkg == "aws" || pkg == "kubernetes") {
			known = append(known, string(r.URN)+" "+string(r.ID))
		}
		if r.Delete || len(r.InitErrors) > 0 {
			t.Errorf("the state says of %s: to be deleted %v, faults %v", state.Readable(r.URN), r.Delete, r.InitErrors)
		}
		if status := state.ReleaseStatus(r); r.Type == state.ReleaseType && status != "deployed" {
			t.Errorf("%s is %s", state.Readable(r.URN), status)
		}
	}
	differ(t, "is in the state and does not exist", known, exists)
	differ(t, "exists and is not in the state", exists, known)
	if len(st.PendingOperations) > 0 {
		t.Errorf("the state has %d pending operations", len(st.PendingOperations))
	}
}

// differ reports what is in one list and not in the other.
func differ(t *testing.T, what string, in, other []string) {
	t.Helper()
	var only []string
	for _, entry := range in {
		if !slices.Contains(other, entry) {
			urn, id, _ := strings.Cut(entry, " ")
			only = append(only, fmt.Sprintf("%s %s", state.Readable(state.URN(urn)), id))
		}
	}
	if len(only) > 0 {
		t.Errorf("%d %s:\n  %s", len(only), what, strings.Join(only, "\n  "))
	}
}

// A checker that cannot fail proves nothing.
func TestTheInvariantSeesBothKindsOfDifference(t *testing.T) {
	fake := &testing.T{}
	differ(fake, "differs", []string{"urn:pulumi:dev::p::aws:ec2/vpc:Vpc::v vpc-1"}, nil)
	if !fake.Failed() {
		t.Error("a resource without a counterpart was not reported")
	}
}
