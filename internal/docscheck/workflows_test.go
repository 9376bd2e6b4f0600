package docscheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pipelines are the texts of all workflows and composite actions.
func pipelines(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{".github/workflows/*.yml", ".github/actions/*/action.yml"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, _ := filepath.Rel(root, path)
			found[name] = read(t, name)
		}
	}
	if len(found) < 6 {
		t.Fatalf("only %d pipelines were found", len(found))
	}
	return found
}

var (
	readsName    = regexp.MustCompile(`\b(vars|secrets)\.([A-Z][A-Z0-9_]*)`)
	writtenName  = regexp.MustCompile("(?m)^\\| (variable|secret) `([A-Z][A-Z0-9_]*)`")
	setName      = regexp.MustCompile(`"([A-Z][A-Z0-9_]*)":`)
	usedAction   = regexp.MustCompile(`(?m)uses: (\S+)(.*)$`)
	pinnedAction = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}$`)
)

// setUp are the variables that bootstrap sets on GitHub.
func setUp(t *testing.T) []string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, "bootstrap/account/account.go"), "func (d *deployer) export(")
	var names []string
	for _, m := range setName.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	if len(names) < 5 {
		t.Fatalf("bootstrap sets only %v", names)
	}
	return names
}

// The names that workflows read, that the document lists and that bootstrap sets are the same.
func TestWorkflowsAndDocumentsNameTheSame(t *testing.T) {
	document := read(t, "docs/gitops.md")
	listed := map[string]bool{}
	for _, m := range writtenName.FindAllStringSubmatch(document, -1) {
		listed[m[1]+" "+m[2]] = true
	}
	known := map[string]bool{}
	for path, text := range pipelines(t) {
		for _, m := range readsName.FindAllStringSubmatch(text, -1) {
			name := map[string]string{"vars": "variable ", "secrets": "secret "}[m[1]] + m[2]
			known[name] = true
			if !listed[name] && !strings.Contains(document, "`"+m[2]+"`") {
				t.Errorf("%s reads the %s, which docs/gitops.md does not name", path, name)
			}
		}
	}
	for name := range listed {
		if !known[name] {
			t.Errorf("docs/gitops.md lists the %s, which no workflow reads", name)
		}
	}
	for _, name := range setUp(t) {
		if !strings.Contains(document, "`"+name+"`") {
			t.Errorf("bootstrap sets %s, which docs/gitops.md does not name", name)
		}
	}
	for _, name := range []string{"AWS_REGION", "AWS_ACCOUNT_ID", "AWS_ROLE_ARN", "PULUMI_BACKEND_URL"} {
		if !slices.Contains(setUp(t), name) || !known["variable "+name] {
			t.Errorf("%s is not both set by bootstrap and read by a workflow", name)
		}
	}
}

// A tag of an action can be moved to other code; a commit cannot.
func TestActionsArePinned(t *testing.T) {
	for path, text := range pipelines(t) {
		for _, m := range usedAction.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "./") && (!pinnedAction.MatchString(m[1]) || !strings.Contains(m[2], "# v")) {
				t.Errorf("%s uses %s without a commit and its version in a comment", path, m[1])
			}
		}
	}
}

// A session may not be longer than the role allows, and make folds exit codes and swallows signals.
func TestJobsFitTheirRoles(t *testing.T) {
	if !strings.Contains(read(t, "bootstrap/account/roles.go"), "const SessionSeconds = 7200") {
		t.Error("the roles allow another time than 7200 s: change the workflows too")
	}
	for path, text := range pipelines(t) {
		for _, m := range regexp.MustCompile(`seconds: "(\d+)"`).FindAllStringSubmatch(text, -1) {
			if m[1] != "7200" {
				t.Errorf("%s asks for a session of %s s", path, m[1])
			}
		}
		if strings.Contains(text, "vars.AWS_ROLE_ARN") && strings.Contains(text, "run: make ") {
			t.Errorf("%s runs make instead of the driver", path)
		}
		if strings.Contains(text, "group: stack-") && !strings.Contains(text, "queue: max") {
			t.Errorf("%s loses a run that waits", path)
		}
	}
}

// script runs one of .github/scripts with a stand-in for gh, which answers questions with the text and records what it
// is asked to change.
func script(t *testing.T, answer, name string, args ...string) (asked string, err error) {
	t.Helper()
	bin := t.TempDir()
	record := filepath.Join(bin, "asked")
	stub := "#!/bin/bash\ncase \"$*\" in *'--jq .body') printf '%s' \"$BODY\" ;; *--jq*) printf '%s' \"$ANSWER\" ;; *) echo \"$*\" >>\"$RECORD\" ;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "gh"), []byte(stub), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(root, ".github", "scripts", name), args...)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "ANSWER="+answer, "RECORD="+record, "GH_REPO=octocat/my-repo")
	if out, failed := cmd.CombinedOutput(); failed != nil {
		err = failed
		t.Logf("%s %v: %s", name, args, out)
	}
	text, _ := os.ReadFile(record)
	return string(text), err
}

func TestDriftHasOneIssueForEachStack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "drift.txt")
	t.Setenv("BODY", "Compared\r\n```\r\nplan      change 1\r\n          update   vpc\r\n```")
	const before = "preview   dev, second 3\nplan      change 1\n          update   vpc\n"
	for _, c := range []struct {
		name, open, code, said, want string
		fails                        bool
	}{
		{"nothing differs", "", "0", "", "", false},
		{"nothing differs any more", "7", "0", "", "issue close 7", false},
		{"drift is found", "", "8", "plan", "issue create --title drift: dev is not what was brought up --label drift",
			false},
		{"drift is still there", "7", "8", before, "issue edit 7 --body-file", false},
		{"something else differs", "7", "8", before + "          update   nodes\n", "issue comment 7 --body-file", false},
		{"the stack is missing", "", "1", "error: there is no stack dev yet", "", false},
		{"the stack was destroyed", "7", "1", "error: stack dev has no resources", "issue close 7", false},
		{"no credentials", "", "1", "error: no credentials", "", true},
		{"the comparison failed", "", "5", "", "", true},
		{"the driver never ran", "", "", "", "", true},
	} {
		if err := os.WriteFile(file, []byte(c.said), 0o600); err != nil {
			t.Fatal(err)
		}
		asked, err := script(t, c.open, "drift-issue.sh", "dev", c.code, file)
		if (err != nil) != c.fails || !strings.Contains(asked, c.want) || (c.want == "") != (asked == "") {
			t.Errorf("%s: asked gh for %q, %v", c.name, asked, err)
		}
		if strings.Contains(asked, "issue comment") != strings.Contains(c.want, "issue comment") {
			t.Errorf("%s: a comment tells of what is known already: %q", c.name, asked)
		}
	}
}

func TestAPreviewIsEditedInPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "preview.txt")
	if err := os.WriteFile(file, []byte("plan"), 0o600); err != nil {
		t.Fatal(err)
	}
	for existing, want := range map[string]string{"": "pr comment 3 --body-file", "42": "--method PATCH repos/octocat/my-repo/issues/comments/42"} {
		if asked, err := script(t, existing, "preview-comment.sh", "dev", "3", file); err != nil ||
			!strings.Contains(asked, want) {
			t.Errorf("with the comment %q: asked gh for %q, %v", existing, asked, err)
		}
	}
}
