package driver

import (
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

// sick is a stack of dev with workers in one or several zones.
type sick struct {
	*testing.T
	dir string
}

// newSick brings a stack up.
func newSick(t *testing.T, nodes ...string) sick {
	t.Helper()
	needCLI(t)
	s := sick{t, project(t)}
	if len(nodes) > 0 {
		nodesOf(t, s.dir, nodes...)
	}
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", s.dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	return s
}

// after lets something happen from outside.
func (s sick) after(do func(*sandbox.Sandbox) error) sick {
	s.Helper()
	external(s.T, s.dir, do)
	return s
}

// repair runs the command and compares its exit code and parts of what it says. A part that begins with ! must be
// absent.
func (s sick) repair(code int, says ...string) {
	s.Helper()
	s.command(code, []string{"repair"}, says...)
}

func (s sick) command(code int, args []string, says ...string) {
	s.Helper()
	got, stdout, _ := drive(s.T, append(args, "--stack", "dev", "--dir", s.dir)...)
	if got != code {
		s.Errorf("%v exits %d, want %d:\n%s", args, got, code, stdout)
	}
	for _, part := range says {
		text, absent := strings.CutPrefix(part, "!")
		if strings.Contains(stdout, text) == absent {
			s.Errorf("%v: %q:\n%s", args, part, stdout)
		}
	}
}

// unchanged checks that the settings plan nothing and the state matches what exists.
func (s sick) unchanged() {
	s.Helper()
	s.command(report.ExitOK, []string{"preview", "--expect-no-changes"})
	mustMatch(s.T, s.dir)
}

const longAgo = 20 * time.Minute

func stopKubelet(node string, before time.Duration) func(*sandbox.Sandbox) error {
	return func(s *sandbox.Sandbox) error { return s.Nodes.StopKubelet(node, time.Now().Add(-before)) }
}

// TestRepairReplacesOneWorkerAfterTheOther loses a machine, and then a kubelet. The other machines stay.
func TestRepairReplacesOneWorkerAfterTheOther(t *testing.T) {
	s := newSick(t)
	s.repair(report.ExitOK, "No worker has to be replaced")
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-1") })
	s.command(report.ExitChanges, []string{"repair", "--dry-run"}, "worker-1 (i-", "1 worker would be replaced")
	s.repair(report.ExitOK, "has no machine any more", "worker-1       instance runs", "worker-1 is replaced and Ready",
		"!worker-2       instance", "!storage        instance")
	s.unchanged()
	s.after(stopKubelet("worker-2", 5*time.Minute)).repair(report.ExitOK, "it counts as failed after 15m0s", "!is replaced")
	s.after(stopKubelet("worker-2", longAgo)).repair(report.ExitOK, "worker-2 is replaced and Ready",
		"worker-2       is drained and out of the cluster", "!worker-1       instance")
	s.unchanged()
	// The same again at once: a new machine did not help.
	s.after(stopKubelet("worker-2", longAgo)).repair(report.ExitBlocked, "is not replaced again before", "!instance runs")
}
