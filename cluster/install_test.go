package cluster

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"kubeadm-aws/cluster/stepline"
)

// installHost is a machine without scripts, whose sudo runs the command. files are scripts of the test.
func installHost(t *testing.T, files map[string]string) (*scriptHost, host) {
	h := newScriptHost(t)
	h.stub("sudo", `exec "$@"`)
	limit, err := scriptFiles.ReadFile("scripts/limit.sh")
	if err != nil {
		t.Fatal(err)
	}
	files["limit"] = string(limit)
	return h, host{scripts: files, isNew: true}
}

// command runs a step as the login shell of the host would.
func (h *scriptHost) command(on host, line stepline.Line, script, stdin string) outcome {
	h.t.Helper()
	args, err := on.bashArgs(script, 1)
	if err != nil {
		h.t.Fatal(err)
	}
	line.Args = args
	text := strings.ReplaceAll(line.Format(), stepline.ScriptDir, h.at(stepline.ScriptDir))
	// One argument of a program has at most 128 KiB, and sshd passes the command as one.
	cmd := exec.Command("sh", "-c", text)
	cmd.Env = []string{"PATH=" + h.bin + ":" + os.Getenv("PATH"), "HOME=" + h.root}
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	said.add("install.sh", errs.String())
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func TestCommandPassesItsSettingsToTheScript(t *testing.T) {
	h, on := installHost(t, map[string]string{
		"join": `printf '%s|%s|%s|%s' "$STEP" "$NODE" "$A" "$B"; cat; echo "'quoted'" >&2`})
	value := "line one\nit's \"two\"\n$HOME"
	line := stepline.Line{Name: "join", Node: "worker-1", Env: map[string]string{"A": value, "B": ""}}
	for _, on.isNew = range []bool{true, false} { // the first command brings the script that the second one runs
		o := h.command(on, line, "join", "input")
		h.succeeds(o, "join|worker-1|"+value+"|input")
		if o.stderr != "'quoted'\n" {
			t.Errorf("stderr %q", o.stderr)
		}
	}
}

// An older state has commands for the version of a script that it was written with.
func TestAHostKeepsOldVersionsOfScripts(t *testing.T) {
	h, on := installHost(t, map[string]string{"node": "echo old", "node-delete": "echo wrong"})
	older := on
	older.isNew = false
	h.succeeds(h.command(on, stepline.Line{Name: "node"}, "node", ""), "old\n")
	on.scripts = scripts{"limit": on.scripts["limit"], "node": "echo new", "node-delete": "echo other"}
	h.succeeds(h.command(on, stepline.Line{Name: "node"}, "node", ""), "new\n")
	h.succeeds(h.command(older, stepline.Line{Name: "node"}, "node", ""), "old\n")

	// Another machine never had the older version. The delete of its state runs the one that is there.
	if err := os.Remove(h.at(older.scripts.path("node"))); err != nil {
		t.Fatal(err)
	}
	o := h.command(older, stepline.Line{Name: "node"}, "node", "")
	h.succeeds(o, "new\n")
	if !strings.Contains(o.stderr, "node: "+h.at(older.scripts.path("node"))+" is not on this machine") {
		t.Errorf("it does not say so: %s", o.stderr)
	}
	if err := os.Remove(h.at(on.scripts.path("node"))); err != nil {
		t.Fatal(err)
	}
	h.fails(h.command(older, stepline.Line{Name: "node"}, "node", ""), 1, "is not on this machine", "pulumi up --replace")
}

// Root runs the scripts. Therefore only root may write them, and an interrupted run must not leave half of one.
func TestScriptsOnAHostAreWholeAndBelongToRoot(t *testing.T) {
	h, on := installHost(t, map[string]string{"ready": "true"})
	h.write(stepline.ScriptDir+"/.new/half.0a.sh", "hal", 0o666) // a run that was killed
	h.succeeds(h.command(on, stepline.Line{Name: "ready"}, "ready", ""), "")
	var found []string
	err := filepath.WalkDir(h.at(stepline.ScriptDir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		found = append(found, entry.Name())
		return nil
	})
	if want := []string{"scripts", ".lock", "limit.sh", on.scripts.file("ready")}; err != nil ||
		!slices.Equal(found, want) {
		t.Errorf("the host has %q (%v), want %q", found, err, want)
	}
}

func testInstallFailures(t *testing.T) {
	for says, spoil := range map[string]func(h *scriptHost){
		"needs root":                    func(h *scriptHost) { h.stub("id", "echo 1000") },
		"another run has been writing":  func(h *scriptHost) { h.stub("flock", "exit 1") },
		"cannot be made":                func(h *scriptHost) { h.stub("mkdir", "exit 1") },
		"cannot be written":             func(h *scriptHost) { h.stub("mkdir", `[ "$1" = -p ] && exec /bin/mkdir "$@"`) },
		"cannot be unpacked":            func(h *scriptHost) { h.stub("tar", "exit 1") },
		"cannot be written to the disk": func(h *scriptHost) { h.stub("sync", "exit 1") },
	} {
		t.Run(says, func(t *testing.T) {
			h, on := installHost(t, map[string]string{"ready": "echo ran"})
			spoil(h)
			o := h.command(on, stepline.Line{Name: "ready"}, "ready", "")
			h.fails(o, 1, "install: ", says)
			if o.stdout != "" {
				t.Error("the script runs nevertheless")
			}
		})
	}
	h := newScriptHost(t)
	h.fails(h.run("install.sh", "", "x"), 2, "usage: ")
}

// Each script is once in the state of a host, in its first step, and the others name it.
func TestScriptsReachAHostOnce(t *testing.T) {
	r := deploy(t, func(a *Args) {
		a.Scripts = fstest.MapFS{"scripts/other.sh": {Data: []byte("echo an add-on's")}}
	})
	for name, args := range r.commands() {
		for _, key := range []resource.PropertyKey{"create", "delete"} {
			if args.Inputs[key].IsNull() {
				continue
			}
			line, err := stepline.Parse(text(t, args, key))
			if err != nil {
				t.Fatal(err)
			}
			size := len(text(t, args, key))
			if line.Name == "ready" {
				// sshd passes the command to the login shell as one argument of at most 128 KiB.
				if size > 100<<10 {
					t.Errorf("the command of %s has %d bytes", name, size)
				}
				continue
			}
			if size > 16<<10 || strings.Contains(text(t, args, key), "set -euo pipefail") {
				t.Errorf("%s of %s contains a script: %d bytes", key, name, size)
			}
			if len(line.Args) != 3 || !strings.HasPrefix(line.Args[2], stepline.ScriptDir+"/") {
				t.Errorf("%s of %s runs %q", key, name, line.Args)
			}
		}
	}
}

// A changed script runs again where it runs, after the first step of its hosts has brought it.
func TestWhatAChangedScriptTouches(t *testing.T) {
	with := func(text string) map[string]bool {
		files := fstest.MapFS{"scripts/nodes-ready.sh": {Data: []byte(text)}}
		commands := map[string]bool{}
		for name, args := range deploy(t, func(a *Args) { a.Scripts = files }).commands() {
			commands[name+" "+args.Inputs["create"].String()] = true
		}
		return commands
	}
	before, touched := with("echo one"), []string{}
	for command := range with("echo two") {
		if !before[command] {
			name, _, _ := strings.Cut(command, " ")
			touched = append(touched, name)
		}
	}
	slices.Sort(touched)
	if want := []string{"master-ready", "nodes-ready"}; !slices.Equal(touched, want) {
		t.Errorf("touched %v, want %v", touched, want)
	}
}

func TestAStepNeedsItsScriptOnItsHost(t *testing.T) {
	byRole, err := newScripts(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range workerScripts {
		if byRole["worker"][name] == "" {
			t.Errorf("a worker gets %s.sh, which does not exist", name)
		}
	}
	_, err = host{scripts: byRole["worker"]}.bashArgs("init", 1)
	if err == nil || !strings.Contains(err.Error(), "its host has no script init.sh") {
		t.Errorf("a step of the control plane on a worker: %v", err)
	}
}
