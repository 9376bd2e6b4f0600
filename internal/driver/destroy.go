package driver

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/recovery"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
)

// askAfter is the time between two requests to a Kubernetes API that does not answer.
var askAfter = 5 * time.Second // tests do not wait

// destroy takes the stack down.
func destroy(ctx context.Context, s *run) error {
	return s.takeDown(ctx, "Destroy stack %s, all %d resources?")
}

// takeDown destroys the stack and ends with a receipt. It refuses a protected stack before anything is deleted, and it
// continues without a dead cluster. question is a format with the stack's name and the number of its resources.
func (s *run) takeDown(ctx context.Context, question string) error {
	w, st, err := openState(ctx, s)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := refuseProtected(s.op, st); err != nil {
		return err
	}
	if err := account.RefuseOther(ctx, w, st); err != nil {
		return err
	}
	dead, err := recovery.FindDead(ctx, w, recovery.DeadArgs{State: st, Without: s.op.without, AskAfter: askAfter})
	if err != nil {
		return err
	}
	if _, err := recovery.RecoverPending(ctx, w, dead); err != nil {
		return err
	}
	before, err := w.Export(ctx)
	if err != nil {
		return err
	}
	if st, err = state.Parse(before); err != nil {
		return err
	}
	planned := existing(st)
	s.log.Emit(report.Event{Kind: report.KindPlan, Changes: map[string]int{"delete": sum(planned)},
		Phases: deletions(planned)})
	if err := s.confirm(fmt.Sprintf(question, s.op.Stack, sum(planned))); err != nil {
		return err
	}
	if dead {
		if err := recovery.DropCluster(ctx, w); err != nil {
			return err
		}
	}
	watcher := report.NewWatcher(s.log, planned, false)
	err = watcher.Follow(func(stream chan<- events.EngineEvent) error {
		_, err := w.Engine.Destroy(ctx, optdestroy.EventStreams(stream), optdestroy.Parallel(s.op.parallel),
			optdestroy.SuppressProgress(), optdestroy.ShowSecrets(false))
		return err
	})
	if err != nil {
		return w.Failure(err, watcher)
	}
	if err := tellTimeline(ctx, w, before, watcher, true); err != nil {
		return err
	}
	return s.receipt(ctx, w, st, watcher.Changes["delete"])
}

// existing counts the resources in the state, by phase.
func existing(d state.State) map[string]int {
	count := map[string]int{}
	for _, r := range d.Resources {
		if state.IsCounted(r.Type, r.Custom) && !r.External {
			count[state.PhaseOf(r.URN)]++
		}
	}
	return count
}

func deletions(planned map[string]int) []report.PhaseChanges {
	var all []report.PhaseChanges
	for _, phase := range state.Phases {
		if n := planned[phase]; n > 0 {
			all = append(all, report.PhaseChanges{Phase: phase, Changes: map[string]int{"delete": n}})
		}
	}
	return all
}

func sum(by map[string]int) int {
	total := 0
	for _, n := range by {
		total += n
	}
	return total
}

// refuseProtected refuses a protected stack before anything is deleted. The engine would stop at the first protected
// resource, with half of the stack gone.
func refuseProtected(op operation, d state.State) error {
	var names []string
	for _, r := range d.Resources {
		if r.Protect && !r.External {
			names = append(names, state.Readable(r.URN))
		}
	}
	if len(names) == 0 {
		return nil
	}
	lift := fmt.Sprintf(`To lift the protection, then destroy:
  pulumi config set --stack %[1]s --path kubeadm-aws:protection.protect false
  go run ./cmd/kubeadm-aws up --stack %[1]s --cloud %[2]s`, op.Stack, op.Cloud)
	return report.Fail(report.ExitCannotStart, lift, "stack %s is protected, nothing was touched: %s", op.Stack,
		strings.Join(names, ", "))
}
