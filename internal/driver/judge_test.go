package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	check "kubeadm-aws/internal/verify"
)

func TestOnlyAFaultOfThePlatformIsACauseToGoBack(t *testing.T) {
	well := check.Result{Check: "api", Status: check.OK}
	application := check.Result{Check: "argo cd", Status: check.Failed, Applications: true}
	platform := check.Result{Check: "nodes", Status: check.Failed}
	for want, results := range map[int][]check.Result{
		report.ExitOK:           {well, {Check: "logging", Status: check.Skipped}},
		report.ExitApplications: {well, application},
		report.ExitUnverified:   {application, platform, well},
	} {
		if got := report.CodeOf(judge(results)); got != want {
			t.Errorf("exit %d, want %d", got, want)
		}
	}
}

// A job goes back only after an up that began to change something. Every creation is refused first, then none.
func TestAnUpTellsWhetherItBegan(t *testing.T) {
	needCLI(t)
	dir := project(t)
	refused := true
	instrument = func(o *sandbox.Options) {
		o.Fault = func(op sandbox.Operation) error {
			if op.Verb == "create" && (refused || strings.HasSuffix(op.Type, ":Command")) {
				return errors.New("UnauthorizedOperation: you are not authorized to perform this operation")
			}
			return nil
		}
	}
	t.Cleanup(func() { instrument = withoutCheckpoints })
	for _, begun := range []bool{false, true} {
		refused = !begun
		output := filepath.Join(t.TempDir(), "output")
		t.Setenv("GITHUB_OUTPUT", output)
		code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
		text, err := os.ReadFile(output)
		if want := fmt.Sprintf("code=%d\nbegun=%t\n", report.ExitBlocked, begun); err != nil || string(text) != want {
			t.Errorf("exit %d, the job is told %q, want %q (%v)\n%s", code, text, want, err, stdout)
		}
	}
}

func TestAStackThatWasNeverUpHasNoVerifiedCommit(t *testing.T) {
	needCLI(t)
	code, stdout, _ := drive(t, "rollback", "--stack", "dev", "--dir", project(t), "--to", lastVerified)
	if code != report.ExitNoneVerified || !strings.Contains(stdout, "was never up") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}
