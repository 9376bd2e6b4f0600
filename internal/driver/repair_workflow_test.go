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
// latter answers with the issues in OPEN, with BODY as the text of an issue, and with runs of repair.yml whose only job
// has the name JOB and the status STATUS. It writes into the file asked what it is asked to change. The command of the
// driver in BREAK fails.
func newRepairPipeline(t *testing.T) (p *pipeline, asked string) {
	t.Helper()
	testenv.NeedProgram(t, "jq", "jq")
	bin, dir := t.TempDir(), t.TempDir()
	asked = filepath.Join(bin, "asked")
	copyTree(t, filepath.Join("..", "..", ".github"), filepath.Join(dir, ".github"))
	p = &pipeline{T: t, dir: dir, sent: filepath.Join(bin, "sent")}
	p.tool(bin, "driver", `case " $BREAK " in *" $1 "* | *" $2 "*) exit 1 ;; esac
[ "$1" = repair ] || exit 0
if [ -n "$LOOK" ] && [[ " $* " != *" --dry-run "* ]]; then exit 99; fi
[ -z "$CODE" ] || printf 'code=%s\nbegun=true\n' "$CODE" >> "$GITHUB_OUTPUT"
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
"issue view 3 "*) answer=$(jq -n --arg body "$BODY" '{body: $body}') ;;
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

// asks compares what gh is asked to change: as many requests, each with its part.
func (p *pipeline) asks(asked string, wanted ...string) {
	p.Helper()
	text := told(p.T, asked)
	at := 0
	for _, w := range wanted {
		i := strings.Index(text[at:], w)
		if i < 0 {
			p.Errorf("gh is asked for %q, want %q", text, wanted)
			return
		}
		at += i + len(w)
	}
	if len(wanted) == 0 && text != "" {
		p.Errorf("gh is asked for %q", text)
	}
}

// TestEveryEndOfALook goes through the exit codes of a repair that only looks.
func TestEveryEndOfALook(t *testing.T) {
	p, asked := newRepairPipeline(t)
	const one, two = "warning  Not replaced: worker-1 lost", "warning  To be replaced: worker-10 (i-1) lost"
	for _, c := range []struct {
		code, says, open, body, result, repairs string
		told, notices                           []string
	}{
		{code: "0", result: "success"},
		{code: "0", open: openIssue, result: "success", told: []string{"issue close 3"}},
		// Nodes of a stopped cluster are not well because of that.
		{code: "0", says: "The cluster was stopped in the account, so nothing is judged: x", open: openIssue,
			result: "success"},
		{code: "4", says: "an upgrade is under way", open: openIssue, result: "success"},
		{code: "8", says: two, open: openIssue, result: "success", repairs: "true"},
		{code: "8", says: one + "\n" + two, result: "success", repairs: "true", told: []string{"issue create --title"},
			notices: []string{"http://notify", "repair does not replace it"}},
		{code: "8", says: one + "\n" + two, open: openIssue, body: one, result: "success", repairs: "true",
			told:    []string{"issue comment 3 --body New here:\n\n- To be replaced: worker-10\n", "issue edit 3"},
			notices: []string{"http://notify"}},
		{code: "1", says: "there is no stack dev yet", result: "success"},
		{code: "1", says: "stack dev has no cluster yet", result: "success"},
		{code: "1", says: "no credentials", result: "failure", notices: []string{"http://notify", "could not look"}},
		{code: "9", result: "failure", notices: []string{"http://notify"}},
		{code: "10", result: "success",
			told:    []string{"issue create --title repair: dev has nodes that need a person --label repair"},
			notices: []string{"http://notify", "repair does not replace it"}},
		{code: "10", says: one, open: openIssue, body: one, result: "success", told: []string{"issue edit 3"}},
		{code: "10", says: one, open: openIssue, body: strings.Replace(one, "Not", "To be", 1), result: "success",
			told:    []string{"issue comment 3 --body New here:\n\n- Not replaced: worker-1\n", "issue edit 3"},
			notices: []string{"http://notify"}},
		{code: "5", open: openIssue, result: "failure", notices: []string{"http://notify"}},
		{code: "", result: "failure", notices: []string{"http://notify"}},
	} {
		t.Run(c.code+" "+c.says+c.open+c.body, func(t *testing.T) {
			p := p.with("CODE="+c.code, "SAYS="+c.says, "LOOK=1", cmp.Or(c.open, "OPEN=[]"), "BODY="+c.body)
			p.T = t
			result, outcomes := p.run("repair.yml", "look")
			if result != c.result || p.outputs["steps.judge.outputs.dev"] != c.repairs ||
				outcomes["let no runner in"] != "success" {
				t.Errorf("the job %s, repairs %q, %v", result, p.outputs["steps.judge.outputs.dev"], outcomes)
			}
			p.only(c.notices...)
			p.asks(asked, c.told...)
		})
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
	const says, all, notAll = "warning  To be replaced: worker-1 (i-1) lost", "the workers that failed were replaced",
		"not all workers that failed were replaced"
	for _, c := range []struct {
		code, open, body, breaks, result, told string
		notices                                []string
	}{
		{code: "0", result: "success", notices: []string{all}},
		{code: "5", result: "failure", told: "issue create", notices: []string{notAll}},
		{code: "5", open: openIssue, body: says, result: "failure", told: "issue edit 3"},
		{code: "5", open: openIssue, result: "failure", told: "issue comment 3 --body New here:\n\n- To be replaced: worker-1\n",
			notices: []string{notAll}},
		{code: "10", result: "failure", told: "issue create", notices: []string{notAll}},
		{code: "10", open: openIssue, body: says, result: "failure", told: "issue edit 3"},
		// Another run holds the stack, perhaps one that is dead.
		{code: "4", open: openIssue, result: "failure", notices: []string{notAll}},
		{code: "", open: openIssue, result: "failure", notices: []string{notAll}},
		// The steps after the repair.
		{code: "0", breaks: "redact", result: "failure", notices: []string{all + "; a later step failed"}},
		{code: "5", open: openIssue, body: says, breaks: "redact", result: "failure", told: "issue edit 3",
			notices: []string{notAll + "; a later step failed"}},
		{code: "5", open: openIssue, body: says, breaks: "close", result: "failure", told: "issue edit 3",
			notices: []string{notAll + "; a later step failed"}},
	} {
		t.Run(c.code+" "+c.open+c.body+c.breaks, func(t *testing.T) {
			p := p.with("CODE="+c.code, cmp.Or(c.open, "OPEN=[]"), "SAYS="+says, "BODY="+c.body, "BREAK="+c.breaks)
			p.T = t
			result, outcomes := p.run("repair.yml", "repair")
			if result != c.result || (outcomes["let no runner in"] == "success") != (c.breaks != "close") {
				t.Errorf("the job %s, %v", result, outcomes)
			}
			p.only(c.notices...)
			var wanted []string
			if c.told != "" {
				wanted = append(wanted, c.told)
			}
			p.asks(asked, wanted...)
		})
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
