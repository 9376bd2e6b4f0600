package driver

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

// A control plane that is gone makes the cluster silent; up has to look what became of it before it plans.
func TestUpFindsOutWhyAClusterIsSilent(t *testing.T) {
	needCLI(t)
	dir := project(t)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	external(t, dir, func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("master") })
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitFailed || !strings.Contains(stdout, "Set backup.restoreFrom to") ||
		strings.Contains(stdout, "worker-1       instance runs") {
		t.Errorf("up after the control plane was lost, without a word on restoring, exits %d:\n%s", code, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "  kubeadm-aws:owner: platform\n",
		"  kubeadm-aws:owner: platform\n  kubeadm-aws:backup: {restoreFrom: latest}\n")
	code, stdout, _ = drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "does not answer. Looking what became of the machines") ||
		!strings.Contains(stdout, "master         is a control plane") ||
		strings.Contains(stdout, "worker-1       instance runs") {
		t.Errorf("up after the control plane was lost exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ = drive(t, "preview", "--stack", "dev", "--dir", dir,
		"--expect-no-changes"); code != report.ExitOK {
		t.Errorf("preview after it exits %d:\n%s", code, stdout)
	}
}

// TestALostMajorityIsRestored terminates two of three control planes, and later the one that is left. Then one up
// restores the cluster. Before that, an up begins no cluster while one of them is left.
func TestALostMajorityIsRestored(t *testing.T) {
	for left, lost := range map[string][]string{"m2": {"master", "m3"}, "m3": {"master", "m2"}} {
		t.Run(left+" is left", func(t *testing.T) {
			s := newRepairTest(t, false, "{name: m2, role: control-plane, zone: 1}, {name: m3, role: control-plane, zone: 2}, "+
				"{name: worker-1, zone: 1, volumeSize: 60, instanceType: t3.large, labels: {workload: storage}}")
			edit(t, s.settings(), "kubeadm-aws:owner: platform",
				"kubeadm-aws:owner: platform\n  kubeadm-aws:backup: {restoreFrom: latest}")
			s.after(func(s *sandbox.Sandbox) error {
				return errors.Join(s.AWS.TerminateInstance(lost[0]), s.AWS.TerminateInstance(lost[1]))
			})
			s.command(report.ExitFailed, []string{"up"}, "terminate this machine too")
			s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance(left) })
			s.command(report.ExitOK, []string{"up"}, "m2             is a control plane", "!worker-1       instance runs")
			s.unchanged()
		})
	}
}

// TestUpReplacesASpotInstanceThatAWSTookBack ends a spot instance of a cluster whose API answers.
func TestUpReplacesASpotInstanceThatAWSTookBack(t *testing.T) {
	needCLI(t)
	dir := project(t)
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "  kubeadm-aws:owner: platform\n",
		"  kubeadm-aws:owner: platform\n  kubeadm-aws:nodes: [{name: master, role: control-plane}, {name: storage, zone: 2, "+
			"volumeSize: 60, instanceType: t3.large, labels: {workload: storage}}, {name: worker, count: 2}, {name: spot, count: 2, "+
			"spot: true}]\n")
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	external(t, dir, func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("spot-2") })
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "AWS has taken spot-2 (i-") ||
		!strings.Contains(stdout, "spot-2         instance runs") || strings.Contains(stdout, "spot-1         instance runs") {
		t.Errorf("up after AWS took a spot instance back exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ = drive(t, "preview", "--stack", "dev", "--dir", dir,
		"--expect-no-changes"); code != report.ExitOK {
		t.Errorf("preview after it exits %d:\n%s", code, stdout)
	}
}

// A fleet that was stopped over night only has to be started. Nothing is planned against it, and nothing is lost.
func TestAStoppedClusterIsStartedNotReplaced(t *testing.T) {
	needCLI(t)
	dir := project(t)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	fleet := []string{"master", "worker-1", "worker-2", "storage"}
	each := func(do func(*sandbox.Sandbox, string) error) {
		external(t, dir, func(s *sandbox.Sandbox) error {
			for _, name := range fleet {
				if err := do(s, name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	each(func(s *sandbox.Sandbox, name string) error { return s.AWS.StopInstance(name) })
	for _, command := range []string{"preview", "up", "refresh", "destroy"} {
		code, stdout, _ := drive(t, command, "--stack", "dev", "--dir", dir)
		if code != report.ExitUnreachable || !strings.Contains(stdout,
			"aws ec2 start-instances --region eu-central-1 --instance-ids i-") ||
			!strings.Contains(stdout, "master (i-") {
			t.Errorf("%s of a stopped fleet exits %d:\n%s", command, code, stdout)
		}
	}
	each(func(s *sandbox.Sandbox, name string) error { return s.AWS.StartInstance(name) })
	if code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir,
		"--expect-no-changes"); code != report.ExitOK {
		t.Errorf("preview of the fleet after its start exits %d:\n%s", code, stdout)
	}
}
