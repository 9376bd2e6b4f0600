package driver

import (
	"context"

	"kubeadm-aws/internal/report"
	check "kubeadm-aws/internal/verify"
	"kubeadm-aws/internal/workspace"
)

// verify checks the live cluster of a stack through the kubeconfig among its outputs.
func verify(ctx context.Context, s *run) error {
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
	if s.op.Cloud == report.CloudSandbox {
		return s.verifyModel(ctx, w)
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
	err = judge(results)
	if code := report.CodeOf(err); code == report.ExitOK || code == report.ExitApplications {
		commits{s}.noteVerified(ctx, w)
	}
	return err
}

// judge returns the failure of a verify with these results, if it is one.
func judge(results []check.Result) error {
	faults, ofPlatform := 0, 0
	for _, r := range results {
		if r.Status != check.Failed {
			continue
		}
		faults++
		if !r.Applications {
			ofPlatform++
		}
	}
	switch {
	case ofPlatform > 0:
		return report.Fail(report.ExitUnverified, "", "%d of %d checks failed", faults, len(results))
	case faults > 0:
		return report.Fail(report.ExitApplications, "Correct or revert them in Git (docs/gitops.md, Back). A rollback of "+
			"the platform does not change them.",
			"the platform is verified, and applications are not well: %d of %d checks failed", faults, len(results))
	}
	return nil
}

// verifyModel checks the little that a simulation has of a cluster, so that a pipeline can be rehearsed as a whole.
func (s *run) verifyModel(ctx context.Context, w *workspace.Workspace) error {
	s.log.Info("The cluster is a model: only its API and its nodes are looked at.")
	var faults []string
	if !w.Sandbox.Cluster.APIAnswers() {
		faults = append(faults, "the API does not answer")
	} else {
		faults = w.Sandbox.Cluster.NotReady()
	}
	for _, fault := range faults {
		s.log.Emit(report.Event{Kind: report.KindCheck, Check: "model", Status: check.Failed, Message: fault})
	}
	if len(faults) > 0 {
		return report.Fail(report.ExitUnverified, "", "%d of the model's checks failed", len(faults))
	}
	commits{s}.noteVerified(ctx, w)
	return nil
}
