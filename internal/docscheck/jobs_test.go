package docscheck

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// workflow has the fields of a workflow of GitHub Actions that the tests read.
type workflow struct {
	Jobs map[string]job
}

type job struct {
	RunsOn   string `yaml:"runs-on"`
	If       string
	Needs    string
	Strategy struct {
		Matrix struct{ Stack any }
	}
	Steps []step
}

// usesAWS reports whether a job works on a stack in an account.
func (j job) usesAWS() bool {
	return slices.ContainsFunc(j.Steps, func(s step) bool { return s.Uses == "./.github/actions/stack" })
}

type step struct {
	Name, ID, Uses, Run, If string
	Env                     map[string]string
}

// workflows are all workflows by the name of their file.
func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	found := map[string]workflow{}
	for path, text := range pipelines(t) {
		if !strings.Contains(path, "/workflows/") {
			continue
		}
		var w workflow
		if err := yaml.Unmarshal([]byte(text), &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		found[filepath.Base(path)] = w
	}
	return found
}

// A machine of GitHub reaches the nodes only after it has let itself in, and closes that however the job ends.
func TestJobsLetTheirMachineInAndOut(t *testing.T) {
	const outside = "vars.RUNNER == ''"
	jobs := 0
	for name, w := range workflows(t) {
		for id, j := range w.Jobs {
			if !strings.Contains(j.RunsOn, "vars.RUNNER") || !j.usesAWS() {
				continue
			}
			jobs++
			state := "closed"
			for _, s := range j.Steps {
				switch {
				case strings.Contains(s.Run, "access open") && s.If == outside,
					strings.Contains(s.Run, " up ") && strings.Contains(s.Run, `--admit "$ADMIT"`) &&
						strings.Contains(s.Env["ADMIT"], outside):
					state = "open"
				case strings.Contains(s.Run, "access close"):
					if s.If != "always() && "+outside {
						t.Errorf("%s, job %s: access close is skipped unless %q", name, id, s.If)
					}
					state = "closed again"
				case strings.Contains(s.Run, "$DRIVER") && state != "open":
					t.Errorf("%s, job %s, step %s: the nodes are %s", name, id, s.Name, state)
				}
			}
			if state != "closed again" {
				t.Errorf("%s, job %s: the nodes are %s at its end", name, id, state)
			}
		}
	}
	if jobs < 5 {
		t.Errorf("only %d jobs were looked at", jobs)
	}
}

// A workflow works on the stacks that exist. A job without such a condition follows one that has it.
func TestJobsOnAWSReadWhichStacksExist(t *testing.T) {
	jobs := 0
	for name, w := range workflows(t) {
		for id, j := range w.Jobs {
			if !j.usesAWS() {
				continue
			}
			jobs++
			first := j
			for first.Needs != "" {
				first = w.Jobs[first.Needs]
			}
			if !strings.Contains(first.If, "vars.STACKS") {
				t.Errorf("%s, job %s runs without a look at the variable STACKS", name, id)
			}
			if _, fixed := j.Strategy.Matrix.Stack.([]any); fixed {
				t.Errorf("%s, job %s has a fixed list of stacks", name, id)
			}
		}
	}
	if jobs < 7 {
		t.Errorf("only %d jobs were looked at", jobs)
	}
}
