package driver

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kubeadm-aws/internal/report"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
)

// up plans, shows the plan, and carries it out.
func up(ctx context.Context, s *session) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(p)
	s.start(p)
	st, err := s.settle(ctx, p, false)
	if err != nil {
		return err
	}
	if err := s.finishUnfinished(ctx, p, st); err != nil {
		return err
	}
	if err := s.findLost(ctx, p); err != nil {
		return err
	}
	plan, err := s.plan(ctx, p)
	if err != nil {
		return err
	}
	if len(plan.Done) > 0 {
		if err := s.confirm("Make these changes?"); err != nil {
			return err
		}
	}
	if err := s.takeOver(ctx, p, plan.Installs); err != nil {
		return err
	}
	w := report.NewWatcher(s.log, plan.Done, false)
	var exported auto.OutputMap
	err = w.Follow(func(stream chan<- events.EngineEvent) error {
		result, err := p.Up(ctx, optup.EventStreams(stream), optup.Parallel(s.op.parallel), optup.SuppressProgress(), optup.ShowSecrets(false))
		exported = result.Outputs
		return err
	})
	if err != nil {
		s.tellTroubles(ctx, p, w.Unready)
		return s.engine(err, w)
	}
	if err := s.upTimeline(ctx, p, w); err != nil {
		return err
	}
	s.report(exported, false)
	s.tellNotReady(ctx, p)
	return nil
}

func (s *session) upTimeline(ctx context.Context, p *place, w *report.Watcher) error {
	if len(w.Spans) == 0 {
		return nil
	}
	deployment, err := p.export(ctx)
	if err != nil {
		return err
	}
	return s.timeline(deployment, w, false)
}

// preview plans and shows the plan.
func preview(ctx context.Context, s *session) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(p)
	s.start(p)
	if err := s.tellCut(ctx, p); err != nil {
		return err
	}
	if _, err := s.findStopped(ctx, p); err != nil {
		return err
	}
	plan, err := s.plan(ctx, p)
	if err != nil {
		return err
	}
	if s.op.expectNoChanges && len(plan.Done) > 0 {
		return report.Fail(report.ExitChanges, "Look at the plan above; up carries it out.", "stack %s is not what its settings say", s.op.Stack)
	}
	return nil
}

// refresh takes over into the state what differs from it in the account.
func refresh(ctx context.Context, s *session) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(p)
	s.start(p)
	if err := s.confirm("Take over into the state what differs?"); err != nil {
		return err
	}
	if _, err := s.settle(ctx, p, false); err != nil {
		return err
	}
	silent, err := s.findStopped(ctx, p)
	if err != nil {
		return err
	}
	return s.refreshAll(ctx, p, silent)
}

// plan previews, reports the plan and refuses one that cannot end well.
func (s *session) plan(ctx context.Context, p *place) (*report.Watcher, error) {
	w := report.NewWatcher(s.log, nil, true)
	err := w.Follow(func(stream chan<- events.EngineEvent) error {
		_, err := p.Preview(ctx, optpreview.EventStreams(stream), optpreview.Parallel(s.op.parallel), optpreview.SuppressProgress())
		return err
	})
	if err != nil {
		return nil, s.engine(err, w)
	}
	s.log.Emit(w.PlanEvent())
	s.tellFolded(w)
	return w, s.refuseLostControlPlane(ctx, p, w.Plan)
}

// engine turns an engine's error into a failure.
func (s *session) engine(err error, w *report.Watcher) error {
	killed, _ := s.cli.Killed()
	return report.EngineFailure(err, s.op.Subject, report.Outcome{
		Said: w.Said, Begun: !w.Preview && len(w.Spans) > 0, Region: s.cfg.Region, Interrupted: s.cli.Stopped(), Killed: killed,
	})
}

// confirm asks before a change to a real account.
func (s *session) confirm(question string) error {
	if !s.asks() {
		return nil
	}
	if s.op.json {
		return report.Fail(report.ExitUsage, "", "with --json nobody can be asked; give --yes")
	}
	fmt.Fprintf(s.out, "\n%s Type yes: ", question)
	answer, _ := s.in.ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return report.Fail(report.ExitCannotStart, "", "not confirmed; nothing was changed")
	}
	return nil
}

// asks says whether changes have to be confirmed.
func (s *session) asks() bool { return s.op.Cloud == report.CloudAWS && !s.op.yes }

// close ends what runs beside the stack.
func (s *session) close(p *place) {
	if _, locked := s.cli.Killed(); locked && p.sandbox == nil {
		s.unlock(p)
	}
	if err := p.Close(); err != nil {
		s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Message: "closing: " + err.Error()})
	}
}

// unlock removes the lock of a CLI that this run has killed.
func (s *session) unlock(p *place) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.cli.resume()
	if err := p.Cancel(ctx); err != nil {
		s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Message: fmt.Sprintf("The lock of this run is still there (%s). To remove it: "+
			"go run ./cmd/kubeadm-aws cancel --stack %s --cloud %s", report.Shortened(err), s.op.Stack, s.op.Cloud)})
	}
}

// tellFolded says once what the engine says of each resource, and names renewed certificates as such.
func (s *session) tellFolded(w *report.Watcher) {
	renewed := 0
	for _, c := range w.Plan {
		if c.Op == "replace" && strings.Contains(c.URN, "tls:index/locallySignedCert:LocallySignedCert::") {
			renewed++
		}
	}
	if renewed > 0 {
		s.info(fmt.Sprintf("%d %s renewed.", renewed, report.Plural(renewed, "certificate is", "certificates are")))
	}
	if w.NotKnown > 0 {
		s.info(fmt.Sprintf("The inputs of %d %s are known only when the plan is carried out, so some of its updates may turn out to change nothing.",
			w.NotKnown, report.Plural(w.NotKnown, "resource", "resources")))
	}
}
