package driver

import (
	"testing"

	"kubeadm-aws/internal/report"
	check "kubeadm-aws/internal/verify"
)

func TestOnlyAFaultOfThePlatformIsACauseToGoBack(t *testing.T) {
	well := check.Result{Check: "api", Status: check.OK}
	application := check.Result{Check: "argo cd", Status: check.Failed, Applications: true}
	platform := check.Result{Check: "nodes", Status: check.Failed}
	for want, results := range map[int][]check.Result{
		report.ExitOK:           {well, {Check: "logging", Status: check.Skipped}},
		report.ExitApplications: {well, application},
		report.ExitUnverified:   {application, platform, well},
	} {
		if got := report.CodeOf(judge(results)); got != want {
			t.Errorf("exit %d, want %d", got, want)
		}
	}
}
