package driver

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/testenv"
)

// asDriver makes the test binary behave as the driver, so that tests can send signals to a process of their own.
const asDriver = "TEST_AS_DRIVER"

func TestMain(m *testing.M) {
	if os.Getenv(asDriver) != "" {
		dieOnTheWay()
		os.Exit(Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	instrument = withoutCheckpoints
	os.Exit(m.Run())
}

// withoutCheckpoints makes the engine write its state once per operation. Runs that no test kills need no more, and
// half of the time of an up is spent on the writes.
func withoutCheckpoints(o *sandbox.Options) { o.Checkpoints = false }

func needCLI(t *testing.T) {
	t.Helper()
	testenv.NeedPulumi(t)
}

// process is a driver that runs as a process of its own and emits events.
type process struct {
	*exec.Cmd
	events chan report.Event
}

// startDriver runs the command in a process of its own. It works on one resource at a time, so that a test which acts
// on an event knows how far it came.
func startDriver(t *testing.T, dir, command string, flags ...string) *process {
	t.Helper()
	args := append([]string{command, "--stack", "dev", "--dir", dir, "--json", "--parallel", "1"}, flags...)
	p := &process{Cmd: exec.Command(os.Args[0], args...), events: make(chan report.Event, 1000)}
	p.Env = append(os.Environ(), asDriver+"=1")
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.events)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20) // the plan of a large stack is one line
		for lines.Scan() {
			var e report.Event
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				p.events <- e
			}
		}
	}()
	return p
}

// until waits for an event.
func (p *process) until(t *testing.T, what string, is func(report.Event) bool) {
	t.Helper()
	var seen []string
	for e := range p.events {
		if is(e) {
			return
		}
		seen = append(seen, e.Kind+" "+e.Message)
	}
	t.Fatalf("the driver ended before %s:\n%s", what, strings.Join(seen, "\n"))
}

// code waits for the end and returns the exit code and the last event.
func (p *process) code() (int, report.Event) {
	var last report.Event
	for e := range p.events {
		last = e
	}
	_ = p.Wait()
	return p.ProcessState.ExitCode(), last
}

// changed counts what an operation changed, from its events.
func changed(t *testing.T, stdout string) (plan map[string]int, hosts int) {
	t.Helper()
	for _, e := range parseEvents(t, stdout) {
		switch e.Kind {
		case report.KindPlan:
			plan = e.Changes
		case report.KindHost:
			hosts++
		}
	}
	return plan, hosts
}

// `destroy | head -2` ends the reader, and not the run.
func TestAReaderThatGoesAwayEndsNothing(t *testing.T) {
	testenv.NeedPulumi(t)
	dir := project(t)
	for _, command := range []string{"up", "destroy"} {
		p := exec.Command(os.Args[0], command, "--stack", "dev", "--dir", dir)
		p.Env = append(os.Environ(), asDriver+"=1")
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "left      0") {
		t.Errorf("a second destroy exits %d:\n%s", code, stdout)
	}
}

// A simulated stack comes up from nothing and goes away again. The run is interrupted twice on the way.
func TestASimulationSurvivesInterruptAndKill(t *testing.T) {
	testenv.NeedPulumi(t)
	dir := project(t)
	before := snapshot(t, dir)

	up := startDriver(t, dir, "up")
	up.until(t, "the first phase began", func(e report.Event) bool { return e.Kind == report.KindPhase })
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitLocked ||
		!strings.Contains(stdout, "another run holds the stack dev: process ") {
		t.Errorf("a second run at the same time exits %d:\n%s", code, stdout)
	}
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code, last := up.code()
	if code != report.ExitInterrupted || last.Kind != report.KindResult ||
		!strings.Contains(last.Message, "state is saved") {
		t.Fatalf("interrupted up exits %d with %+v", code, last)
	}

	up = startDriver(t, dir, "up")
	up.until(t, "a phase began", func(e report.Event) bool { return e.Kind == report.KindPhase })
	if err := up.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code, _ := up.code(); code != -1 {
		t.Fatalf("killed up exits %d", code)
	}

	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir, "--json")
	for code == report.ExitLocked {
		// The engine dies with its driver, and holds the stack until it has.
		code, stdout, _ = drive(t, "up", "--stack", "dev", "--dir", dir, "--json")
	}
	if plan, _ := changed(t, stdout); code != report.ExitOK || plan["create"] == 0 {
		t.Fatalf("up after a kill exits %d with plan %v:\n%s", code, plan, stdout)
	}

	code, stdout, _ = drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "nothing changes") {
		t.Errorf("a second up exits %d:\n%s", code, stdout)
	}
	code, stdout, _ = drive(t, "preview", "--stack", "dev", "--dir", dir, "--expect-no-changes")
	if code != report.ExitOK {
		t.Errorf("preview exits %d:\n%s", code, stdout)
	}
	checkOutputs(t, dir)

	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "kubeadm-aws:owner: platform", "kubeadm-aws:owner: another-team")
	if code, stdout, _ = drive(t, "preview", "--stack", "dev", "--dir", dir,
		"--expect-no-changes"); code != report.ExitChanges {
		t.Errorf("preview of a change exits %d, want %d:\n%s", code, report.ExitChanges, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "kubeadm-aws:owner: another-team", "kubeadm-aws:owner: platform")

	code, stdout, _ = drive(t, "destroy", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "left      0") {
		t.Fatalf("destroy exits %d:\n%s", code, stdout)
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("the project's files changed:\n%s\nbefore:\n%s", after, before)
	}
}

func checkOutputs(t *testing.T, dir string) {
	t.Helper()
	code, stdout, _ := drive(t, "outputs", "--stack", "dev", "--dir", dir)
	if code != report.ExitOK || !strings.Contains(stdout, "apiUrl") ||
		!strings.Contains(stdout, "kubeconfig       [secret]") || strings.Contains(stdout, "PRIVATE KEY") {
		t.Errorf("outputs exits %d:\n%s", code, stdout)
	}
	if strings.Contains(stdout, "pulumi stack output") ||
		!strings.Contains(stdout, "go run ./cmd/kubeadm-aws destroy --stack dev ") {
		t.Errorf("next is not about a simulation:\n%s", stdout)
	}
	code, stdout, _ = drive(t, "outputs", "--stack", "dev", "--dir", dir, "--output", "sshPrivateKey")
	if code != report.ExitUsage || strings.Contains(stdout, "PRIVATE KEY") {
		t.Errorf("a secret output without --show-secrets exits %d:\n%s", code, stdout)
	}
	code, stdout, _ = drive(t, "outputs", "--stack", "dev", "--dir", dir, "--output", "sshPrivateKey", "--show-secrets")
	if code != report.ExitOK || !strings.HasPrefix(stdout, "-----BEGIN") {
		t.Errorf("a secret output with --show-secrets exits %d:\n%s", code, stdout)
	}
}

// snapshot lists the files below a directory with their content.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		b.WriteString(path + "\n" + string(text) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func edit(t *testing.T, path, from, to string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s does not hold %q", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
