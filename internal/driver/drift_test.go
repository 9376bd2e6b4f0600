package driver

import (
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

// A preview compares the settings with the state. Only with --refresh does it see what others changed in the account,
// and it changes nothing then either.
func TestAPreviewWithRefreshSeesDrift(t *testing.T) {
	needCLI(t)
	dir := project(t)
	code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir, "--expect-no-changes")
	if code != report.ExitCannotStart || !strings.Contains(stdout, "stack dev has no resources") {
		t.Errorf("of an empty stack it exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	compare := func(flags ...string) (int, string) {
		code, stdout, _ := drive(t, append([]string{"preview", "--stack", "dev", "--dir", dir, "--expect-no-changes"},
			flags...)...)
		return code, stdout
	}
	code, stdout = compare("--refresh")
	if code != report.ExitOK {
		t.Fatalf("of an untouched stack it exits %d:\n%s", code, stdout)
	}
	if strings.Contains(stdout, "is expected to have version") {
		t.Errorf("the engine takes a provider of the sandbox for older than its SDK:\n%s", stdout)
	}
	external(t, dir, func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-2") })
	if code, stdout := compare(); code != report.ExitOK {
		t.Errorf("without --refresh it exits %d:\n%s", code, stdout)
	}
	for range 2 {
		if code, stdout := compare("--refresh"); code != report.ExitChanges || !strings.Contains(stdout, "worker-2 (Instance)") {
			t.Errorf("of a stack that lost a machine it exits %d:\n%s", code, stdout)
		}
	}
}
