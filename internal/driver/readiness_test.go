package driver

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

// A plan does not look at nodes, so up says at its end which of them are not Ready, and what to look at.
func TestUpSaysWhichNodeIsNotReady(t *testing.T) {
	needCLI(t)
	dir := project(t)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK ||
		strings.Contains(stdout, "is not Ready") {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	external(t, dir, func(s *sandbox.Sandbox) error { return s.AWS.StopInstance("worker-1") })
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "worker-1 is not Ready: its instance is stopped") ||
		!strings.Contains(stdout, "aws ec2 start-instances") {
		t.Errorf("up with a stopped worker exits %d:\n%s", code, stdout)
	}
}

// The engine warns of every resource behind a renewed certificate. One line says it.
func TestWarningsOfARenewalAreFolded(t *testing.T) {
	to := &recorder{}
	l := newTestLog(to)
	w := report.NewWatcher(l, nil, true)
	for _, name := range []string{"a", "b", "c"} {
		w.Take(events.EngineEvent{EngineEvent: apitype.EngineEvent{DiagnosticEvent: &apitype.DiagnosticEvent{
			URN: prefix + "kubernetes:core/v1:Namespace::" + name, Severity: "warning",
			Message: "The provider for this resource has inputs that are not known during preview.\n" +
				"This preview may not correctly represent the changes that will be applied during an update.",
		}}})
	}
	for _, name := range []string{"admin", "join"} {
		w.Plan = append(w.Plan, report.PlannedChange{Op: "replace",
			URN: prefix + "tls:index/locallySignedCert:LocallySignedCert::" + name})
	}
	tellFolded(l, w)
	var said []string
	for _, e := range to.events {
		said = append(said, e.Severity+" "+e.Message)
	}
	if len(said) != 2 || !strings.Contains(said[0], "2 certificates are renewed") ||
		!strings.Contains(said[1], "inputs of 3 resources") {
		t.Errorf("said %q", said)
	}
}
