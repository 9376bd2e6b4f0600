package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
)

// sweep removes by tag what controllers of the cluster left in the account. Destroy has the same step between the
// instances and the network. sweep lists first and asks before it removes.
func sweep(ctx context.Context, s *run) error {
	w, st, err := openState(ctx, s)
	if err != nil {
		return err
	}
	defer w.Close()
	if !s.op.dryRun {
		if err := s.closeExpired(ctx, w, st); err != nil {
			return err
		}
	}
	line, there, err := account.SweepIn(st)
	if err != nil {
		return report.Fail(report.ExitCannotStart, "", "%w", err)
	}
	if !there {
		return report.Fail(report.ExitCannotStart,
			"Left by an earlier stack, with the id of its VPC: "+account.SweepByHand(w, "ID"),
			"the state of stack %s holds no network that could be swept", s.op.Stack)
	}
	found, err := account.Sweep(ctx, w, line, true)
	if err != nil {
		return report.Fail(report.ExitFailed, "", "the account could not be listed: %w", err)
	}
	s.log.Emit(report.Event{Kind: report.KindSweep, Status: "found", Found: found.Left, Kept: found.Kept,
		Left: found.Foreign})
	if len(found.Left) == 0 || s.op.dryRun {
		return nil
	}
	if len(found.Instances) > 0 {
		return report.Fail(report.ExitCannotStart, "destroy takes it along. With strays that no state knows: aws ec2 terminate-instances",
			"nothing was removed: what is listed may be in use, because instances of the cluster run: %s",
			strings.Join(found.Instances, ", "))
	}
	if err := s.confirm(fmt.Sprintf("Remove %d %s?", len(found.Left), report.Plural(len(found.Left), "resource", "resources"))); err != nil {
		return err
	}
	after, err := account.Sweep(ctx, w, line, false)
	if s.cli.Stopped() {
		return report.Fail(report.ExitInterrupted, "Run it again: it starts with a fresh list.", "the sweep was interrupted")
	}
	if err != nil && len(after.Left) == 0 {
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	s.log.Emit(report.Event{Kind: report.KindSweep, Status: "done", Swept: after.Removed, Kept: after.Kept,
		Left: slices.Concat(after.Left, after.Foreign)})
	if len(after.Left) > 0 {
		return report.Fail(report.ExitLeftovers, "Run it again when the cause is gone.", "%d %s left", len(after.Left),
			report.Plural(len(after.Left), "resource is", "resources are"))
	}
	return nil
}
