package driver

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
)

var everywhere = flag.Bool("everywhere", false,
	"TestAKilledRunConverges: kill a run at every resource, before and after it is made or removed (half an hour)")

// A test runs the driver as a separate process that dies, as in a power failure, at the points in killAt. There is
// one point to a line, such as "create before vpc:Vpc::vpc". "before" is when the engine has asked for the operation
// and nothing is done. "after" is when it is done and the engine does not know. It dies once at each point: the file
// killLog records where it died already. "*" is every resource.
// killBy is how it ends: KILL (the default), CLI (only the Pulumi CLI is killed), or signals that it sends to itself,
// such as "INT TERM".
const (
	killAt  = "AUTOMATION_TEST_KILL_AT"
	killLog = "AUTOMATION_TEST_KILL_LOG"
	killBy  = "AUTOMATION_TEST_KILL_BY"
)

// end ends the driver, or what it runs, as the environment asks.
func end() {
	switch by := os.Getenv(killBy); by {
	case "", "KILL":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "CLI":
		for _, child := range children() {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	default:
		for name := range strings.FieldsSeq(by) {
			_ = syscall.Kill(os.Getpid(), map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[name])
		}
	}
}

// children are the processes that this one has started.
func children() []int {
	files, _ := filepath.Glob("/proc/self/task/*/children")
	var all []int
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all
}

// dieOnTheWay arranges for the deaths that the environment asks for.
func dieOnTheWay() {
	if os.Getenv(killAt) == "" {
		return
	}
	points := strings.Split(os.Getenv(killAt), "\n")
	died, err := os.ReadFile(os.Getenv(killLog))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		panic(err)
	}
	var once sync.Mutex
	ended := false
	dies := func(o sandbox.Operation, when string) {
		here := func(point string) bool {
			prefix := o.Verb + " " + when + " "
			return strings.HasPrefix(point, prefix) &&
				(point == prefix+"*" || strings.HasSuffix(o.URN, strings.TrimPrefix(point, prefix)))
		}
		line := fmt.Sprintf("%s %s %s\n", o.Verb, when, o.URN)
		if !slices.ContainsFunc(points, here) || strings.Contains(string(died), line) {
			return
		}
		once.Lock()
		defer once.Unlock()
		if ended {
			return
		}
		ended = os.Getenv(killBy) != ""
		if err := os.WriteFile(os.Getenv(killLog), append(died, line...), 0o600); err != nil {
			panic(err)
		}
		end()
	}
	instrument = func(o *sandbox.Options) {
		o.Fault = func(o sandbox.Operation) error { dies(o, "before"); return nil }
		o.Done = func(o sandbox.Operation) { dies(o, "after") }
	}
}

// killed repeats a command until it is no longer killed, and returns where it was killed.
func killed(t *testing.T, dir, command string, at ...string) []string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "killed")
	t.Setenv(killAt, strings.Join(at, "\n"))
	t.Setenv(killLog, log)
	for {
		before, _ := os.ReadFile(log)
		p := startDriver(t, dir, command)
		code, said := p.all()
		after, _ := os.ReadFile(log)
		switch {
		case code == report.ExitLocked: // the engine of the last run has not ended yet
		case code == report.ExitOK:
			t.Setenv(killAt, "")
			return strings.Split(strings.TrimSpace(string(after)), "\n")
		case code != -1 || len(after) == len(before):
			t.Fatalf("%s after %d kills exits %d:\n%s\nit was killed at\n%s", command, strings.Count(string(after), "\n"), code,
				said, after)
		}
		t.Logf("%s was killed at %s", command, strings.TrimSpace(string(after[len(before):])))
	}
}

// all waits for the end and returns the exit code and everything that was said.
func (p *process) all() (int, string) {
	var said []string
	for e := range p.events {
		said = append(said, strings.TrimSpace(e.Kind+" "+e.Severity+" "+e.Resource+" "+e.Message))
	}
	_ = p.Wait()
	return p.ProcessState.ExitCode(), strings.Join(said, "\n")
}

