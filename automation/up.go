package main

import (
	"context"
	"fmt"
	"strings"

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
	state, err := s.settle(ctx, p)
	if err != nil {
		return err
	}
	if err := s.uninstallHalves(ctx, p, state); err != nil {
		return err
	}
	if err := s.findLost(ctx, p); err != nil {
		return err
	}
	planned, err := s.plan(ctx, p)
	if err != nil {
		return err
	}
	if len(planned) > 0 {
		if err := s.confirm("Make these changes?"); err != nil {
			return err
		}
	}
	w := newWatcher(s.log, planned, false)
	var exported auto.OutputMap
	err = w.follow(func(stream chan<- events.EngineEvent) error {
		result, err := p.Up(ctx, optup.EventStreams(stream), optup.Parallel(s.op.parallel), optup.SuppressProgress(), optup.ShowSecrets(false))
		exported = result.Outputs
		return err
	})
	if err != nil {
		return s.engine(err, w)
	}
	if err := s.upTimeline(ctx, p, w); err != nil {
		return err
	}
	s.report(exported, false)
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
	planned, err := s.plan(ctx, p)
	if err != nil {
		return err
	}
	if s.op.expectNoChanges && len(planned) > 0 {
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
	if _, err := s.settle(ctx, p); err != nil {
		return err
	}
	silent, err := s.apiSilent(ctx, p)
	if err != nil {
		return err
	}
	return s.refreshAll(ctx, p, silent)
}

// plan previews, reports the plan, refuses one that cannot end well, and returns how many resources it changes, by phase.
func (s *session) plan(ctx context.Context, p *place) (map[string]int, error) {
	w := newWatcher(s.log, nil, true)
	err := w.follow(func(stream chan<- events.EngineEvent) error {
		_, err := p.Preview(ctx, optpreview.EventStreams(stream), optpreview.Parallel(s.op.parallel), optpreview.SuppressProgress())
		return err
	})
	if err != nil {
		return nil, s.engine(err, w)
	}
	s.log.emit(w.planEvent())
	return w.done, s.refuseLostControlPlane(ctx, p, w.plan)
}

// engine turns an engine's error into a failure.
func (s *session) engine(err error, w *watcher) error {
	return engineFailure(err, s.op, w.errors > 0, s.cli.Stopped())
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
	if err := p.Close(); err != nil {
		s.log.emit(event{Kind: kindLog, Severity: "warning", Message: "closing: " + err.Error()})
	}
}
