package stack_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"

	"kubeadm-aws/internal/sandbox"
)

// TestAFailureAnywhereConverges lets the first create of every resource fail once and runs up until it succeeds. It
// then compares the account with one that was created without failures.
func TestAFailureAnywhereConverges(t *testing.T) {
	calm := running(t)
	want := urns(calm.box.Operations(), "create")

	r := simulate(t, "dev", everything())
	r.failEach("create", want, func() outcome { return r.up(optup.ContinueOnError()) })
	if got := urns(r.box.Operations(), "create"); !slices.Equal(got, want) {
		t.Errorf("resources made: %d, without failures: %d", len(got), len(want))
	}
	if got, want := len(r.box.Leftovers()), len(calm.box.Leftovers()); got != want {
		t.Errorf("the account holds %d resources, without failures %d", got, want)
	}
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	r.destroy().must(t)
	r.mustBeEmpty()
}

// TestADestroyThatFailsAnywhereEnds lets the first delete of every resource fail once and runs destroy until it
// succeeds.
func TestADestroyThatFailsAnywhereEnds(t *testing.T) {
	calm := running(t)
	r := calm.twin(t)
	calm.destroy().must(t)

	r.users()
	r.failEach("delete", urns(calm.box.Operations(), "delete"),
		func() outcome { return r.destroy(optdestroy.ContinueOnError()) })
	r.mustBeEmpty()
}

// failEach lets the first operation of a kind on every resource fail, and repeats a run until it succeeds. Every
// resource in want must have failed once.
func (r *simulation) failEach(verb string, want []string, run func() outcome) {
	r.t.Helper()
	failed := map[string]bool{}
	r.failing(func(op sandbox.Operation) error {
		if op.Verb != verb || failed[op.URN] {
			return nil
		}
		failed[op.URN] = true
		return fmt.Errorf("injected failure of %s", op.URN)
	})
	defer r.failing(nil)
	runs := 1
	for ; run().err != nil; runs++ {
		if runs > len(want) {
			r.t.Fatalf("no end after %d runs:\n%s", runs, tail(r.log.String(), 3000))
		}
	}
	count := 0
	for _, urn := range want {
		if failed[urn] {
			count++
		} else {
			r.t.Errorf("%s was never tried", urn)
		}
	}
	r.t.Logf("%d of %d %ss failed once; %d runs until the end", count, len(want), verb, runs)
}

// urns returns the distinct resources for which operations of a kind succeeded, sorted.
func urns(operations []sandbox.Operation, verb string) []string {
	seen := map[string]bool{}
	for _, op := range operations {
		if op.Verb == verb {
			seen[op.URN] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
