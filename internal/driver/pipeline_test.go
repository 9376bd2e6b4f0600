package driver

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

// pipeline runs the `run:` parts of a job of a workflow in order, as a runner does. Actions (`uses:`) are left out;
// the driver goes to the sandbox where the workflow says aws.
type pipeline struct {
	*testing.T
	dir string
	// env is the environment of every step.
	env []string
	// sent is the file with the requests to the webhooks.
	sent string
	// needs are the outputs of other jobs, by the expression that reads them. outputs are those of the last job.
	needs, outputs map[string]string
}

type pipelineStep struct {
	Name, ID, Run, If string
	Env               map[string]string
	// GoesOn is set where a step may fail.
	GoesOn bool `yaml:"continue-on-error"`
}

// steps are those of a job of a workflow.
func (p *pipeline) steps(workflow, job string) []pipelineStep {
	p.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", ".github", "workflows", workflow))
	if err != nil {
		p.Fatal(err)
	}
	var parsed struct {
		Jobs map[string]struct{ Steps []pipelineStep }
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		p.Fatal(err)
	}
	if len(parsed.Jobs[job].Steps) == 0 {
		p.Fatalf("%s has no job %s", workflow, job)
	}
	return parsed.Jobs[job].Steps
}

// run runs a job and returns its result and the outcome of each step, by name.
func (p *pipeline) run(workflow, job string) (result string, outcomes map[string]string) {
	p.Helper()
	values := map[string]string{
		"vars.RUNNER": "", "job.status": "success",
		"secrets.NOTIFY_URL": "http://notify", "secrets.PAGE_URL": "http://page",
	}
	maps.Copy(values, p.needs)
	p.outputs = values
	outcomes = map[string]string{}
	for _, s := range p.steps(workflow, job) {
		if s.Run == "" {
			continue
		}
		outcome := "skipped"
		if p.isTrue(s.If, values) {
			outcome = "success"
			code, output := p.step(s, values)
			for line := range strings.Lines(output) {
				if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && s.ID != "" {
					values["steps."+s.ID+".outputs."+key] = value
				}
			}
			if code != 0 {
				outcome = "failure"
				if !s.GoesOn {
					values["job.status"] = "failure"
				}
			}
		}
		outcomes[s.Name] = outcome
		if s.ID != "" {
			values["steps."+s.ID+".outcome"] = outcome
		}
	}
	return values["job.status"], outcomes
}

// step runs one step and returns its exit code and its outputs.
func (p *pipeline) step(s pipelineStep, values map[string]string) (int, string) {
	p.Helper()
	output := filepath.Join(p.TempDir(), "output")
	cmd := exec.Command("bash", "-e", "-c", s.Run)
	cmd.Dir = p.dir
	cmd.Env = append(append(os.Environ(), p.env...), "GITHUB_OUTPUT="+output, "GITHUB_STEP_SUMMARY="+output+".md",
		"GITHUB_WORKFLOW=deploy")
	for name, text := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+p.filled(text, values))
	}
	said, _ := cmd.CombinedOutput()
	p.Logf("%s: %s\n%s", s.Name, cmd.ProcessState, said)
	text, _ := os.ReadFile(output)
	return cmd.ProcessState.ExitCode(), string(text)
}

var expression = regexp.MustCompile(`\$\{\{ (.*?) \}\}`)

// filled replaces the expressions in the environment of a step. A condition in it does not depend on a failure before.
func (p *pipeline) filled(text string, values map[string]string) string {
	return expression.ReplaceAllStringFunc(text, func(e string) string {
		inner := expression.FindStringSubmatch(e)[1]
		if m := regexp.MustCompile(`^(.*) && '(.*)' \|\| '(.*)'$`).FindStringSubmatch(inner); m != nil {
			if p.isTrue("always() && ("+m[1]+")", values) {
				return m[2]
			}
			return m[3]
		}
		return values[inner]
	})
}

// isTrue evaluates a condition of the forms that the workflows use. Without a status function it is false after a
// failure.
func (p *pipeline) isTrue(condition string, values map[string]string) bool {
	p.Helper()
	failed := values["job.status"] != "success"
	if !regexp.MustCompile(`(always|failure|cancelled|success)\(\)`).MatchString(condition) {
		if failed {
			return false
		}
		if condition == "" {
			return true
		}
	}
	text := strings.NewReplacer("always()", "true", "failure()", fmt.Sprint(failed), "cancelled()", "false",
		"success()", fmt.Sprint(!failed)).Replace(condition)
	text = regexp.MustCompile(`([a-zA-Z_.]+) (==|!=) '([^']*)'`).ReplaceAllStringFunc(text, func(c string) string {
		m := regexp.MustCompile(`([a-zA-Z_.]+) (==|!=) '([^']*)'`).FindStringSubmatch(c)
		return fmt.Sprint((values[m[1]] == m[3]) == (m[2] == "=="))
	})
	shell := strings.NewReplacer("(", "{ ", ")", "; }").Replace(text)
	cmd := exec.Command("bash", "-c", shell)
	if out, err := cmd.CombinedOutput(); len(out) > 0 || err != nil && cmd.ProcessState.ExitCode() != 1 {
		p.Fatalf("the test cannot evaluate the condition %q: %s", condition, out)
	}
	return cmd.ProcessState.Success()
}

