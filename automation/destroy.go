package main

import (
	"context"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
)

// destroy takes the stack down, and ends with a receipt.
func destroy(ctx context.Context, s *session) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(p)
	s.start(p)
	before, err := p.export(ctx)
	if err != nil {
		return err
	}
	planned, err := existing(before)
	if err != nil {
		return err
	}
	if err := s.confirm("Destroy all of it?"); err != nil {
		return err
	}
	w := newWatcher(s.log, planned, false)
	err = w.follow(func(stream chan<- events.EngineEvent) error {
		_, err := p.Destroy(ctx, optdestroy.EventStreams(stream), optdestroy.Parallel(s.op.parallel), optdestroy.SuppressProgress(), optdestroy.ShowSecrets(false))
		return err
	})
	if err != nil {
		return s.engine(err, w)
	}
	if err := s.timeline(before, w, true); err != nil {
		return err
	}
	return s.receipt(p, w)
}

// existing counts the resources in the state, by phase.
func existing(text []byte) (map[string]int, error) {
	d, err := parseDeployment(text)
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	for _, r := range d.Resources {
		if counted(r.Type, r.Custom) && !r.External {
			count[phaseOf(r.URN)]++
		}
	}
	return count, nil
}

// receipt proves that nothing is left, or names what is.
func (s *session) receipt(p *place, w *watcher) error {
	if p.sandbox == nil {
		return nil
	}
	left := p.sandbox.Leftovers()
	s.log.emit(event{Kind: kindReceipt, Left: left, Changes: w.changes})
	if len(left) > 0 {
		return fail(exitLeftovers, "", "%d %s left", len(left), plural(len(left), "thing is", "things are"))
	}
	if err := p.Close(); err != nil {
		return err
	}
	return os.RemoveAll(p.dir)
}
