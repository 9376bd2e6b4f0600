package report

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAJobLearnsTheExitCode(t *testing.T) {
	dir := t.TempDir()
	output, summary := filepath.Join(dir, "output"), filepath.Join(dir, "summary")
	t.Setenv("GITHUB_OUTPUT", output)
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	code := ExitChanges
	// A line break in a message may not end the line, or it could set another output.
	err := WriteGitHubResult(Event{Command: "preview", Stack: "dev", Status: "failed", Code: &code, Begun: true, Message: "it\ncode=0 differs", Next: "Look."})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		output: "code=8\nbegun=true\n", summary: "**preview of dev**: failed. it code=0 differs. Look.\n\n",
	} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", filepath.Base(path), got, err)
		}
	}
	t.Setenv("GITHUB_OUTPUT", filepath.Join(dir, "no", "folder"))
	if err := WriteGitHubResult(Event{Code: &code}); err == nil {
		t.Error("a file that cannot be written is not an error")
	}
}
