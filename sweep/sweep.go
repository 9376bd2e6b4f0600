package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kubeadm-aws/sweep/receipt"
)

// sweep is one run.
type sweep struct {
	account  *account
	receipt  *receipt.Receipt
	progress func(format string, args ...any)
	// pause waits before the next round and returns the context's error when that ends first.
	pause func(ctx context.Context, round int) error
}

// run lists, removes and lists again until the listing is empty, or nothing more can be done, or the context ends. AWS
// refuses to delete what is still in use and forgets deletions for a moment, so only an empty listing counts as the
// end.
func (s *sweep) run(ctx context.Context) error {
	for round := 0; ; round++ {
		now, err := s.account.survey(ctx)
		if err != nil {
			return s.stopped(err)
		}
		s.receipt.Update(items(now.leftovers))
		// Copies, because an empty list is [] in JSON and a nil one is null.
		s.receipt.Kept, s.receipt.NotTouched = append([]Item{}, now.kept...), append([]Item{}, now.foreign...)
		s.receipt.Instances = append([]Item{}, now.alive...)
		if s.receipt.DryRun || len(now.leftovers) == 0 {
			return nil
		}
		if len(now.alive) > 0 {
			return aliveError(now.alive)
		}
		if round == 0 {
			s.progress("%d left by the cluster's controllers; removing them", len(now.leftovers))
		}
		deleted, refused := s.round(ctx, now)
		s.receipt.Left = items(now.leftovers) // with the reasons that this round found
		if refused > 0 && deleted == 0 {
			// The run cannot end well, so it does not wait for the deadline either.
			return s.leftError("")
		}
		if err := s.pause(ctx, round); err != nil {
			return s.stopped(err)
		}
	}
}

// round tries to remove everything once, in order. The Reason of an item says why it could not be removed. It returns
// how many deletions AWS accepted, and how many it refused for good.
func (s *sweep) round(ctx context.Context, now *survey) (deleted, refused int) {
	failed := map[string]bool{}
	for i := range now.leftovers {
		t := &now.leftovers[i]
		if first := firstOf(t.after, failed); first != "" {
			t.Reason = "waits for " + first
			failed[t.ID] = true
			continue
		}
		if t.remove == nil {
			failed[t.ID] = true
			continue
		}
		err := t.remove(ctx)
		if err == nil || missing(err) {
			s.progress("  deleted %s", t.Item)
			deleted++
			continue
		}
		failed[t.ID] = true
		t.Reason = reason(err)
		if hopeless(err) {
			refused++
			s.progress("  cannot delete %s", t.Item)
		} else {
			s.progress("  not yet: %s", t.Item)
		}
	}
	return deleted, refused
}

func firstOf(ids []string, in map[string]bool) string {
	for _, id := range ids {
		if in[id] {
			return id
		}
	}
	return ""
}

// stopped turns the error that ended the run into one that names what is left.
func (s *sweep) stopped(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return s.leftError("the time is over (--timeout); ")
	case errors.Is(err, context.Canceled):
		return s.leftError("interrupted; ")
	}
	return err
}

func (s *sweep) leftError(why string) error {
	lines := make([]string, len(s.receipt.Left))
	for i, item := range s.receipt.Left {
		lines[i] = "\n  " + item.String()
	}
	return fmt.Errorf("%s%d left in the account, run again when the cause is gone:%s", why, len(lines),
		strings.Join(lines, ""))
}

func aliveError(alive []Item) error {
	names := make([]string, len(alive))
	ids := make([]string, len(alive))
	for i, item := range alive {
		names[i], ids[i] = "\n  "+item.String(), item.ID
	}
	return fmt.Errorf("nothing was removed: %d instances of the cluster are not terminated, so its load balancers and volumes may be in use:%s\n"+
		"Take the cluster down with pulumi destroy, or if they are strays: aws ec2 terminate-instances --instance-ids %s",
		len(alive), strings.Join(names, ""), strings.Join(ids, " "))
}

// pause grows to 15 s: most resources go in the first round, and what AWS releases by itself takes from seconds to some
// minutes.
func pause(ctx context.Context, round int) error {
	var wait time.Duration
	if round > 0 {
		wait = min(time.Second<<min(round-1, 4), 15*time.Second)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
