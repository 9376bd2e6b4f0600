package cluster

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scriptHost runs the scripts without a machine. Their absolute paths are moved below root, and every program outside
// bash and coreutils is a stub. A test replaces the stubs that should fail.
type scriptHost struct {
	t         *testing.T
	root, bin string
	env       map[string]string
	// waits keeps the limits of the waiting loops. Otherwise each loop tries once.
	waits bool
	// real are those of hostPaths that stay where they are.
	real []string
}

// hostPaths are the directories that the scripts use.
var hostPaths = []string{"/etc/", "/proc/", "/run/", "/sys/", "/usr/local/", "/var/lib/", "/var/log/"}

var waitLimit = regexp.MustCompile(`\$\(\(SECONDS \+ `)

func newScriptHost(t *testing.T) *scriptHost {
	t.Helper()
	h := &scriptHost{t: t, root: t.TempDir(), env: map[string]string{}}
	h.bin = filepath.Join(h.root, "bin")
	for _, dir := range append(hostPaths, "/bin") {
		if err := os.MkdirAll(filepath.Join(h.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.stub("id", "echo 0") // root
	return h
}

// at returns the location of one of the scripts' absolute paths.
func (h *scriptHost) at(path string) string { return filepath.Join(h.root, path) }

// text returns a script with its paths moved below root.
func (h *scriptHost) text(script string) string {
	h.t.Helper()
	raw, err := os.ReadFile(filepath.Join("scripts", script))
	if err != nil {
		h.t.Fatal(err)
	}
	text := string(raw)
	for _, path := range hostPaths {
		if slices.Contains(h.real, path) {
			continue
		}
		text = strings.ReplaceAll(text, path, h.root+path)
	}
	if !h.waits {
		text = waitLimit.ReplaceAllString(text, "${0}0 * ")
	}
	if url := h.env["METADATA_URL"]; url != "" {
		text = strings.ReplaceAll(text, "http://169.254.169.254", url)
	}
	return text
}

// stub creates a program from lines of shell.
func (h *scriptHost) stub(name, lines string) {
	h.t.Helper()
	h.write("/bin/"+name, "#!/bin/bash\n"+lines+"\n", 0o755)
}

func (h *scriptHost) write(path, content string, mode os.FileMode) {
	h.t.Helper()
	file := h.at(path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), mode); err != nil {
		h.t.Fatal(err)
	}
}

func (h *scriptHost) remove(path string) {
	h.t.Helper()
	if err := os.Remove(h.at(path)); err != nil {
		h.t.Fatal(err)
	}
}

// file writes a script that another one gets the path of, and returns the path.
func (h *scriptHost) file(name, text string) string {
	h.t.Helper()
	h.write("/usr/local/scripts/"+name, text, 0o600)
	return h.at("/usr/local/scripts/" + name)
}

// read returns the content of a file, or an empty text if the file does not exist.
func (h *scriptHost) read(path string) string {
	h.t.Helper()
	raw, err := os.ReadFile(h.at(path))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.t.Fatal(err)
	}
	return string(raw)
}

// refuses runs the script once per case, on a host with one fault, and expects exit code 1 and the message.
func refuses(t *testing.T, script string, host func(*testing.T) (h *scriptHost, stdin string), cases []spoilt) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.says, func(t *testing.T) {
			h, stdin := host(t)
			if c.spoil != nil {
				if changed := c.spoil(h); changed != "" {
					stdin = changed
				}
			}
			h.fails(h.run(script, stdin), 1, c.says)
			if c.after != nil {
				c.after(h)
			}
		})
	}
}

// spoilt is one kind of failure. spoil may return a different standard input.
type spoilt struct {
	says  string
	spoil func(h *scriptHost) (stdin string)
	after func(h *scriptHost)
}

// stubbed stubs a program and leaves the standard input unchanged.
func stubbed(name, lines string) func(h *scriptHost) string {
	return func(h *scriptHost) string { h.stub(name, lines); return "" }
}

// outcome is the result of a script.
type outcome struct {
	stdout, stderr string
	code           int
}

func (h *scriptHost) run(script, stdin string, args ...string) outcome {
	h.t.Helper()
	cmd := exec.Command("bash", append([]string{"-c", h.text(script), "bash"}, args...)...)
	cmd.Env = []string{"PATH=" + h.bin + ":" + os.Getenv("PATH"), "ROOT=" + h.root, "HOME=" + h.root}
	for _, k := range slices.Sorted(maps.Keys(h.env)) {
		cmd.Env = append(cmd.Env, k+"="+h.env[k])
	}
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	said.add(script, strings.ReplaceAll(errs.String(), h.root, ""))
	return outcome{strings.TrimSuffix(out.String(), "\n"), errs.String(), cmd.ProcessState.ExitCode()}
}

// fails expects the script to end with the code and to print all the texts.
func (h *scriptHost) fails(o outcome, code int, says ...string) {
	h.t.Helper()
	if o.code != code {
		h.t.Errorf("exit code %d, want %d; it says: %s", o.code, code, o.stderr)
	}
	for _, text := range says {
		if !strings.Contains(o.stderr, text) {
			h.t.Errorf("no %q in: %s", text, o.stderr)
		}
	}
	if strings.Contains(o.stderr, "command not found") || strings.Contains(o.stderr, "unbound variable") {
		h.t.Errorf("the failure path itself fails: %s", o.stderr)
	}
}

// succeeds expects the last line of stdout.
func (h *scriptHost) succeeds(o outcome, prints string) {
	h.t.Helper()
	if o.code != 0 {
		h.t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	if o.stdout != prints {
		h.t.Errorf("prints %q, want %q", o.stdout, prints)
	}
}
