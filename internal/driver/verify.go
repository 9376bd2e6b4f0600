package driver

import (
	"context"

	"kubeadm-aws/internal/report"
	check "kubeadm-aws/internal/verify"
)

// verify checks the live cluster of a stack through the kubeconfig among its outputs.
func verify(ctx context.Context, s *run) error {
	if s.op.Cloud == report.CloudSandbox {
		return report.Fail(report.ExitUsage, "Use --cloud hosts or --cloud aws.", "the cluster of the simulated sandbox is a model and has no API to ask")
	}
	w, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	s.start(w)
	exported, err := w.Outputs(ctx)
	if err != nil {
		return err
	}
	kubeconfig, _ := exported["kubeconfig"].Value.(string)
	if kubeconfig == "" {
		return report.Fail(report.ExitCannotStart, "Bring it up first: go run ./cmd/kubeadm-aws up --stack "+s.op.Stack+" --cloud "+s.op.Cloud, "stack %s has no cluster yet", s.op.Stack)
	}
	api, err := check.Open([]byte(kubeconfig))
	if err != nil {
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	ctx, stop := s.cli.Until(ctx)
	defer stop()
	results, err := check.Run(ctx, api, check.Options{
		Config: s.cfg,
		Hosts:  s.op.Cloud == report.CloudHosts,
		Real:   w.Real,
		Wait:   s.op.wait,
		Report: func(r check.Result) {
			s.log.Emit(report.Event{Kind: report.KindCheck, Check: r.Check, Status: r.Status, Message: r.Message,
				Next: r.LookAt})
		},
	})
	if s.cli.Stopped() {
		return report.Fail(report.ExitInterrupted, "", "verify was interrupted")
	}
	if err != nil {
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	faults := 0
	for _, r := range results {
		if r.Status == check.Failed {
			faults++
		}
	}
	if faults > 0 {
		return report.Fail(report.ExitUnverified, "", "%d of %d checks failed", faults, len(results))
	}
	return nil
}
