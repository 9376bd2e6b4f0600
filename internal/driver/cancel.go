package driver

import (
	"context"

	"kubeadm-aws/internal/report"
)

// cancel removes the lock that a dead run left in the backend. Opening a simulation already does that.
func cancel(ctx context.Context, s *run) error {
	w, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	if w.Sandbox != nil {
		return nil
	}
	if err := s.confirm("Remove the lock? The run that made it must surely be dead."); err != nil {
		return err
	}
	if err := w.Engine.Cancel(ctx); err != nil {
		return report.Fail(report.ExitFailed, "", "%s", report.Shortened(err))
	}
	return nil
}
