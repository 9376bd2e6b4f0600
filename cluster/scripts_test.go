package cluster

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func scriptPaths(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("scripts/*.sh")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d scripts found, %v", len(files), err)
	}
	return files
}

func runScript(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("bash", args...)
	// No variable of this process's environment, because it may contain a setting.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			t.Fatal(err)
		}
		code = exit.ExitCode()
	}
	return out.String(), errs.String(), code
}

func TestScriptsExplainThemselves(t *testing.T) {
	for _, file := range scriptPaths(t) {
		out, stderr, code := runScript(t, nil, file, "--help")
		if code != 0 || !strings.HasPrefix(out, "usage: ") || stderr != "" {
			t.Errorf("%s --help: exit code %d, stdout %q, stderr %q", file, code, out, stderr)
		}
	}
}

func TestScriptsNameTheSettingThatIsMissing(t *testing.T) {
	for file, first := range map[string]string{
		"prepare.sh":        "TIME_LIMIT",
		"init.sh":           "NODE",
		"join.sh":           "NODE",
		"node.sh":           "NODE",
		"node-delete.sh":    "NODE",
		"node-drain.sh":     "NODE",
		"upgrade.sh":        "NODE",
		"member.sh":         "NODE",
		"balancer.sh":       "TIME_LIMIT",
		"api-name.sh":       "",
		"nodes-ready.sh":    "NODES",
		"balancer-stop.sh":  "NODE",
		"members-leave.sh":  "CONTROL_PLANES",
		"backup.sh":         "BACKUP_SCHEDULE",
		"reboot.sh":         "NODE",
		"reboot-turn.sh":    "NODE",
		"reboots.sh":        "REBOOT_TURN",
		"control-planes.sh": "STAY",
	} {
		_, stderr, code := runScript(t, nil, "scripts/"+file)
		if code != 2 {
			t.Errorf("%s without settings: exit code %d, want 2: %s", file, code, stderr)
		}
		if !strings.Contains(stderr, "usage: ") || first != "" && !strings.Contains(stderr, first+" is not set") {
			t.Errorf("%s without settings says %q", file, stderr)
		}
	}
	// A run without settings writes the metric of a failed run, so it needs a root of its own.
	h := newScriptHost(t)
	h.fails(h.run("etcd-snapshot.sh", ""), 2, "usage: ")
	h.fails(h.run("etcd-snapshot.sh", "", "now"), 2, "BUCKET is not set", "usage: ")
}

// On a host, the names of the scripts contain digests, so a script cannot find another one next to it.
func TestScriptsAreCompleteInThemselves(t *testing.T) {
	for _, file := range scriptPaths(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"dirname", "BASH_SOURCE", "$0"} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s refers to its own path by %s", file, bad)
			}
		}
		if !strings.Contains(string(text), "\nset -euo pipefail\n") {
			t.Errorf("%s does not stop at the first error", file)
		}
		if strings.Contains(string(text), "set -x") {
			t.Errorf("%s would print its settings", file)
		}
	}
}
