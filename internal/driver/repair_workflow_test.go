package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

// TestEveryEndOfALook goes through the exit codes of a repair that only looks, by a stand-in for the driver.
func TestEveryEndOfALook(t *testing.T) {
	bin := t.TempDir()
	dir := t.TempDir()
	copyTree(t, filepath.Join("..", "..", ".github"), filepath.Join(dir, ".github"))
	for _, script := range []string{"notify.sh", "repair-judge.sh"} {
		if err := os.Chmod(filepath.Join(dir, ".github", "scripts", script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p := &pipeline{T: t, dir: dir, sent: filepath.Join(bin, "sent")}
	p.tool(bin, "driver", `[ "$1" = repair ] || exit 0
case " $* " in *" --dry-run "*) ;; *) echo "looking changes something"; exit 99 ;; esac
[ -z "$CODE" ] || printf 'code=%s\n' "$CODE" >> "$GITHUB_OUTPUT"
echo "$SAYS"
exit "${CODE:-1}"`)
	p.webhook(bin)
	for _, c := range []struct {
		code, says, result, repairs string
		notices                     []string
	}{
		{code: "0", result: "success"},
		{code: "4", says: "an upgrade is under way", result: "success"},
		{code: "8", result: "success", repairs: "true"},
		{code: "1", says: "there is no stack dev yet", result: "success"},
		{code: "1", says: "stack dev has no cluster yet", result: "success"},
		{code: "1", says: "no credentials", result: "failure", notices: []string{"http://notify", "could not look"}},
		{code: "9", result: "failure", notices: []string{"http://notify"}},
		{code: "10", result: "failure", notices: []string{"http://notify", "repair does not replace it"}},
		{code: "", result: "failure", notices: []string{"http://notify"}},
	} {
		p.env = []string{"DRIVER=" + filepath.Join(bin, "driver"), "STACK=dev", "PATH=" + bin + ":" + os.Getenv("PATH"),
			"CODE=" + c.code, "SAYS=" + c.says}
		result, outcomes := p.run("repair.yml", "look")
		if result != c.result || p.outputs["steps.judge.outputs.dev"] != c.repairs ||
			outcomes["let no runner in"] != "success" {
			t.Errorf("exit code %q: the job %s, repairs %q, %v", c.code, result, p.outputs["steps.judge.outputs.dev"], outcomes)
		}
		p.notice(c.notices...)
	}
}

// TestOnlyStacksWithFailedWorkersAreRepaired runs the job that lists the stacks.
func TestOnlyStacksWithFailedWorkersAreRepaired(t *testing.T) {
	p := &pipeline{T: t, dir: t.TempDir()}
	for stacks, want := range map[string]string{"": "[]", "dev": `["dev"]`, "prod": `["prod"]`,
		"dev staging prod": `["dev","staging","prod"]`} {
		p.needs = map[string]string{}
		for _, stack := range strings.Fields(stacks) {
			p.needs["needs.look.outputs."+stack] = "true"
		}
		result, _ := p.run("repair.yml", "list")
		if got := p.outputs["steps.list.outputs.stacks"]; result != "success" || got != want {
			t.Errorf("with failed workers in %q: %s, stacks %s", stacks, result, got)
		}
	}
}

// TestTheWorkflowRepairsAWorker runs both jobs with the real driver, whose cloud is the sandbox.
func TestTheWorkflowRepairsAWorker(t *testing.T) {
	needCLI(t)
	p := newPipeline(t)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", p.dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	look := func(repairs string) {
		t.Helper()
		if result, outcomes := p.run("repair.yml", "look"); result != "success" ||
			p.outputs["steps.judge.outputs.dev"] != repairs {
			t.Errorf("the job %s, repairs %q, %v", result, p.outputs["steps.judge.outputs.dev"], outcomes)
		}
		p.notice()
	}
	look("")
	external(t, p.dir, func(s *sandbox.Sandbox) error { return s.AWS.TerminateInstance("worker-1") })
	look("true")
	if result, outcomes := p.run("repair.yml", "repair"); result != "success" ||
		outcomes["publish the state without secrets"] != "success" || outcomes["let no runner in"] != "success" {
		t.Errorf("the job %s, %v", result, outcomes)
	}
	p.notice("http://notify", "the workers that failed were replaced")
	look("")
}
