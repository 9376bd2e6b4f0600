package driver

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
)

// TestRepairOfAWorkerLeavesOtherNodesOut names the resources of a worker in a cluster that was upgraded before.
func TestRepairOfAWorkerLeavesOtherNodesOut(t *testing.T) {
	const prefix = "urn:pulumi:dev::kubeadm-aws::command:remote:Command::"
	var st state.State
	for _, res := range []struct{ name, after string }{
		{"worker-1-prepare", ""}, {"worker-1-drain", ""}, {"worker-1-node", ""}, {"master-init", "worker-1-prepare"},
		{"worker-2-prepare", ""}, {"worker-2-drain", "worker-1-node"}, {"worker-3-drain", "worker-2-node"},
	} {
		i := strings.LastIndex(res.name, "-")
		line := stepline.Line{Name: res.name[i+1:], Node: res.name[:i], Args: []string{"x.sh"}}
		st.Resources = append(st.Resources, apitype.ResourceV3{URN: resource.URN(prefix + res.name),
			Inputs: map[string]any{"create": line.Format()}, Dependencies: []resource.URN{resource.URN(prefix + res.after)}})
	}
	for worker, want := range map[string]string{
		"worker-1": "master-init worker-1-drain worker-1-node worker-1-prepare worker-2-drain",
		"worker-2": "worker-2-drain worker-2-node worker-2-prepare worker-3-drain",
		"worker-9": "worker-9-node worker-9-prepare",
	} {
		got := resourcesOf(st, worker)
		slices.Sort(got)
		if text := strings.ReplaceAll(strings.Join(got, " "), prefix, ""); text != want {
			t.Errorf("the resources of %s are %s, want %s", worker, text, want)
		}
	}
}

// TestRepairWaitsForAnUpgrade asks for a repair in the middle of an upgrade, and after it.
func TestRepairWaitsForAnUpgrade(t *testing.T) {
	needCLI(t)
	older, newer := config.Releases[0].Version, config.DefaultRelease().Version
	s := repairTest{t, project(t, "kubeadm-aws:owner: platform", twoNodes,
		"name: platform-dev", "name: platform-dev\n    kubernetesVersion: "+older)}
	edit(t, s.settings(), "{name: worker-1, role: worker, zone: 1}", "{name: worker-1, zone: 1}, {name: worker-2, zone: 1}")
	s.command(report.ExitOK, []string{"up"})
	edit(t, s.settings(), older, newer)
	s.repair(report.ExitInvalid, "the settings have Kubernetes "+newer, "Nothing was changed")
	t.Setenv(killAt, "create after Command::worker-1-drain")
	t.Setenv(killLog, filepath.Join(t.TempDir(), "killed"))
	if code, said := startDriver(t, s.dir, "up").all(); code != -1 {
		t.Fatalf("up exits %d:\n%s", code, said)
	}
	t.Setenv(killAt, "")
	s.repair(report.ExitLocked, "an upgrade from Kubernetes "+older+" to "+newer+" is under way")
	edit(t, s.settings(), newer, older)
	s.repair(report.ExitLocked, "is under way", "Nothing was changed")
	edit(t, s.settings(), older, newer)
	s.command(report.ExitOK, []string{"up"})

	s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-1") })
	s.repair(report.ExitOK, "worker-1 is replaced and Ready", "!worker-2       is drained")
	s.unchanged()
}

// TestRepairTakesTheCommitOfTheStack repairs from a checkout that has a later commit, as main has after a rollback.
func TestRepairTakesTheCommitOfTheStack(t *testing.T) {
	needCLI(t)
	const size = "{name: worker-1, role: worker, zone: 1"
	s := repairTest{t, repository(t, "kubeadm-aws:owner: platform", twoNodes, size, size+", instanceType: c7i.large")}
	s.git("checkout", "--quiet", "HEAD~1")
	s.command(report.ExitOK, []string{"up"})
	s.git("checkout", "--quiet", "-")
	output := filepath.Join(t.TempDir(), "output")
	t.Setenv("GITHUB_OUTPUT", output)
	s.repair(report.ExitOK, "repair takes the driver and the settings of that commit", "No worker has to be replaced")
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-1") })
	s.command(report.ExitChanges, []string{"repair", "--dry-run"}, "1 worker would be replaced")
	s.repair(report.ExitOK, "worker-1 is replaced and Ready")
	if text, err := os.ReadFile(output); err != nil || !strings.HasSuffix(string(text), "code=0\nbegun=true\n") {
		t.Errorf("the outputs of the step: %v\n%s", err, text)
	}
	t.Setenv("GITHUB_OUTPUT", "")
	s.command(report.ExitChanges, []string{"preview", "--expect-no-changes"}, "worker-1")
	s.command(report.ExitOK, []string{"preview", "--refresh", "--applied", "--expect-no-changes"},
		"preview takes the driver and the settings of that commit", "nothing changes")
	r := &run{op: operation{dir: s.dir}}
	if err := repairAt(t.Context(), r, strings.Repeat("a", 40)); report.CodeOf(err) != report.ExitCannotStart ||
		!strings.Contains(err.Error(), "does not have") {
		t.Errorf("a commit that is not in the clone: %v", err)
	}
}

