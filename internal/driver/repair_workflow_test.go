package driver

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/testenv"
)

// newRepairPipeline runs jobs of repair.yml with a stand-in for the driver, which ends with CODE, and one for gh. The
// latter answers with the issues in OPEN, and with runs of repair.yml whose only job has the name JOB and the status
// STATUS. It writes into the file asked what it is asked to change.
func newRepairPipeline(t *testing.T) (p *pipeline, asked string) {
	t.Helper()
	testenv.NeedProgram(t, "jq", "jq")
	bin, dir := t.TempDir(), t.TempDir()
	asked = filepath.Join(bin, "asked")
	copyTree(t, filepath.Join("..", "..", ".github"), filepath.Join(dir, ".github"))
	for _, script := range []string{"notify.sh", "repair-judge.sh", "stack-issue.sh"} {
		if err := os.Chmod(filepath.Join(dir, ".github", "scripts", script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p = &pipeline{T: t, dir: dir, sent: filepath.Join(bin, "sent")}
	p.tool(bin, "driver", `[ "$1" = repair ] || exit 0
if [ -n "$LOOK" ] && [[ " $* " != *" --dry-run "* ]]; then exit 99; fi
[ -z "$CODE" ] || printf 'code=%s\n' "$CODE" >> "$GITHUB_OUTPUT"
echo "$SAYS"
exit "${CODE:-1}"`)
	p.tool(bin, "gh", `answer=
case "$*" in
*"repos/octocat/platform/actions/workflows/repair.yml/runs?status=$RUN&"*)
  answer='{"workflow_runs": [{"id": 7}, {"id": 9}]}' ;;
*/repair.yml/runs*) answer='{"workflow_runs": []}' ;;
*"repos/octocat/platform/actions/runs/7/jobs"*)
  answer="{\"jobs\": [{\"name\": \"$JOB\", \"status\": \"$STATUS\", \"html_url\": \"http://job\"}]}" ;;
"issue list"*) answer=$OPEN ;;
api*) echo "unexpected: gh $*" >&2; exit 1 ;;
*) echo "$*" >> `+asked+`; exit 0 ;;
esac
jq -r "${*: -1}" <<<"$answer"`)
	p.webhook(bin)
	p.env = []string{"DRIVER=" + filepath.Join(bin, "driver"), "STACK=dev", "PATH=" + bin + ":" + os.Getenv("PATH"),
		"GITHUB_RUN_ID=9", "GH_REPO=octocat/platform", "OPEN=[]"}
	p.needs = map[string]string{"github.repository": "octocat/platform"}
	return p, asked
}

// with returns the environment of the pipeline with more variables.
func (p *pipeline) with(variables ...string) *pipeline {
	changed := *p
	changed.env = append(slices.Clone(p.env), variables...)
	return &changed
}

const openIssue = `OPEN=[{"title": "repair: dev has nodes that need a person", "number": 3}]`

// told returns what gh was asked to change since the last call.
func told(t *testing.T, asked string) string {
	t.Helper()
	text, err := os.ReadFile(asked)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	_ = os.Remove(asked)
	return string(text)
}

// TestEveryEndOfALook goes through the exit codes of a repair that only looks.
func TestEveryEndOfALook(t *testing.T) {
	p, asked := newRepairPipeline(t)
	for _, c := range []struct {
		code, says, open, result, repairs, told string
		notices                                 []string
	}{
		{code: "0", result: "success"},
		{code: "0", open: openIssue, result: "success", told: "issue close 3"},
		{code: "4", says: "an upgrade is under way", open: openIssue, result: "success"},
		{code: "8", open: openIssue, result: "success", repairs: "true"},
		{code: "1", says: "there is no stack dev yet", result: "success"},
		{code: "1", says: "stack dev has no cluster yet", result: "success"},
		{code: "1", says: "no credentials", result: "failure", notices: []string{"http://notify", "could not look"}},
		{code: "9", result: "failure", notices: []string{"http://notify"}},
		{code: "10", result: "success", told: "issue create --title repair: dev has nodes that need a person --label repair",
			notices: []string{"http://notify", "repair does not replace it"}},
		{code: "10", open: openIssue, result: "success", told: "issue edit 3"},
		{code: "5", open: openIssue, result: "failure", notices: []string{"http://notify"}},
		{code: "", result: "failure", notices: []string{"http://notify"}},
	} {
		p := p.with("CODE="+c.code, "SAYS="+c.says, "LOOK=1", cmp.Or(c.open, "OPEN=[]"))
		result, outcomes := p.run("repair.yml", "look")
		if result != c.result || p.outputs["steps.judge.outputs.dev"] != c.repairs ||
			outcomes["let no runner in"] != "success" {
			t.Errorf("exit code %q: the job %s, repairs %q, %v", c.code, result, p.outputs["steps.judge.outputs.dev"], outcomes)
		}
		p.only(c.notices...)
		if text := told(t, asked); !strings.Contains(text, c.told) || c.told == "" && text != "" {
			t.Errorf("exit code %q with the issues %s: gh is asked for %q", c.code, c.open, text)
		}
	}
}

// only compares the notices, and refuses one when none is wanted.
func (p *pipeline) only(wanted ...string) {
	p.Helper()
	if text, _ := os.ReadFile(p.sent); len(wanted) == 0 && len(text) > 0 {
		p.Errorf("a notice that no one needs: %s", text)
	}
	p.notice(wanted...)
}

// TestARepairThatWaitsIsNotAskedForAgain looks while a job of another run waits for its reviewers, or repairs.
func TestARepairThatWaitsIsNotAskedForAgain(t *testing.T) {
	p, _ := newRepairPipeline(t)
	for _, c := range []struct{ run, job, status, repairs string }{
		{"waiting", "repair (dev)", "waiting", ""},
		{"in_progress", "repair (dev)", "in_progress", ""},
		{"queued", "repair (dev)", "queued", ""},
		{"pending", "repair (dev)", "pending", ""},
		{"waiting", "repair (prod)", "waiting", "true"},
		{"waiting", "repair (dev)", "completed", "true"},
		{"in_progress", "look (dev)", "in_progress", "true"},
		{"none", "", "", "true"},
	} {
		p := p.with("CODE=8", "RUN="+c.run, "JOB="+c.job, "STATUS="+c.status)
		result, _ := p.run("repair.yml", "look")
		if got := p.outputs["steps.judge.outputs.dev"]; result != "success" || got != c.repairs {
			t.Errorf("%+v: the job %s, repairs %q", c, result, got)
		}
	}
}

// TestEveryEndOfARepair goes through the exit codes of a repair. What fails each hour is told once.
func TestEveryEndOfARepair(t *testing.T) {
	p, asked := newRepairPipeline(t)
	for _, c := range []struct {
		code, open, result, told string
		notices                  []string
	}{
		{"0", "", "success", "", []string{"the workers that failed were replaced"}},
		{"5", "", "failure", "issue create", []string{"not all workers that failed were replaced"}},
		{"5", openIssue, "failure", "issue edit 3", nil},
		{"10", "", "failure", "issue create", []string{"not all workers"}},
		{"10", openIssue, "failure", "issue edit 3", nil},
		// Another run holds the stack, perhaps one that is dead.
		{"4", openIssue, "failure", "", []string{"not all workers"}},
		{"", openIssue, "failure", "", []string{"not all workers"}},
	} {
		p := p.with("CODE="+c.code, cmp.Or(c.open, "OPEN=[]"))
		if result, outcomes := p.run("repair.yml", "repair"); result != c.result || outcomes["let no runner in"] != "success" {
			t.Errorf("exit code %q: the job %s, %v", c.code, result, outcomes)
		}
		p.only(c.notices...)
		if text := told(t, asked); !strings.Contains(text, c.told) || c.told == "" && text != "" {
			t.Errorf("exit code %q with the issues %s: gh is asked for %q", c.code, c.open, text)
		}
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
