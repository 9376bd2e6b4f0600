package main

import (
	"strings"
	"testing"

	"kubeadm-aws/sandbox"
)

// A control plane that is gone makes the cluster silent; up has to look what became of it before it plans.
func TestUpFindsOutWhyAClusterIsSilent(t *testing.T) {
	needCLI(t)
	dir := project(t)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != exitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	world(t, dir, func(s *sandbox.Sandbox) error { return s.TerminateInstance("master") })
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != exitOK || !strings.Contains(stdout, "does not answer. Looking what became of the machines") ||
		!strings.Contains(stdout, "master         is a control plane") || strings.Contains(stdout, "worker-1       instance runs") {
		t.Errorf("up after the control plane was lost exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ = drive(t, "preview", "--stack", "dev", "--dir", dir, "--expect-no-changes"); code != exitOK {
		t.Errorf("preview after it exits %d:\n%s", code, stdout)
	}
}
