package driver

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
)

// repairTest is a stack of dev with workers in one or several zones.
type repairTest struct {
	*testing.T
	dir string
}

// newRepairTest brings a stack up, with add-ons or without, and with the nodes of dev or with these.
func newRepairTest(t *testing.T, addons bool, nodes string) repairTest {
	t.Helper()
	needCLI(t)
	s := repairTest{t, project(t)}
	if !addons {
		s.dir = project(t, "kubeadm-aws:owner: platform", twoNodes)
		edit(t, s.settings(), "{name: worker-1, role: worker, zone: 1}", nodes)
	}
	s.command(report.ExitOK, []string{"up"})
	return s
}

func (s repairTest) settings() string { return filepath.Join(s.dir, "Pulumi.dev.yaml") }

// after lets something happen from outside.
func (s repairTest) after(do func(*sandbox.Sandbox) error) repairTest {
	s.Helper()
	external(s.T, s.dir, do)
	return s
}

// repair runs the command and compares its exit code and parts of what it says. A part that begins with ! must be
// absent.
func (s repairTest) repair(code int, says ...string) {
	s.Helper()
	s.command(code, []string{"repair"}, says...)
}

func (s repairTest) command(code int, args []string, says ...string) {
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
func (s repairTest) unchanged() {
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
	s := newRepairTest(t, true, "")
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

// TestRepairLeavesWhatItMayNotReplace goes through what a person has to decide.
func TestRepairLeavesWhatItMayNotReplace(t *testing.T) {
	s := newRepairTest(t, false, "{name: storage, zone: 1}, {name: worker, count: 3, zones: [2]}")
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.StopInstance("worker-1") })
	s.repair(report.ExitOK, "worker-1 was stopped in the account", "No worker has to be replaced")
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.StartInstance("worker-1") })

	s.after(stopKubelet("worker-1", longAgo))
	s.after(func(s *sandbox.Sandbox) error { return s.Nodes.KeepPod("worker-1", "pod default/last stays") })
	s.repair(report.ExitBlocked, "pod default/last stays", "1 node is not replaced", "!instance runs")
	s.after(stopKubelet("worker-2", longAgo))
	s.repair(report.ExitBlocked, "2 of 4 workers are unhealthy, more than 40 %", "All of them are in zone eu-central-1c",
		"Nothing was changed", "!instance runs")
	s.after(stopKubelet("storage", longAgo))
	s.repair(report.ExitBlocked, "They are in several zones", "!instance runs")
	for _, node := range []string{"worker-1", "worker-2", "storage"} {
		s.after(func(s *sandbox.Sandbox) error { return s.Nodes.StartKubelet(node) })
	}

	s.after(stopKubelet("master", longAgo)).repair(report.ExitBlocked, "Not replaced: master", "docs/recovery.md",
		"!instance runs")
	s.after(func(s *sandbox.Sandbox) error { return s.Nodes.StartKubelet("master") })
	s.after(func(s *sandbox.Sandbox) error { return s.Cluster.KillAPI() })
	s.repair(report.ExitUnreachable, "Silence does not mean that they failed", "journalctl -u kubelet")
	s.after(func(s *sandbox.Sandbox) error { return s.Cluster.ReviveAPI() })
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.StopInstance("master") })
	s.repair(report.ExitOK, "The cluster was stopped in the account", "aws ec2 start-instances")
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.StartInstance("master") })
	s.after(func(s *sandbox.Sandbox) error { return s.Hardware.RetireInstance("master") })
	s.repair(report.ExitUnreachable, "an instance is stopped: master", "aws ec2 start-instances")
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.StartInstance("master") })

	s.after(func(s *sandbox.Sandbox) error {
		return s.Hardware.FailStatusCheck("worker-1", time.Now().Add(-time.Minute))
	})
	s.repair(report.ExitOK, "fails a status check of EC2", "it counts as failed after 10m0s", "!instance runs")
	s.after(func(s *sandbox.Sandbox) error {
		return s.Hardware.FailStatusCheck("worker-1", time.Now().Add(-longAgo))
	})
	s.repair(report.ExitBlocked, "pod default/last stays")
	s.after(func(s *sandbox.Sandbox) error { return s.Nodes.KeepPod("worker-1", "") })
	s.repair(report.ExitOK, "worker-1 is replaced and Ready", "!worker-2       instance")
	s.after(func(s *sandbox.Sandbox) error { return s.Hardware.RetireInstance("worker-2") })
	s.repair(report.ExitOK, "was stopped by AWS (Server.ScheduledStop)", "worker-2 is replaced and Ready")
	s.unchanged()

	edit(t, s.settings(), "    name: platform-dev", "    name: platform-dev\n    kubernetesVersion: 1.35.4")
	s.repair(report.ExitInvalid, "the settings have Kubernetes 1.35.4", "Nothing was changed")
}

