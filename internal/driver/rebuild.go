package driver

import (
	"context"
	"errors"

	"kubeadm-aws/internal/report"
)

// rebuild takes the stack down and, if nothing is left, brings it up again. It asks once, before the destroy.
func rebuild(ctx context.Context, s *run) error {
	if err := s.takeDown(ctx,
		"Destroy stack %s, all %d resources, and create it again? All data in the cluster is lost."); err != nil {
		return err
	}
	s.op.yes = true // the question was about both
	err := up(ctx, s)
	if f := (*report.Failure)(nil); errors.As(err, &f) {
		f.Next = "The stack was destroyed. To continue with creating it: go run ./cmd/kubeadm-aws up --stack " + s.op.Stack +
			" --cloud " + s.op.Cloud
	}
	return err
}
