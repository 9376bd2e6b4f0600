package docscheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A run of CI that ends late, or is started again, does not put an older commit on a stack.
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
	stub := "#!/bin/sh\n[ \"$*\" = 'stack tag get kubeadm-aws:applied --stack dev' ] && [ -n \"$TAG\" ] && echo \"$TAG\"\n"
	if err := os.WriteFile(pulumi, []byte(stub), 0o700); err != nil {
		t.Fatal(err)
	}
	unknown := strings.Repeat("a", 40)
	for _, c := range []struct{ head, tag, want string }{
		{first, second + " 2026-01-02T03:04:05Z", "true"},
		{second, second + " 2026-01-02T03:04:05Z", "false"},
		{second, first + " 2026-01-02T03:04:05Z", "false"},
		{first, unknown + " 2026-01-02T03:04:05Z", "false"},
		{first, "", "false"},
	} {
		git("checkout", "-q", c.head)
		output := filepath.Join(t.TempDir(), "output")
		cmd := exec.Command(script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PULUMI="+pulumi, "STACK=dev", "TAG="+c.tag, "GITHUB_OUTPUT="+output,
			"GITHUB_STEP_SUMMARY="+output+".md")
		said, err := cmd.CombinedOutput()
		text, _ := os.ReadFile(output)
		if err != nil || string(text) != "superseded="+c.want+"\n" {
			t.Errorf("%.7s checked out, %.7s applied: %q, %v\n%s", c.head, c.tag, text, err, said)
		}
	}
	for id, j := range workflows(t)["deploy.yml"].Jobs {
		asked := false
		for _, s := range j.Steps {
			asked = asked || s.ID == "order" && strings.HasSuffix(s.Run, "superseded.sh")
			if s.Name == "up" || s.Name == "plan" || s.Name == "verify" {
				if !asked || !strings.Contains(s.If, "steps.order.outputs.superseded != 'true'") {
					t.Errorf("%s of the job %s runs also for an older commit", s.Name, id)
				}
			}
		}
	}
}