// TestRepairGoesOnUntilTheLimit replaces two of several failed workers only when the settings allow so many.
func TestRepairGoesOnUntilTheLimit(t *testing.T) {
	s := newRepairTest(t, false, "{name: master-2, role: control-plane, zone: 1}, {name: master-3, role: control-plane, zone: 2}, "+
		"{name: storage, zone: 1}, {name: worker, count: 2, zones: [2]}")
	edit(t, s.settings(), "kubeadm-aws:owner: platform",
		"kubeadm-aws:owner: platform\n  kubeadm-aws:repair: {maxUnhealthyPercent: 70}")
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-1") })
	s.after(stopKubelet("storage", longAgo))
	s.repair(report.ExitOK, "storage is replaced and Ready", "worker-1 is replaced and Ready", "!worker-2       instance")
	s.unchanged()
}

// TestAKilledRepairGoesOn kills it before and after the old machine ends, and after the new one is created.
func TestAKilledRepairGoesOn(t *testing.T) {
	s := newRepairTest(t, false, "{name: worker-1, zone: 1}")
	s.after(stopKubelet("worker-1", longAgo))
	points := []string{"delete before instance:Instance::worker-1", "delete after instance:Instance::worker-1",
		"create before instance:Instance::worker-1", "create after instance:Instance::worker-1",
		"update after Command::worker-1-join"}
	if at := killed(t, s.dir, "repair", points...); len(at) != len(points) {
		t.Errorf("killed at %d of %d points:\n%s", len(at), len(points), strings.Join(at, "\n"))
	}
	s.unchanged()
	// It counts as one replacement.
	s.after(stopKubelet("worker-1", longAgo)).repair(report.ExitBlocked, "is not replaced again before")
}

// TestOneWorkerDoesNotHoldBackTheOthers lets AWS have no machine for workers while others fail.
func TestOneWorkerDoesNotHoldBackTheOthers(t *testing.T) {
	s := newRepairTest(t, false, "{name: storage, zone: 1}, {name: worker, count: 3, zones: [2]}")
	edit(t, s.settings(), "kubeadm-aws:owner: platform",
		"kubeadm-aws:owner: platform\n  kubeadm-aws:repair: {maxUnhealthyPercent: 100}")
	var failing string
	instrument = func(o *sandbox.Options) {
		withoutCheckpoints(o)
		o.Fault = func(op sandbox.Operation) error {
			_, name := state.SplitURN(state.URN(op.URN))
			if op.Verb != "delete" && slices.Contains(strings.Fields(failing), name) {
				return errors.New("InsufficientInstanceCapacity: there is not enough capacity")
			}
			return nil
		}
	}
	t.Cleanup(func() { instrument = withoutCheckpoints })
	terminate := func(names ...string) repairTest {
		for _, name := range names {
			s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance(name) })
		}
		return s
	}
	failing = "worker-2 storage"
	terminate("worker-2").repair(report.ExitFailed, "InsufficientInstanceCapacity")
	// The name of worker-1 comes before that of the worker whose replacement began.
	terminate("worker-1", "storage").repair(report.ExitFailed, "worker-2: repair failed", "Going on with 2 more workers",
		"storage: repair failed", "worker-1 is replaced and Ready")
	s.repair(report.ExitFailed, "storage: repair failed\n  worker-2: repair failed", "!is replaced")
	// A new machine that does not come up ends the repair, and does not hold back the next one.
	failing = "storage-join"
	terminate("worker-3").repair(report.ExitFailed, "2 more workers stay as they are", "!is replaced")
	s.repair(report.ExitFailed, "Going on with 2 more workers", "worker-2 is replaced and Ready",
		"worker-3 is replaced and Ready", "storage: repair failed")
	failing = ""
	s.repair(report.ExitOK, "storage is replaced and Ready", "!worker-1       instance", "!worker-2       instance")
	s.unchanged()
}