// tool puts a shell script into a folder.
func (p *pipeline) tool(bin, name, script string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\n"+script+"\n"), 0o700); err != nil {
		p.Fatal(err)
	}
}

// webhook makes curl write each request to a webhook into a file.
func (p *pipeline) webhook(bin string) {
	p.Helper()
	p.tool(bin, "curl", `{ cat "$5"; cat; echo; } >> "`+p.sent+`"`)
}

// newPipeline makes a checkout, and a driver from it.
func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	dir, bin := repository(t), t.TempDir()
	p := &pipeline{T: t, dir: dir, sent: filepath.Join(bin, "sent")}
	copyTree(t, filepath.Join("..", "..", ".github"), filepath.Join(dir, ".github"))
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "real"), "./cmd/kubeadm-aws")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the driver: %v\n%s", err, out)
	}
	p.tool(bin, "driver", `args=()
for a in "$@"; do [ "$a" = aws ] && a=sandbox; args+=("$a"); done
if [ "$1" = verify ] && [ -n "${CLUSTER_IS_SICK:-}" ]; then echo code=7 >> "$GITHUB_OUTPUT"; exit 7; fi
exec "`+bin+`/real" "${args[@]}"`)
	p.webhook(bin)
	p.tool(bin, "gh", "true")
	cli, err := exec.LookPath("pulumi")
	if err != nil {
		t.Fatal(err)
	}
	// The scripts ask for the tags of a stack on AWS. The driver has its own way to those of the simulation.
	p.tool(bin, "pulumi", `case "$1 $2" in "stack tag") ;; *) exec `+cli+` "$@" ;; esac`)
	p.env = []string{
		"DRIVER=" + filepath.Join(bin, "driver"), "PULUMI=" + filepath.Join(bin, "pulumi"), "STACK=dev", "PATH=" + bin + ":" + os.Getenv("PATH"),
		"GITHUB_RUN_ID=1", "GITHUB_JOB=up",
	}
	return p
}

// expect runs the job that deploys and compares its result, and the outcomes of steps, given as names and outcomes.
func (p *pipeline) expect(result string, pairs ...string) {
	p.Helper()
	got, outcomes := p.run("deploy.yml", "up")
	for i := 0; i < len(pairs); i += 2 {
		if outcomes[pairs[i]] != pairs[i+1] {
			p.Errorf("the step %s: %s, want %s", pairs[i], outcomes[pairs[i]], pairs[i+1])
		}
	}
	if got != result || outcomes["let no runner in"] != "success" {
		p.Errorf("the job: %s, want %s; the firewall was closed: %s", got, result, outcomes["let no runner in"])
	}
}

// notice returns the requests to the webhooks since the last call, and compares them.
func (p *pipeline) notice(wanted ...string) {
	p.Helper()
	text, _ := os.ReadFile(p.sent)
	_ = os.Remove(p.sent)
	for _, w := range wanted {
		if !strings.Contains(string(text), w) {
			p.Errorf("the notice does not say %q: %s", w, text)
		}
	}
	if paged := strings.Contains(string(text), "http://page"); paged != slices.Contains(wanted, "http://page") {
		p.Errorf("PAGE_URL got a message: %t: %s", paged, text)
	}
}

const (
	backAgain = "back at the last verified commit"
	noWayBack = "a person has to look now"
	// neverVerified is a normal notice.
	neverVerified = "no earlier verified commit to go back to"
)