// Whatever operation a killed run was in, the next one continues, creates nothing twice, and destroy leaves nothing.
func TestAKilledRunConverges(t *testing.T) {
	needCLI(t)
	ups := []string{
		"create before vpc:Vpc::vpc",
		"create after vpc:Vpc::vpc",
		"create after role:Role::platform-dev-control-plane",
		"create after bucketV2:BucketV2::platform-dev-backups",
		"create after securityGroupIngressRule:SecurityGroupIngressRule::nodes-typha-from-nodes",
		"create after instance:Instance::worker-1",
		"create after eip:Eip::master",
		"create after record:Record::api-private",
		"create after Release::rabbitmq-cluster-operator",
		"create after v1:Namespace::namespace-data",
	}
	downs := []string{"delete after Release::rabbitmq-cluster-operator", "delete before instance:Instance::master",
		"delete after vpc:Vpc::vpc"}
	if *everywhere {
		ups, downs = []string{"create before *", "create after *"}, []string{"delete before *", "delete after *"}
	}
	dir := project(t)
	at := killed(t, dir, "up", ups...)
	if !*everywhere && len(at) != len(ups) {
		t.Errorf("killed at %d of %d points:\n%s", len(at), len(ups), strings.Join(at, "\n"))
	}
	mustMatch(t, dir)
	if code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir,
		"--expect-no-changes"); code != report.ExitOK {
		t.Errorf("preview after the last up exits %d:\n%s", code, stdout)
	}
	gone := killed(t, dir, "destroy", downs...)
	if !*everywhere && len(gone) != len(downs) {
		t.Errorf("killed at %d of %d points:\n%s", len(gone), len(downs), strings.Join(gone, "\n"))
	}
	if *everywhere {
		made := slices.DeleteFunc(slices.Clone(at),
			func(line string) bool { return !strings.HasPrefix(line, "create after ") })
		t.Logf("%d of %d resources: up was killed before and after each was made, and converged", len(made),
			len(at)-len(made))
		t.Logf("destroy was killed %d times", len(gone))
		if 2*len(made) != len(at) {
			t.Errorf("killed %d times after and %d times before a resource was made", len(made), len(at)-len(made))
		}
	}
	external(t, dir, func(s *sandbox.Sandbox) error {
		if left := s.Leftovers(); len(left) > 0 {
			t.Errorf("%d resources are left:\n%s", len(left), strings.Join(left, "\n"))
		}
		return nil
	})
}

// A destroy that was ended at any point in any way, and then an up: everything in the state exists, and nothing else.
func TestAfterADestroyThatEndedUpBringsAllBack(t *testing.T) {
	needCLI(t)
	running := project(t)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", running); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	type ending struct{ by, at string }
	endings := []ending{
		{"KILL", "delete after Release::metrics-server"},
		{"CLI", "delete before Secret::secret-grafana-admin"},
		{"INT", "delete before Command::etcd-backup"},
		{"INT TERM", "delete after Release::cert-manager"},
		{"TERM", "delete after instance:Instance::worker-1"},
		// The address of a running control plane is released, so the API seems to be silent.
		{"KILL", "delete after eipAssociation:EipAssociation::master"},
		{"KILL", "delete after instance:Instance::master"},
	}
	if *everywhere {
		endings = nil
		for _, r := range stateOf(t, running).Resources {
			types, name := state.SplitURN(r.URN)
			for _, when := range []string{"before", "after"} {
				for _, by := range []string{"KILL", "CLI", "INT", "INT TERM", "TERM"} {
					// No provider is asked to delete what ends with another resource.
					if r.Custom && r.DeletedWith == "" && state.IsCounted(r.Type, true) {
						endings = append(endings, ending{by, "delete " + when + " " + types[len(types)-1] + "::" + name})
					}
				}
			}
		}
	}
	for _, e := range endings {
		t.Run(e.by+" "+e.at, func(t *testing.T) {
			dir := t.TempDir()
			copyTree(t, running, dir)
			if !endAt(t, dir, "destroy", e.by, e.at) {
				t.Error("it did not end there")
			}
			bringUp(t, dir)
		})
	}
	if *everywhere {
		return
	}
	// The reverse, on the way up and down again, with what is in between left in every state.
	dir := t.TempDir()
	copyTree(t, running, dir)
	for _, e := range []ending{{"INT TERM", "delete after Release::calico"},
		{"KILL", "delete after route:Route::internet"}} {
		endAt(t, dir, "destroy", e.by, e.at)
		endAt(t, dir, "up", "INT TERM", "create after Release::calico")
	}
	if code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir); code != report.ExitOK ||
		!strings.Contains(stdout, "left      0") {
		t.Errorf("destroy exits %d:\n%s", code, stdout)
	}
}

