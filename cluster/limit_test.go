package cluster

import (
	"os/exec"
	"strings"
	"testing"
)

// A script may start programs that hang, that ignore the signal, or that left its process group: timeout creates a
// group for the program that it limits.
func TestHangingScriptsEnd(t *testing.T) {
	h := newScriptHost(t)
	h.env["STEP"] = "join"
	marker := "4" + strings.Repeat("7", 8) // seconds, different from those of other processes
	for name, hangs := range map[string]string{
		"itself":               "sleep " + marker,
		"ignoring the signal":  "timeout -k 1 1000 bash -c 'trap \"\" TERM; sleep " + marker + "' & wait",
		"in another group":     "timeout 1000 sleep " + marker,
		"behind the script":    "sleep " + marker + " & disown; timeout 1000 sleep " + marker,
		"with an answer ready": "echo joined; exec sleep " + marker,
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			h.fails(h.run("limit.sh", "", "1", h.file("join.0a.sh", hangs)), 124, "join: stopped, because it was not done after")
			if out, err := exec.Command("pgrep", "-f", "sleep "+marker).Output(); err == nil {
				t.Errorf("processes still run: %s", out)
			}
		})
	}
	h.t = t
	h.succeeds(h.run("limit.sh", "input", "60", h.file("join.0a.sh", "cat")), "input")
	for script, code := range map[string]int{"exit 3": 3, "exit 124": 124, "kill -KILL $$": 137} {
		if o := h.run("limit.sh", "", "60", h.file("join.0a.sh", script)); o.code != code || strings.Contains(o.stderr, "stopped") {
			t.Errorf("%s ends with %d and says %q", script, o.code, o.stderr)
		}
	}
	h.fails(h.run("limit.sh", ""), 2, "usage: ")
}
