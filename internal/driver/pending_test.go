package driver

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
)

// cutUp brings a stack up to a point where the driver is killed.
func cutUp(t *testing.T, dir, at string) {
	t.Helper()
	t.Setenv(killAt, at)
	t.Setenv(killLog, filepath.Join(t.TempDir(), "killed"))
	if code, said := startDriver(t, dir, "up").all(); code != -1 {
		t.Fatalf("up was not killed, it exits %d:\n%s", code, said)
	}
	t.Setenv(killAt, "")
	// The engine dies with its driver, and holds the stack until it has.
	for {
		if code, stdout, _ := drive(t, "outputs", "--stack", "dev", "--dir", dir); code != report.ExitLocked {
			if code != report.ExitOK {
				t.Fatalf("outputs exits %d:\n%s", code, stdout)
			}
			return
		}
	}
}

// If the cluster is dead, the fate of an object is unknown. It is lost with the cluster.
func TestDestroyAfterAKillWithADeadCluster(t *testing.T) {
	needCLI(t)
	dir := project(t)
	cutUp(t, dir, "create after v1:Namespace::namespace-data")
	external(t, dir, func(s *sandbox.Sandbox) error { return s.Cluster.KillAPI() })
	if code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir); code != report.ExitUnreachable {
		t.Errorf("destroy exits %d:\n%s", code, stdout)
	}
	code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir, "--without-cluster", "platform-dev")
	if code != report.ExitOK || !strings.Contains(stdout, "left      0") {
		t.Errorf("destroy exits %d:\n%s", code, stdout)
	}
}

// Helm never upgrades a release whose install was interrupted, so it is uninstalled and installed again.
func TestAHalfInstalledReleaseIsInstalledAgain(t *testing.T) {
	needCLI(t)
	dir := project(t)
	cutUp(t, dir, "create after Release::rabbitmq-cluster-operator")
	external(t, dir, func(s *sandbox.Sandbox) error { return s.Cluster.CutInstall("rabbitmq-cluster-operator") })
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout,
		"Removing what was installed half: rabbitmq-cluster-operator (Release)") {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	for _, r := range stateOf(t, dir).Resources {
		status, _ := r.Outputs["status"].(map[string]any)
		if r.Type == state.ReleaseType && status["status"] != "deployed" {
			t.Errorf("%s is %v", state.Readable(r.URN), status["status"])
		}
	}
}

// A killed Helm leaves a release in a state that it refuses forever. up finishes the operation, and installs.
func TestAReleaseThatHelmWasKilledOverIsMadeWhole(t *testing.T) {
	needCLI(t)
	running := project(t)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", running); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	for _, tt := range []struct {
		name string
		cut  func(*sandbox.Sandbox, string) error
		says string
	}{
		{"uninstall", func(s *sandbox.Sandbox, chart string) error { return s.Cluster.CutUninstall(chart) },
			"Deleting to the end what an earlier run began to delete: argo-rollouts (Release)"},
		{"upgrade", func(s *sandbox.Sandbox, chart string) error { return s.Cluster.CutUpgrade(chart) },
			"Giving up an upgrade that was interrupted: argo-rollouts/argo-rollouts"},
		{"install", func(s *sandbox.Sandbox, chart string) error { return s.Cluster.CutInstall(chart) },
			"Removing what was installed half: argo-rollouts (Release)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			copyTree(t, running, dir)
			endAt(t, dir, "destroy", "KILL", "delete before Release::argo-rollouts")
			external(t, dir, func(s *sandbox.Sandbox) error { return tt.cut(s, "argo-rollouts") })
			code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
			for code == report.ExitLocked {
				code, stdout, _ = drive(t, "up", "--stack", "dev", "--dir", dir)
			}
			if code != report.ExitOK || !strings.Contains(stdout, tt.says) {
				t.Fatalf("up exits %d and does not say %q:\n%s", code, tt.says, stdout)
			}
			mustMatch(t, dir)
		})
	}
}

