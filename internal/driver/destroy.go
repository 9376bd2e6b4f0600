package driver

import (
	"context"
	"fmt"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
)

// destroy takes the stack down.
func destroy(ctx context.Context, s *session) error {
	return s.takeDown(ctx, "Destroy stack %s, all %d resources?")
}

// takeDown destroys the stack and ends with a receipt. It refuses to begin what protection would stop half way, and it gets
// past a cluster that is dead. The question is asked with the stack's name and the number of its resources.
func (s *session) takeDown(ctx context.Context, question string) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(p)
	s.start(p)
	st, err := s.state(ctx, p)
	if err != nil {
		return err
	}
	if err := refuseProtected(s.op, st); err != nil {
		return err
	}
	dead, err := s.findDead(ctx, p, st)
	if err != nil {
		return err
	}
	if _, err := s.settle(ctx, p, dead); err != nil {
		return err
	}
	before, err := p.export(ctx)
	if err != nil {
		return s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	if st, err = state.Parse(before); err != nil {
		return err
	}
	planned := existing(st)
	s.log.Emit(report.Event{Kind: report.KindPlan, Changes: map[string]int{"delete": sum(planned)}, Phases: deletions(planned)})
	if err := s.confirm(fmt.Sprintf(question, s.op.Stack, sum(planned))); err != nil {
		return err
	}
	if dead {
		if err := s.dropCluster(ctx, p); err != nil {
			return err
		}
	}
	w := report.NewWatcher(s.log, planned, false)
	err = w.Follow(func(stream chan<- events.EngineEvent) error {
		_, err := p.Destroy(ctx, optdestroy.EventStreams(stream), optdestroy.Parallel(s.op.parallel), optdestroy.SuppressProgress(), optdestroy.ShowSecrets(false))
		return err
	})
	if err != nil {
		return s.engine(err, w)
	}
	if err := s.timeline(before, w, true); err != nil {
		return err
	}
	return s.receipt(ctx, p, st, w)
}

// existing counts the resources in the state, by phase.
func existing(d state.State) map[string]int {
	count := map[string]int{}
	for _, r := range d.Resources {
		if state.Counted(r.Type, r.Custom) && !r.External {
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

// refuseProtected explains protection before anything is deleted; the engine would stop at the first protected resource,
// with half of the stack gone.
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
	return report.Fail(report.ExitCannotStart, lift, "stack %s is protected, nothing was touched: %s", op.Stack, strings.Join(names, ", "))
}
