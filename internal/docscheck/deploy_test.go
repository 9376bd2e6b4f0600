package docscheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A run of CI that ends late, or a run that is started again, does not put an older commit on a stack.
func TestADeployDoesNotGoBack(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"},
			args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "first")
	first := git("rev-parse", "HEAD")
	git("commit", "-q", "--allow-empty", "-m", "second")
	second := git("rev-parse", "HEAD")
	script, err := filepath.Abs(filepath.Join(root, ".github", "scripts", "superseded.sh"))
	if err != nil {
		t.Fatal(err)
	}
	pulumi := filepath.Join(bin, "pulumi")
	// The list is printed as Pulumi prints it.
	stub := "#!/bin/sh\n[ \"$*\" = 'stack tag ls --json --stack dev' ] || exit 1\n" +
		"[ \"$TAG\" != denied ] || { echo 'error: AccessDenied' >&2; exit 255; }\n" +
		"printf '{\\n  \"kubeadm-aws:verified\": \"%s\",\\n' " + strings.Repeat("b", 40) + "\n" +
		"[ -z \"$TAG\" ] || printf '  \"kubeadm-aws:applied\": \"%s\",\\n' \"$TAG\"\n" +
		"printf '  \"pulumi:project\": \"kubeadm-aws\"\\n}\\n'\n"
	if err := os.WriteFile(pulumi, []byte(stub), 0o700); err != nil {
		t.Fatal(err)
	}
	unknown := strings.Repeat("a", 40)
	const at = " 2026-01-02T03:04:05Z"
	for _, c := range []struct{ event, head, tag, want string }{
		{"workflow_run", first, second + at, "superseded=true\n"},
		{"workflow_dispatch", first, second + at, ""},
		{"workflow_dispatch", second, second + at, "superseded=false\n"},
		{"workflow_dispatch", second, first + at, "superseded=false\n"},
		{"workflow_dispatch", first, unknown + at, "superseded=false\n"},
		{"workflow_run", first, "", "superseded=false\n"},
		{"workflow_run", first, "denied", ""}, // Not knowing is not the same as no commit.
	} {
		git("checkout", "-q", c.head)
		output := filepath.Join(t.TempDir(), "output")
		cmd := exec.Command(script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PULUMI="+pulumi, "STACK=dev", "TAG="+c.tag, "GITHUB_OUTPUT="+output,
			"GITHUB_EVENT_NAME="+c.event, "GITHUB_STEP_SUMMARY="+output+".md")
		said, err := cmd.CombinedOutput()
		text, _ := os.ReadFile(output)
		if (err != nil) != (c.want == "") || string(text) != c.want {
			t.Errorf("%s with %.7s checked out, %.7s applied: %q, %v\n%s", c.event, c.head, c.tag, text, err, said)
		}
		if c.event == "workflow_dispatch" && err != nil &&
			!strings.Contains(string(said), "rollback with the commit "+first[:10]) {
			t.Errorf("a dispatch that would go back is not told of rollback: %s", said)
		}
	}
	for id, j := range workflows(t)["deploy.yml"].Jobs {
		asked := false
		for _, s := range j.Steps {
			// Also a dispatched run can be started again.
			asked = asked || s.ID == "order" && strings.HasSuffix(s.Run, "superseded.sh") && s.If == ""
			if s.Name == "up" || s.Name == "plan" || s.Name == "verify" {
				if !asked || !strings.Contains(s.If, "steps.order.outputs.superseded != 'true'") {
					t.Errorf("%s of the job %s runs also for an older commit", s.Name, id)
				}
			}
		}
	}
}