func (s repairTest) git(args ...string) {
	s.Helper()
	cmd := exec.Command("git", append([]string{"-C", s.dir, "-c", "user.name=test",
		"-c", "user.email=test@example.com"}, args...)...)
	if output, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("git %v: %v\n%s", args, err, output)
	}
}

// TestTheCommitOfTheStackIsThatOfItsLastUp brings a stack up with a commit, repairs it, and brings it up with changes
// that are not committed. The commit is then unknown, and a repair takes the checkout.
func TestTheCommitOfTheStackIsThatOfItsLastUp(t *testing.T) {
	needCLI(t)
	s := repairTest{t, repository(t, "kubeadm-aws:owner: platform", twoNodes)}
	const verified = "is noted as verified: rollback"
	s.command(report.ExitOK, []string{"up"})
	refused := true
	instrument = func(o *sandbox.Options) {
		withoutCheckpoints(o)
		o.Fault = func(op sandbox.Operation) error {
			if refused && op.Verb == "create" {
				return errors.New("InsufficientInstanceCapacity: there is not enough capacity")
			}
			return nil
		}
	}
	t.Cleanup(func() { instrument = withoutCheckpoints })
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-1") })
	s.repair(report.ExitFailed, "worker-1: repair failed")
	s.command(report.ExitOK, []string{"verify"}, verified)
	refused = false
	s.repair(report.ExitOK, "worker-1 is replaced and Ready")
	s.command(report.ExitOK, []string{"verify"}, verified)
	s.command(report.ExitUsage, []string{"rollback"}, "Updates that succeeded", "!"+repairMessage)

	s.git("commit", "--quiet", "--allow-empty", "--message", "later")
	const size = "{name: worker-1, role: worker, zone: 1"
	edit(t, s.settings(), size, size+", instanceType: c7i.large")
	s.command(report.ExitOK, []string{"up"})
	s.command(report.ExitOK, []string{"verify"}, "No commit is noted as verified")
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-1") })
	s.repair(report.ExitBlocked, "The commit of the stack is unknown", "is not replaced again before",
		"!repair takes the driver and the settings of that commit")
}

// TestRepairLeavesAHalfGrownStackToUp asks for a repair after an up that could not create the second control plane. The
// steps of the workers for several control planes are not in the state yet.
func TestRepairLeavesAHalfGrownStackToUp(t *testing.T) {
	const one, more = "{name: worker-1, zone: 1}", ", {name: master-2, role: control-plane, zone: 1}, " +
		"{name: master-3, role: control-plane, zone: 2}"
	s := newRepairTest(t, false, one+", {name: worker-2, zone: 1}")
	edit(t, s.settings(), one, one+more)
	instrument = func(o *sandbox.Options) {
		withoutCheckpoints(o)
		o.Fault = func(op sandbox.Operation) error {
			if op.Verb == "create" && strings.HasSuffix(op.URN, "instance:Instance::master-3") {
				return errors.New("VcpuLimitExceeded: you have requested more vCPU capacity than your current limit")
			}
			return nil
		}
	}
	t.Cleanup(func() { instrument = withoutCheckpoints })
	s.command(report.ExitBlocked, []string{"up"}, "VcpuLimitExceeded")
	instrument = withoutCheckpoints
	s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-1") })
	s.repair(report.ExitBlocked, "Bring the stack up, then run this again", "!instance runs")
	s.command(report.ExitFailed, []string{"up"}, "FAILED: balancer")
	edit(t, s.settings(), more, "")
	s.repair(report.ExitOK, "worker-1 is replaced and Ready", "!master-2")
	edit(t, s.settings(), one, one+more)
	s.command(report.ExitOK, []string{"up"})
	s.unchanged()
}

// TestAForgottenUpgradeIsNotUnderWay goes by the last step on a host in the state.
func TestAForgottenUpgradeIsNotUnderWay(t *testing.T) {
	r := &repairs{run: blue(t)}
	outputs := auto.OutputMap{"kubernetes": auto.OutputValue{Value: config.Releases[0].Version}}
	env := map[string]string{"KUBERNETES_VERSION": config.DefaultRelease().Version,
		"IDENTITY": "pods 10.1.0.0/16 services 10.2.0.0/16 domain cluster.local endpoint api"}
	for hours, code := range map[int]int{-1: report.ExitLocked, 5: report.ExitLocked, 6: report.ExitBlocked} {
		var st state.State
		for i, name := range []string{"init", "drain", "instance"} {
			line := stepline.Line{Name: name, Node: "master", Args: []string{"x.sh"}, Env: env}
			res := apitype.ResourceV3{URN: resource.URN("urn:pulumi:dev::kubeadm-aws::command:remote:Command::" + name),
				Inputs: map[string]any{"create": line.Format()}}
			if at := time.Now().Add(-time.Duration(hours+2-2*i) * time.Hour); hours >= 0 && i < 2 {
				res.Modified = &at
			}
			st.Resources = append(st.Resources, res)
		}
		if err := r.refuseRelease(outputs, st); report.CodeOf(err) != code ||
			!strings.Contains(err.Error(), "is under way") {
			t.Errorf("an upgrade that went on %d hours ago: %v", hours, err)
		}
	}
}
