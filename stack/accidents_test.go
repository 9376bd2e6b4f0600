package stack_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/sandbox"
)

var errInjected = errors.New("injected failure")

// TestAccidents goes on with a stack, or destroys it, after events outside the program.
func TestAccidents(t *testing.T) {
	base := running(t)
	base.users()
	t.Run("the Kubernetes API is dead", func(t *testing.T) {
		r := base.twin(t)
		if err := r.box.Cluster.KillAPI(); err != nil {
			t.Fatal(err)
		}
		o := r.destroy()
		if o.err == nil || !strings.Contains(o.printed, "the Kubernetes API does not answer") {
			t.Fatalf("destroy says nothing of the dead API:\n%s", tail(o.printed, 2000))
		}
		if err := r.box.Cluster.ReviveAPI(); err != nil {
			t.Fatal(err)
		}
		r.destroy().must(t)
		r.mustBeEmpty()
	})
	t.Run("a worker was terminated by hand", func(t *testing.T) {
		r := base.twin(t)
		if err := r.box.AWS.TerminateInstance("worker-1"); err != nil {
			t.Fatal(err)
		}
		r.destroy().must(t)
		r.mustBeEmpty()
	})
	t.Run("a worker was terminated by hand, and a refresh saw it", func(t *testing.T) {
		r := base.twin(t)
		if err := r.box.AWS.TerminateInstance("worker-1"); err != nil {
			t.Fatal(err)
		}
		r.refresh().must(t)
		// The step of the old machine is deleted after the new one has joined.
		inTurn(t, r.up().must(t).order, "update worker-1-join", "delete-replaced worker-1-node", "create-replacement worker-1-node")
		if nodes := r.box.Account("k8s/Node"); !slices.ContainsFunc(nodes, func(node string) bool {
			return strings.Contains(node, "worker-1")
		}) {
			t.Errorf("the node of the new machine is gone: %q", nodes)
		}
		r.up().mustNotChange(t)
	})
	t.Run("the state is older than the account", func(t *testing.T) {
		r := base.twin(t)
		// As after a kill: the state still contains resources that a run deleted. First with a running cluster, then
		// without it.
		for _, stop := range []string{"aws:ec2/eipAssociation:EipAssociation", "aws:ec2/vpc:Vpc"} {
			before := r.deployment()
			reached := false
			r.failing(func(op sandbox.Operation) error {
				if op.Verb == "delete" && op.Type == stop {
					reached = true
					return errInjected
				}
				return nil
			})
			r.destroy()
			if !reached {
				t.Fatalf("destroy does not come to %s", stop)
			}
			r.believe(before)
			reached = false
			if r.destroy(); !reached { // all resources before it are already deleted
				t.Fatalf("with an older state, destroy does not come to %s:\n%s", stop, tail(r.log.String(), 2000))
			}
		}
		r.failing(nil)
		r.destroy().must(t)
		r.mustBeEmpty()
	})
}
