package driver

import (
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

// nodesOf writes a list of nodes into the settings of dev, where there is none.
func nodesOf(t *testing.T, dir string, lines ...string) {
	t.Helper()
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "  kubeadm-aws:owner: platform\n",
		"  kubeadm-aws:owner: platform\n  kubeadm-aws:nodes:\n    - "+strings.Join(lines, "\n    - ")+"\n")
}

// A control plane is replaced only alone and with a snapshot to begin from. A worker is replaced whenever a setting
// asks for it.
func TestAControlPlaneIsNotReplacedByTheWay(t *testing.T) {
	needCLI(t)
	dir := project(t)
	const (
		master = "{name: master, role: control-plane, instanceType: t3.large}"
		worker = "{name: worker-1, instanceType: t3.medium}"
		store  = "{name: storage, instanceType: t3.large, labels: {workload: storage}}"
	)
	again := strings.NewReplacer("}", ", generation: '2'}")
	nodesOf(t, dir, master, worker, store)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	settings := filepath.Join(dir, "Pulumi.dev.yaml")

	edit(t, settings, worker, again.Replace(worker))
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "worker-1       is drained and out of the cluster") ||
		!strings.Contains(stdout, "worker-1       has joined") {
		t.Errorf("a new generation of one worker exits %d:\n%s", code, stdout)
	}

	renamed := strings.Replace(master, "master", "master-2", 1)
	for _, c := range []struct{ name, from, to, because string }{
		{"without a snapshot", master, again.Replace(master), "backup.restoreFrom is not set"},
		{"renamed", again.Replace(master), renamed, "the control plane of the running stack is master"},
		{"with the others", renamed, master, ""},
	} {
		edit(t, settings, c.from, c.to)
		if c.because == "" {
			edit(t, settings, "  kubeadm-aws:owner: platform\n",
				"  kubeadm-aws:owner: platform\n  kubeadm-aws:image: {os: debian-12}\n")
			c.because = "on the running stack: another system means another machine for every node"
		}
		for _, command := range []string{"preview", "up"} {
			code, stdout, _ := drive(t, command, "--stack", "dev", "--dir", dir)
			if code != report.ExitInvalid || !strings.Contains(stdout, c.because) ||
				!strings.Contains(stdout, "othing was changed") {
				t.Errorf("%s of a control plane %s exits %d:\n%s", command, c.name, code, stdout)
			}
		}
	}
	edit(t, settings, "  kubeadm-aws:image: {os: debian-12}\n", "  kubeadm-aws:backup: {restoreFrom: latest}\n")
	edit(t, settings, master, again.Replace(master))
	code, stdout, _ = drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "master         is a control plane") ||
		strings.Contains(stdout, "worker-1       instance runs") {
		t.Errorf("a new control plane exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir); code != report.ExitOK ||
		!strings.Contains(stdout, "left      0") {
		t.Errorf("destroy exits %d:\n%s", code, stdout)
	}
}

// TestAnEndedSpotInstanceAndAControlPlaneAreReplacedTogether ends a spot instance before an up that replaces a control
// plane. up replaces both, because no setting keeps the spot instance out of the plan.
func TestAnEndedSpotInstanceAndAControlPlaneAreReplacedTogether(t *testing.T) {
	const spot = "{name: spot-1, spot: true}"
	const store = "{name: worker-1, zone: 1, volumeSize: 60, instanceType: t3.large, labels: {workload: storage}}"
	t.Run("one of three", func(t *testing.T) {
		s := newRepairTest(t, false, "{name: master-2, role: control-plane, zone: 1}, "+
			"{name: master-3, role: control-plane, zone: 2}, "+store+", "+spot)
		s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("spot-1") })
		edit(t, s.settings(), "{name: master-2, ", "{name: master-2, generation: '2', ")
		s.command(report.ExitOK, []string{"up"}, "AWS has taken spot-1 (i-", "spot-1         has joined",
			"master-2       instance runs", "!worker-1       instance runs")
		s.unchanged()
	})
	// The step that takes the worker out of the cluster runs on the machine that is replaced.
	t.Run("the only one", func(t *testing.T) {
		const master = "{name: master, role: control-plane"
		s := newRepairTest(t, false, store+", "+spot)
		s.after(func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("spot-1") })
		edit(t, s.settings(), master, master+", generation: '2'")
		edit(t, s.settings(), "kubeadm-aws:owner: platform",
			"kubeadm-aws:owner: platform\n  kubeadm-aws:backup: {restoreFrom: latest}")
		s.command(report.ExitInvalid, []string{"up"}, "together with spot-1", "The command repair replaces workers")
	})
}

// A control plane is not replaced while the machine of another one is stopped or gone. The state shows neither.
func TestAControlPlaneIsNotReplacedWithoutTheOthers(t *testing.T) {
	needCLI(t)
	dir := project(t)
	const (
		first, second = "{name: m1, role: control-plane}", "{name: m2, role: control-plane, zone: 1}"
		third         = "{name: m3, role: control-plane, zone: 2}"
		store         = "{name: storage, labels: {workload: storage}}"
	)
	again := strings.NewReplacer("}", ", generation: '2'}")
	nodesOf(t, dir, first, second, third, store)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	settings := filepath.Join(dir, "Pulumi.dev.yaml")
	edit(t, settings, third, again.Replace(third))
	for _, c := range []struct {
		happens func(s *sandbox.Sandbox) error
		code    int
		says    string
	}{
		{func(s *sandbox.Sandbox) error { return s.AWS.StopInstance("m2") }, report.ExitUnreachable, "an instance is stopped: m2 (i-"},
		{func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("m2") }, report.ExitBlocked,
			"the plan takes m3 out of service, and another control plane is lost: m2."},
	} {
		external(t, dir, c.happens)
		for _, command := range []string{"preview", "up"} {
			if code, stdout, _ := drive(t, command, "--stack", "dev", "--dir", dir); code != c.code ||
				!strings.Contains(stdout, c.says) || !strings.Contains(stdout, "othing was changed") {
				t.Errorf("%s exits %d, want %d and %q:\n%s", command, code, c.code, c.says, stdout)
			}
		}
	}
	edit(t, settings, again.Replace(third), third)
	edit(t, settings, second, again.Replace(second))
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Errorf("the lost one is replaced: up exits %d:\n%s", code, stdout)
	}
}