// Monitoring is switched off and on again: Helm's record of what stayed in the cluster does not block the install.
func TestAnAddonIsSwitchedOffAndOnAgain(t *testing.T) {
	needCLI(t)
	dir := project(t)
	settings := filepath.Join(dir, "Pulumi.dev.yaml")
	for _, edits := range [][2]string{{}, {"  kubeadm-aws:owner: platform\n",
		"  kubeadm-aws:owner: platform\n  kubeadm-aws:addons: {monitoring: {enabled: false}}\n"},
		{"  kubeadm-aws:addons: {monitoring: {enabled: false}}\n", ""}} {
		if edits[0] != "" {
			edit(t, settings, edits[0], edits[1])
		}
		if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
			t.Fatalf("up exits %d:\n%s", code, stdout)
		}
		mustMatch(t, dir)
	}
}

// If two resources match, neither is touched.
func TestTwoThatCouldBeItAreNamed(t *testing.T) {
	needCLI(t)
	dir := project(t)
	cutUp(t, dir, "create after vpc:Vpc::vpc")
	journal := filepath.Join(dir, ".sandbox", "dev", "account", "account.jsonl")
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for line := range strings.Lines(string(text)) {
		if at := strings.Index(line, `"id":"vpc-`); at >= 0 {
			id = line[at+len(`"id":"`) : at+len(`"id":"vpc-`)+17]
			text = append(text, strings.ReplaceAll(line, id, "vpc-0123456789abcdef0")...)
			break
		}
	}
	if err := os.WriteFile(journal, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"up", "destroy", "refresh"} {
		code, stdout, _ := drive(t, command, "--stack", "dev", "--dir", dir)
		if code != report.ExitCannotStart || !strings.Contains(stdout, id) ||
			!strings.Contains(stdout, "vpc-0123456789abcdef0") || !strings.Contains(stdout, "delete it in the console") {
			t.Errorf("%s exits %d:\n%s", command, code, stdout)
		}
	}
	if now, err := os.ReadFile(journal); err != nil || !bytes.Equal(now, text) {
		t.Errorf("the account changed (%v)", err)
	}
}

// twoNodes are settings of a control plane and a worker without add-ons.
const twoNodes = `kubeadm-aws:owner: platform
  kubeadm-aws:nodes: [{name: master, role: control-plane, zone: 0}, {name: worker-1, role: worker, zone: 1}]
  kubeadm-aws:addons:
    metricsServer: {enabled: false}
    ebsCsi: {enabled: false}
    certManager: {enabled: false}
    loadBalancer: {enabled: false}
    monitoring: {enabled: false}
    logging: {enabled: false}
    rabbitmq: {enabled: false}
    redis: {enabled: false}
    postgresql: {enabled: false}
    argocd: {enabled: false}
    argoRollouts: {enabled: false}`

// A worker was drained and its Node deleted, and then its machine stays after all: its kubelet runs and does not
// register by itself, so it is restarted.
func TestADrainedWorkerThatStaysComesBack(t *testing.T) {
	needCLI(t)
	dir := project(t, "kubeadm-aws:owner: platform", twoNodes)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	running := dir
	for _, e := range [][2]string{
		{"KILL", "delete after Command::worker-1-node"},       // the engine does not know that it is deleted
		{"KILL", "delete before instance:Instance::worker-1"}, // it does
		{"INT", "delete after Command::worker-1-node"},
	} {
		t.Run(e[0]+" "+e[1], func(t *testing.T) {
			dir := t.TempDir()
			copyTree(t, running, dir)
			edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "zone: 1", "zone: 2")
			if !endAt(t, dir, "up", e[0], e[1]) {
				t.Fatal("it did not end there")
			}
			edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "zone: 2", "zone: 1")
			bringUp(t, dir)
		})
	}
}

// A replaced machine is deleted first, and its steps run again. An interruption in the middle duplicates nothing.
func TestAKilledReplacementConverges(t *testing.T) {
	needCLI(t)
	dir := project(t, "kubeadm-aws:owner: platform", twoNodes)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "zone: 1", "zone: 2")
	points := []string{"delete after instance:Instance::worker-1", "create before instance:Instance::worker-1",
		"create after instance:Instance::worker-1"}
	if at := killed(t, dir, "up", points...); len(at) != len(points) {
		t.Errorf("killed at %d of %d points:\n%s", len(at), len(points), strings.Join(at, "\n"))
	}
	mustMatch(t, dir)
	if code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir); code != report.ExitOK ||
		!strings.Contains(stdout, "left      0") {
		t.Errorf("destroy exits %d:\n%s", code, stdout)
	}
}
