//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kubeadm-aws/internal/dockerhosts"
)

// driver is the path of the built driver.
var driver string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if err := environment(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "kubeadm-aws-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	driver = filepath.Join(dir, "kubeadm-aws")
	build := exec.Command("go", "build", "-o", driver, "./cmd/kubeadm-aws")
	build.Dir, build.Stderr = root(), os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: build the driver:", err)
		return 1
	}
	return m.Run()
}

func root() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}

// environment makes sure that what the driver needs is there before minutes are spent.
func environment() error {
	if os.Getuid() != 0 {
		return errors.New("hosts need root")
	}
	if err := os.Setenv("MIRROR_SCRIPTS", filepath.Join(root(), "tools", "mirror")); err != nil {
		return err
	}
	for name, script := range map[string]string{"PULUMI": "pulumi.sh", "MOTO_SERVER": "moto.sh"} {
		if os.Getenv(name) != "" {
			continue
		}
		find := exec.Command(filepath.Join(root(), "tools", script))
		find.Stderr = os.Stderr
		out, err := find.Output()
		if err != nil {
			return fmt.Errorf("tools/%s: %w", script, err)
		}
		if err := os.Setenv(name, strings.TrimSpace(string(out))); err != nil {
			return err
		}
	}
	out, err := exec.Command("docker", "info").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker: %w: %s", err, out)
	}
	return nil
}

// stack is a stack of the driver in a directory of its own, with settings that tests change.
type stack struct {
	name, dir string
	settings  map[string]any
}

// newStack begins with the settings of the dev stack. What is left of it at the end of the test is destroyed.
func newStack(t *testing.T, name string) *stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "kubeadm-aws-"+name)
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{name: name, dir: dir}
	for from, to := range map[string]string{"Pulumi.yaml": "Pulumi.yaml", "Pulumi.dev.yaml": "Pulumi." + name + ".yaml"} {
		data, err := os.ReadFile(filepath.Join(root(), from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, to), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if to != from {
			var file struct {
				Config map[string]any `yaml:"config"`
			}
			if err := yaml.Unmarshal(data, &file); err != nil {
				t.Fatal(err)
			}
			s.settings = file.Config
		}
	}
	t.Cleanup(func() { s.sweep(t) })
	s.set(t, "cluster", map[string]any{"name": name})
	return s
}

// set changes a setting; the key is without the namespace, nil removes it.
func (s *stack) set(t *testing.T, key string, value any) {
	t.Helper()
	if value == nil {
		delete(s.settings, "kubeadm-aws:"+key)
	} else {
		s.settings["kubeadm-aws:"+key] = value
	}
	data, err := yaml.Marshal(map[string]any{"config": s.settings})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "Pulumi."+s.name+".yaml"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// event is the part of the driver's events that the tests read.
type event struct {
	Time     time.Time      `json:"time"`
	Kind     string         `json:"event"`
	Host     string         `json:"host"`
	Step     string         `json:"step"`
	Check    string         `json:"check"`
	Op       string         `json:"op"`
	Resource string         `json:"resource"`
	Status   string         `json:"status"`
	Severity string         `json:"severity"`
	Message  string         `json:"message"`
	Phase    string         `json:"phase"`
	Seconds  float64        `json:"seconds"`
	Code     *int           `json:"code"`
	Changes  map[string]int `json:"changes"`
	Left     []string       `json:"leftovers"`
	Path     []struct {
		Resource   string
		Start, End float64
	} `json:"path"`
}

// result is the outcome of a run of the driver.
type result struct {
	code   int
	events []event
	took   time.Duration
	begun  time.Time
}

// messages are what the driver said, as one text.
func (r result) messages() string {
	var b strings.Builder
	for _, e := range r.events {
		if e.Message != "" {
			fmt.Fprintf(&b, "%s %s %s: %s\n", e.Kind, e.Severity, e.Resource, e.Message)
		}
	}
	return b.String()
}

// done lists the operations that were carried out, as "update worker-1-node".
func (r result) done() []string {
	var ops []string
	for _, e := range r.events {
		switch {
		case e.Status != "done":
		case e.Kind == "host":
			ops = append(ops, e.Op+" "+e.Host+"-"+e.Step)
		case e.Kind == "resource":
			ops = append(ops, e.Op+" "+e.Resource)
		}
	}
	return ops
}

// run runs a command of the driver, such as "up" or "image build". watch sees each event as it comes, and may be nil.
func (s *stack) run(t *testing.T, command string, watch func(event, *os.Process), flags ...string) result {
	t.Helper()
	begun := time.Now()
	args := append(strings.Fields(command), append([]string{"--stack", s.name, "--cloud", "hosts", "--dir", s.dir, "--json"}, flags...)...)
	cmd := exec.Command(driver, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := result{begun: begun}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Errorf("%s prints %q: %v", command, lines.Text(), err)
			continue
		}
		r.events = append(r.events, e)
		if watch != nil {
			watch(e, cmd.Process)
		}
	}
	_, _ = io.Copy(io.Discard, out)
	err = cmd.Wait()
	r.took, r.code = time.Since(begun), cmd.ProcessState.ExitCode()
	if stderr.Len() > 0 {
		t.Logf("%s says on stderr: %s", command, stderr.String())
	}
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		r.code = -1 // killed
	}
	return r
}

// must runs a command that has to succeed.
func (s *stack) must(t *testing.T, command string, flags ...string) result {
	t.Helper()
	r := s.run(t, command, nil, flags...)
	if r.code != 0 {
		t.Fatalf("%s ends with %d after %s:\n%s", command, r.code, r.took.Round(time.Second), r.messages())
	}
	return r
}

// output reads one output of the stack.
func (s *stack) output(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command(driver, "outputs", "--stack", s.name, "--cloud", "hosts", "--dir", s.dir, "--output", name, "--show-secrets").Output()
	if err != nil {
		t.Fatalf("output %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// simulation is the directory of the driver for the state and the backend of the stack.
func (s *stack) simulation() string { return filepath.Join(s.dir, ".sandbox", s.name+"-hosts") }

// backend opens the stack's hosts for the time of a test, as the driver does for the time of a run.
func (s *stack) backend(t *testing.T) *dockerhosts.Backend {
	t.Helper()
	b, err := dockerhosts.New(t.Context(), dockerhosts.Options{Stack: s.name, Dir: filepath.Join(s.simulation(), "hosts"),
		Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// sweep removes what a failed test left on this machine.
func (s *stack) sweep(t *testing.T) {
	if os.Getenv("KEEP") != "" && t.Failed() {
		t.Logf("kept: %s and the containers labelled kubeadm-aws.stack=%s", s.dir, s.name)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, id := range containers(t, s.name) {
		t.Logf("removing %s", id)
		_ = exec.CommandContext(ctx, "docker", "rm", "--force", "--volumes", id).Run()
	}
	_ = exec.CommandContext(ctx, "docker", "network", "rm", "kubeadm-aws-"+s.name).Run()
	if err := os.RemoveAll(s.dir); err != nil {
		t.Error(err)
	}
}

// containers are the names of the stack's containers.
func containers(t *testing.T, stack string) []string {
	t.Helper()
	out, err := exec.Command("docker", "ps", "--all", "--format", "{{.Names}}", "--filter",
		"label=kubeadm-aws.stack="+stack).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
