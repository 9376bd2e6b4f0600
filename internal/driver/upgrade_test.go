package driver

import (
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
)

// An upgrade that is killed in any of its steps goes on in the next run, and the plan says what it does.
func TestAKilledUpgradeConverges(t *testing.T) {
	needCLI(t)
	older, newer := config.Releases[0].Version, config.DefaultRelease().Version
	dir := project(t, "name: platform-dev", "name: platform-dev\n    kubernetesVersion: "+older)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "kubernetesVersion: "+older, "kubernetesVersion: "+newer)
	code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir)
	for _, want := range []string{"Kubernetes " + older + " -> " + newer + ", in place.", "First master:",
		"Then one after the other: storage, worker-1, worker-2."} {
		if code != report.ExitOK || !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
			t.Errorf("preview exits %d, and %q is not in\n%s", code, want, stdout)
		}
	}
	ups := []string{
		"update after Command::master-init", "create after Command::storage-drain", "update after Command::storage-join",
		"update before Command::storage-node", "update after Command::worker-2-join",
	}
	if at := killed(t, dir, "up", ups...); len(at) != len(ups) {
		t.Errorf("killed at %d of %d points:\n%s", len(at), len(ups), strings.Join(at, "\n"))
	}
	mustMatch(t, dir)
	code, stdout, _ = drive(t, "preview", "--stack", "dev", "--dir", dir, "--expect-no-changes")
	if code != report.ExitOK || strings.Contains(stdout, "in place") {
		t.Errorf("preview after the last up exits %d:\n%s", code, stdout)
	}
}

// An upgrade of three control planes that is killed goes on with the one at which it was killed.
func TestAKilledUpgradeOfThreeConverges(t *testing.T) {
	needCLI(t)
	older, newer := config.Releases[0].Version, config.DefaultRelease().Version
	dir := project(t, "name: platform-dev", "name: platform-dev\n    kubernetesVersion: "+older+`
  kubeadm-aws:nodes:
    - {name: m2, role: control-plane}
    - {name: m1, role: control-plane}
    - {name: m3, role: control-plane}
    - {name: worker-1}
    - {name: storage, labels: {workload: storage}}`)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "kubernetesVersion: "+older, "kubernetesVersion: "+newer)
	ups := []string{
		"update after Command::m1-init", "create after Command::m2-drain", "update before Command::m2-join",
		"update after Command::m2-join", "create before Command::m3-drain", "update after Command::m3-join",
	}
	if at := killed(t, dir, "up", ups...); len(at) != len(ups) {
		t.Errorf("killed at %d of %d points:\n%s", len(at), len(ups), strings.Join(at, "\n"))
	}
	mustMatch(t, dir)
	code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir, "--expect-no-changes")
	if code != report.ExitOK || strings.Contains(stdout, "in place") {
		t.Errorf("preview after the last up exits %d:\n%s", code, stdout)
	}
}