// Every way that the job can end, by the exit codes of a stand-in for the driver.
func TestEveryEndOfADeploy(t *testing.T) {
	bin := t.TempDir()
	p := &pipeline{T: t, dir: filepath.Join("..", ".."), sent: filepath.Join(bin, "sent")}
	p.tool(bin, "driver", `case $1 in up) code=$UP ;; verify) code=$VERIFY ;; rollback) code=$ROLLBACK_CODE ;; *) code=0 ;; esac
printf 'code=%s\nbegun=%s\n' "$code" "${BEGUN}" >> "$GITHUB_OUTPUT"
exit "$code"`)
	p.webhook(bin)
	for _, c := range []struct {
		up, begun, verify, rollback string
		result, outcome             string
		says                        []string
	}{
		{"0", "true", "0", "0", "success", "skipped", nil},
		{"0", "false", "0", "0", "success", "skipped", nil},
		{"5", "true", "0", "0", "failure", "success", []string{"http://notify", backAgain}},
		{"10", "true", "0", "0", "failure", "success", []string{backAgain}},
		{"0", "true", "7", "0", "failure", "success", []string{backAgain}},
		{"0", "false", "7", "0", "failure", "success", []string{backAgain}},
		// Applications are not well. A rollback of the platform would not change that.
		{"0", "true", "11", "0", "failure", "skipped", []string{"http://notify", "The platform is verified and stays"}},
		// The state could not be read, so nothing is known of the cluster.
		{"0", "true", "5", "0", "failure", "skipped", []string{"http://notify"}},
		{"5", "true", "0", "5", "failure", "failure", []string{"http://notify", "http://page", noWayBack}},
		{"0", "true", "7", "7", "failure", "failure", []string{"http://page", noWayBack}},
		// The first deploy, or the verified commit itself once more: no way back was ever there.
		{"0", "true", "7", "12", "failure", "failure", []string{"http://notify", neverVerified}},
		{"5", "true", "0", "12", "failure", "failure", []string{"http://notify", neverVerified}},
		// Refused across what cannot go back.
		{"0", "true", "7", "3", "failure", "failure", []string{"http://page", noWayBack}},
		// Nothing was changed, or a person ended it.
		{"5", "false", "0", "0", "failure", "skipped", []string{"http://notify"}},
		{"10", "false", "0", "0", "failure", "skipped", []string{"http://notify"}},
		{"1", "false", "0", "0", "failure", "skipped", []string{"http://notify"}},
		{"3", "false", "0", "0", "failure", "skipped", nil},
		{"4", "false", "0", "0", "failure", "skipped", nil},
		{"9", "false", "0", "0", "failure", "skipped", nil},
		{"130", "true", "0", "0", "failure", "skipped", nil},
	} {
		p.env = []string{
			"DRIVER=" + filepath.Join(bin, "driver"), "PULUMI=true", "STACK=dev", "PATH=" + bin + ":" + os.Getenv("PATH"),
			"UP=" + c.up, "BEGUN=" + c.begun, "VERIFY=" + c.verify, "ROLLBACK_CODE=" + c.rollback,
		}
		p.expect(c.result, "rollback", c.outcome)
		p.notice(c.says...)
	}
}

// previewsACopy runs the preview of a pull request that changes nothing. Its state has no key and no password.
func (p *pipeline) previewsACopy() {
	p.Helper()
	if result, outcomes := p.run("preview.yml", "preview"); result != "success" {
		p.Errorf("the preview of a pull request: %s, %v", result, outcomes)
	}
	said, err := os.ReadFile(filepath.Join(p.dir, "preview.txt"))
	if err != nil || !strings.Contains(string(said), "plan      nothing changes") {
		p.Errorf("the preview says: %v\n%s", err, said)
	}
	at := filepath.Join(p.dir, ".sandbox", "dev")
	secrets, plain := map[string]bool{}, regexp.MustCompile(`"plaintext":"(.{8,}?)"[,}]`)
	for _, r := range p.exported(at, filepath.Join(at, "state"), "rehearsal").Resources {
		if strings.HasPrefix(string(r.Type), "random:") || strings.HasPrefix(string(r.Type), "tls:") {
			for _, m := range plain.FindAllStringSubmatch(asJSON(p.T, r.Outputs), -1) {
				secrets[strings.Trim(m[1], `\"`)] = true
			}
		}
	}
	if len(secrets) < 20 {
		p.Fatalf("the state has only %d secrets: the test looks in the wrong place", len(secrets))
	}
	copied := asJSON(p.T, p.exported(p.TempDir(), filepath.Join(at, "state", "redacted"), "redacted"))
	for secret := range secrets {
		if strings.Contains(copied, secret) {
			p.Errorf("the copy has %.20s...", secret)
		}
	}
}

// exported reads a state of dev from a directory, with its secrets.
func (p *pipeline) exported(dir, backend, passphrase string) state.State {
	p.Helper()
	file := filepath.Join(dir, "Pulumi.yaml")
	if _, err := os.Stat(file); err != nil {
		if err := os.WriteFile(file, []byte("name: kubeadm-aws\nruntime: go\n"), 0o600); err != nil {
			p.Fatal(err)
		}
	}
	cmd := exec.Command("pulumi", "stack", "export", "--stack", "dev", "--show-secrets")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PULUMI_BACKEND_URL=file://"+backend, "PULUMI_CONFIG_PASSPHRASE="+passphrase)
	text, err := cmd.Output()
	if err != nil {
		p.Fatalf("export: %v", err)
	}
	st, err := state.Parse(text)
	if err != nil {
		p.Fatal(err)
	}
	return st
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The job with the real driver, whose cloud is the sandbox. It goes back to the last verified commit by itself, and
// only once.
func TestADeployThatFailsIsRolledBack(t *testing.T) {
	needCLI(t)
	p := newPipeline(t)

	// Nothing was ever verified, so there is no way back.
	p.env = append(p.env, "CLUSTER_IS_SICK=1")
	p.expect("failure", "up", "success", "verify", "failure", "rollback", "failure")
	p.notice("http://notify", neverVerified)
	p.env = p.env[:len(p.env)-1]

	p.expect("success", "up", "success", "verify", "success", "rollback", "skipped",
		"publish the state without secrets", "success")
	p.notice()
	p.previewsACopy()
	// The tag is there now. The commit in it is the one that is checked out, so it is not gone back to.
	code, stdout, _ := drive(t, "rollback", "--stack", "dev", "--dir", p.dir, "--to", lastVerified)
	if code != report.ExitNoneVerified || !strings.Contains(stdout, "is the last verified one") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}
