package driver

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

// external opens the account of a simulation between two runs of the driver, as a user would open the console.
func external(t *testing.T, dir string, do func(*sandbox.Sandbox) error) {
	t.Helper()
	s, err := sandbox.Start(sandbox.Options{Stack: "dev", Dir: filepath.Join(dir, ".sandbox", "dev", "account")})
	if err != nil {
		t.Fatal(err)
	}
	if err := do(s); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A cluster whose machine has ended is dead: destroy goes on without it. One that only cannot be reached is not:
// destroy says what to look at and touches nothing, until a person names the cluster.
func TestDestroyOfAClusterOutOfReach(t *testing.T) {
	needCLI(t)
	running := project(t)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", running); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	for _, tt := range []struct {
		name     string
		accident func(*sandbox.Sandbox) error
		// refused is the message of destroy when it refuses. It is empty if the cluster counts as dead.
		refused string
	}{
		{"its API is dead", func(s *sandbox.Sandbox) error { return s.Cluster.KillAPI() }, "journalctl -u kubelet"},
		{"its address is gone", func(s *sandbox.Sandbox) error { return s.AWS.DisassociateAddress("master") },
			"access.adminCidrs"},
		{"its address and its API are gone, and a worker", func(s *sandbox.Sandbox) error {
			return errors.Join(s.AWS.DisassociateAddress("master"), s.Cluster.KillAPI(), s.AWS.TerminateInstance("worker-1"))
		}, "access.adminCidrs"},
		{"its instance is stopped", func(s *sandbox.Sandbox) error { return s.AWS.StopInstance("master") },
			"aws ec2 start-instances"},
		{"its instance is gone", func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("master") }, ""},
		{"all instances are gone", func(s *sandbox.Sandbox) error {
			return errors.Join(s.AWS.TerminateInstance("master"), s.AWS.TerminateInstance("worker-1"),
				s.AWS.TerminateInstance("worker-2"), s.AWS.TerminateInstance("storage"))
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			copyTree(t, running, dir)
			external(t, dir, func(s *sandbox.Sandbox) error {
				return errors.Join(s.Cluster.CreateIngress("default", "web"), s.Cluster.CreatePVC("default", "data"),
					tt.accident(s))
			})
			file := filepath.Join(t.TempDir(), "receipt.json")
			args := []string{"destroy", "--stack", "dev", "--dir", dir, "--yes", "--receipt", file}
			if tt.refused != "" {
				mustRefuse(t, dir, args, tt.refused)
				args = append(args, "--without-cluster", "platform-dev")
			}
			code, stdout, _ := drive(t, args...)
			if code != report.ExitOK || !strings.Contains(stdout, "does not answer") ||
				!strings.Contains(stdout, "left      0") {
				t.Fatalf("destroy exits %d:\n%s", code, stdout)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var r report.Receipt
			if err := json.Unmarshal(text, &r); err != nil || r.Removed == 0 || len(r.Left) != 0 || r.Stack != "dev" {
				t.Errorf("receipt is %s (%v)", text, err)
			}
		})
	}
}

// mustRefuse runs a destroy that must not touch anything, also with the name of another cluster.
func mustRefuse(t *testing.T, dir string, args []string, says string) {
	t.Helper()
	before := snapshot(t, filepath.Join(dir, ".sandbox", "dev", "account"))
	code, stdout, _ := drive(t, args...)
	if code != report.ExitUnreachable || !strings.Contains(stdout, says) ||
		!strings.Contains(stdout, "--without-cluster platform-dev") {
		t.Fatalf("destroy exits %d and does not say %q:\n%s", code, says, stdout)
	}
	if code, stdout, _ := drive(t, append(args, "--without-cluster", "platform")...); code != report.ExitUsage ||
		!strings.Contains(stdout, "platform-dev") {
		t.Fatalf("destroy without another cluster exits %d:\n%s", code, stdout)
	}
	if after := snapshot(t, filepath.Join(dir, ".sandbox", "dev", "account")); after != before {
		t.Error("the account changed")
	}
}

// One confirmation and one command for the destroy and the up. Protection stops it before the destroy.
func TestRebuildDestroysAndBringsUpAgain(t *testing.T) {
	needCLI(t)
	const owner = "kubeadm-aws:owner: platform"
	dir := project(t, owner, owner+"\n  kubeadm-aws:protection:\n    protect: true")
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ := drive(t, "rebuild", "--stack", "dev", "--dir", dir); code != report.ExitCannotStart ||
		!strings.Contains(stdout, "nothing was touched") {
		t.Fatalf("rebuild of a protected stack exits %d:\n%s", code, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "protect: true", "protect: false")
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("lifting the protection exits %d:\n%s", code, stdout)
	}
	_, before, _ := drive(t, "outputs", "--stack", "dev", "--dir", dir, "--output", "sshPrivateKey", "--show-secrets")
	code, stdout, _ := drive(t, "rebuild", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "left      0") ||
		strings.Index(stdout, "left      0") > strings.Index(stdout, "outputs\n") {
		t.Fatalf("rebuild exits %d:\n%s", code, stdout)
	}
	_, after, _ := drive(t, "outputs", "--stack", "dev", "--dir", dir, "--output", "sshPrivateKey", "--show-secrets")
	if before == after || !strings.HasPrefix(after, "-----BEGIN") {
		t.Error("the stack after the rebuild has the key of the one before")
	}
}

// A resource that the program does not know prevents a successful exit code.
func TestDestroyNamesWhatIsLeft(t *testing.T) {
	needCLI(t)
	dir := project(t, "kubeadm-aws:owner: platform",
		"kubeadm-aws:owner: platform\n  kubeadm-aws:backup:\n    keepBucket: true")
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir, "--json")
	var told report.Event
	for _, e := range parseEvents(t, stdout) {
		if e.Kind == report.KindReceipt {
			told = e
		}
	}
	if code != report.ExitOK || len(told.Kept) == 0 || !strings.Contains(strings.Join(told.Kept, "\n"), "backups") ||
		len(told.Left) != 0 {
		t.Errorf("destroy that keeps the bucket exits %d with %+v", code, told)
	}
}

func TestProtectedStackIsNotTouched(t *testing.T) {
	needCLI(t)
	dir := project(t, "kubeadm-aws:owner: platform",
		"kubeadm-aws:owner: platform\n  kubeadm-aws:protection:\n    protect: true")
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir)
	if code != report.ExitCannotStart || !strings.Contains(stdout, "nothing was touched") ||
		!strings.Contains(stdout, "kubeadm-aws:protection.protect false") {
		t.Fatalf("destroy of a protected stack exits %d:\n%s", code, stdout)
	}
	code, stdout, _ = drive(t, "preview", "--stack", "dev", "--dir", dir, "--expect-no-changes")
	if code != report.ExitOK {
		t.Errorf("something was touched: preview exits %d:\n%s", code, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "protect: true", "protect: false")
	if code, stdout, _ = drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("lifting the protection exits %d:\n%s", code, stdout)
	}
	if code, stdout, _ = drive(t, "destroy", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Errorf("destroy exits %d:\n%s", code, stdout)
	}
}