// endAt runs a command that is ended at a point, and reports whether it came there.
func endAt(t *testing.T, dir, command, by, at string) bool {
	t.Helper()
	t.Setenv(killAt, at)
	t.Setenv(killBy, by)
	t.Setenv(killLog, filepath.Join(t.TempDir(), "ended"))
	defer os.Unsetenv(killAt)
	code, said := startDriver(t, dir, command, "--parallel", "16").all()
	if want := map[string][]int{"KILL": {-1}, "CLI": {report.ExitFailed}}[by]; code != report.ExitOK && want != nil &&
		!slices.Contains(want, code) ||
		code != report.ExitOK && want == nil && code != report.ExitInterrupted {
		t.Fatalf("%s that ended by %s at %s exits %d:\n%s", command, by, at, code, said)
	}
	_, err := os.Stat(os.Getenv(killLog))
	return err == nil
}

// bringUp brings a stack up whatever was before, and checks that it is whole.
func bringUp(t *testing.T, dir string) {
	t.Helper()
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	for code == report.ExitLocked { // the engine of a run that was killed is not quite dead
		code, stdout, _ = drive(t, "up", "--stack", "dev", "--dir", dir)
	}
	if code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	mustMatch(t, dir)
	if code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir,
		"--expect-no-changes"); code != report.ExitOK {
		t.Errorf("preview after it exits %d:\n%s", code, stdout)
	}
}

// The engine writes the state of a large simulation only at the end. A run that is killed before is undone as a whole,
// so the next one begins where it began: the account has nothing that the state does not know.
func TestALargeSimulationIsUndoneAsAWhole(t *testing.T) {
	needCLI(t)
	dir := project(t)
	large := []string{"{name: master, role: control-plane}"}
	for i := range 100 {
		large = append(large, fmt.Sprintf("{name: worker-%d}", i+1))
	}
	nodesOf(t, dir, large...)
	at := killed(t, dir, "up", "create after instance:Instance::worker-77", "create after Release::cert-manager")
	if len(at) != 2 {
		t.Errorf("killed at %d of 2 points:\n%s", len(at), strings.Join(at, "\n"))
	}
	mustMatch(t, dir)
	for _, e := range []struct{ command, by, at string }{
		{"destroy", "KILL", "delete after Release::cert-manager"},
		{"up", "KILL", "create after Release::cert-manager"}, // nothing to do: the destroy was undone
		{"destroy", "CLI", "delete after instance:Instance::worker-77"},
		{"destroy", "INT TERM", "delete after instance:Instance::worker-42"},
		{"destroy", "INT", "delete after instance:Instance::worker-42"}, // what is in flight ends, and the state is written
	} {
		if ended := endAt(t, dir, e.command, e.by, e.at); ended != (e.command == "destroy") {
			t.Errorf("%s, %s at %s: ended there is %v", e.command, e.by, e.at, ended)
		}
		t.Setenv(killBy, "")
	}
	bringUp(t, dir)
	if code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--dir", dir); code != report.ExitOK ||
		!strings.Contains(stdout, "left      0") {
		t.Errorf("destroy exits %d:\n%s", code, stdout)
	}
}
