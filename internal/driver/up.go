package driver

import (
	"context"
	"fmt"
	"strings"
	"time"

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
	if len(plan.done) > 0 {
		if err := s.confirm("Make these changes?"); err != nil {
			return err
		}
	}
	if err := s.takeOver(ctx, p, plan.installs); err != nil {
		return err
	}
	w := newWatcher(s.log, plan.done, false)
	var exported auto.OutputMap
	err = w.follow(func(stream chan<- events.EngineEvent) error {
		result, err := p.Up(ctx, optup.EventStreams(stream), optup.Parallel(s.op.parallel), optup.SuppressProgress(), optup.ShowSecrets(false))
		exported = result.Outputs
		return err
	})
	if err != nil {
		s.tellTroubles(ctx, p, w.unready)
		return s.engine(err, w)
	}
	if err := s.upTimeline(ctx, p, w); err != nil {
		return err
	}
	s.report(exported, false)
	s.tellNotReady(ctx, p)
	return nil
}

func (s *session) upTimeline(ctx context.Context, p *place, w *watcher) error {
	if len(w.spans) == 0 {
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
	if s.op.expectNoChanges && len(plan.done) > 0 {
		return fail(exitChanges, "Look at the plan above; up carries it out.", "stack %s is not what its settings say", s.op.stack)
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
func (s *session) plan(ctx context.Context, p *place) (*watcher, error) {
	w := newWatcher(s.log, nil, true)
	err := w.follow(func(stream chan<- events.EngineEvent) error {
		_, err := p.Preview(ctx, optpreview.EventStreams(stream), optpreview.Parallel(s.op.parallel), optpreview.SuppressProgress())
		return err
	})
	if err != nil {
		return nil, s.engine(err, w)
	}
	s.log.emit(w.planEvent())
	s.tellFolded(w)
	return w, s.refuseLostControlPlane(ctx, p, w.plan)
}

// engine turns an engine's error into a failure.
func (s *session) engine(err error, w *watcher) error {
	killed, _ := s.cli.Killed()
	return engineFailure(err, s.op, outcome{
		said: w.said, begun: !w.preview && len(w.spans) > 0, region: s.cfg.Region, interrupted: s.cli.Stopped(), killed: killed,
	})
}

// confirm asks before a change to a real account.
func (s *session) confirm(question string) error {
	if !s.asks() {
		return nil
	}
	if s.op.json {
		return fail(exitUsage, "", "with --json nobody can be asked; give --yes")
	}
	fmt.Fprintf(s.out, "\n%s Type yes: ", question)
	answer, _ := s.in.ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return fail(exitCannotStart, "", "not confirmed; nothing was changed")
	}
	return nil
}

// asks says whether changes have to be confirmed.
func (s *session) asks() bool { return s.op.cloud == cloudAWS && !s.op.yes }

// close ends what runs beside the stack.
func (s *session) close(p *place) {
	if _, locked := s.cli.Killed(); locked && p.sandbox == nil {
		s.unlock(p)
	}
	if err := p.Close(); err != nil {
		s.log.emit(event{Kind: kindLog, Severity: "warning", Message: "closing: " + err.Error()})
	}
}

// unlock removes the lock of a CLI that this run has killed.
func (s *session) unlock(p *place) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.cli.resume()
	if err := p.Cancel(ctx); err != nil {
		s.log.emit(event{Kind: kindLog, Severity: "warning", Message: fmt.Sprintf("The lock of this run is still there (%s). To remove it: "+
			"go run ./cmd/kubeadm-aws cancel --stack %s --cloud %s", shortened(err), s.op.stack, s.op.cloud)})
	}
}

// tellFolded says once what the engine says of each resource, and names renewed certificates as such.
func (s *session) tellFolded(w *watcher) {
	renewed := 0
	for _, c := range w.plan {
		if c.Op == "replace" && strings.Contains(c.URN, "tls:index/locallySignedCert:LocallySignedCert::") {
			renewed++
		}
	}
	if renewed > 0 {
		s.info(fmt.Sprintf("%d %s renewed.", renewed, plural(renewed, "certificate is", "certificates are")))
	}
	if w.notKnown > 0 {
		s.info(fmt.Sprintf("The inputs of %d %s are known only when the plan is carried out, so some of its updates may turn out to change nothing.",
			w.notKnown, plural(w.notKnown, "resource", "resources")))
	}
}
