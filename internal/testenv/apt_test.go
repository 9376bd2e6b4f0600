package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAptWaitsForAnotherApt calls tools/apt.sh with an apt-get whose lists are locked by another process for two
// attempts, or for ever, and with one that fails otherwise.
func TestAptWaitsForAnotherApt(t *testing.T) {
	const locked = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"
	for name, c := range map[string]struct {
		says     string
		attempts string
		calls    []string
		fails    bool
	}{
		"free":          {"", "0", []string{"update", "install"}, false},
		"locked twice":  {locked, "2", []string{"update", "update", "update", "install"}, false},
		"another error": {"E: the repository is not signed", "1", []string{"update"}, true},
		"locked":        {locked, "1000", slices.Repeat([]string{"update"}, 60), true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for program, script := range map[string]string{
				"sleep": "exit 0\n",
				"apt-get": `echo "$1" >>"$DIR/calls"
if [ "$1" = install ]; then echo "$*" >"$DIR/install"; exit 0; fi
[ "$LC_ALL" = C ] || SAYS="E: in another language"
[ "$(wc -l <"$DIR/calls")" -gt "$ATTEMPTS" ] || { echo "$SAYS" >&2; exit 100; }
`,
			} {
				if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			command := exec.Command("../../tools/apt.sh", "jq", "file")
			command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "DIR="+dir, "SAYS="+c.says,
				"ATTEMPTS="+c.attempts, "LC_ALL=de_DE.UTF-8")
			out, err := command.CombinedOutput()
			if (err != nil) != c.fails {
				t.Errorf("ends with %v: %s", err, out)
			}
			if c.fails && !strings.Contains(string(out), c.says) {
				t.Errorf("does not say why: %q", out)
			}
			calls, err := os.ReadFile(filepath.Join(dir, "calls"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Fields(string(calls)); strings.Join(got, " ") != strings.Join(c.calls, " ") {
				t.Errorf("calls %v, want %v", got, c.calls)
			}
			if installed, _ := os.ReadFile(filepath.Join(dir, "install")); !c.fails &&
				!strings.HasSuffix(strings.TrimSpace(string(installed)), " jq file") {
				t.Errorf("installs by %q", installed)
			}
		})
	}
}
