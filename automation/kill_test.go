package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kubeadm-aws/sandbox"
)

var everywhere = flag.Bool("everywhere", false, "TestAKilledRunConverges: kill a run at every resource, before and after it is made or removed (half an hour)")

// A driver that a test runs as a process of its own dies, as by a power cut, at the points that killAt lists, one to a line, such as
// "create before vpc:Vpc::vpc". "before" is when the engine has asked for it and nothing is done, "after" when it is done and the
// engine does not know. It dies once at each: the file killLog remembers where it died already. "*" is every resource.
const (
	killAt  = "AUTOMATION_TEST_KILL_AT"
	killLog = "AUTOMATION_TEST_KILL_LOG"
)

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
	dies := func(o sandbox.Operation, when string) {
		here := func(point string) bool {
			prefix := o.Verb + " " + when + " "
			return strings.HasPrefix(point, prefix) && (point == prefix+"*" || strings.HasSuffix(o.URN, strings.TrimPrefix(point, prefix)))
		}
		line := fmt.Sprintf("%s %s %s\n", o.Verb, when, o.URN)
		if !slices.ContainsFunc(points, here) || strings.Contains(string(died), line) {
			return
		}
		if err := os.WriteFile(os.Getenv(killLog), append(died, line...), 0o600); err != nil {
			panic(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	instrument = func(o *sandbox.Options) {
		o.Fault = func(o sandbox.Operation) error { dies(o, "before"); return nil }
		o.Done = func(o sandbox.Operation) { dies(o, "after") }
	}
}

// killed runs a command again and again until it is not killed any more, and returns where it was.
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
		case code == exitLocked: // the engine of the last run is not quite dead
		case code == exitOK:
			t.Setenv(killAt, "")
			return strings.Split(strings.TrimSpace(string(after)), "\n")
		case code != -1 || len(after) == len(before):
			t.Fatalf("%s after %d kills exits %d:\n%s\nit was killed at\n%s", command, strings.Count(string(after), "\n"), code, said, after)
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

// Whatever a run was doing when it was killed, the next one goes on, makes nothing twice, and destroy leaves nothing.
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
	downs := []string{"delete after Release::rabbitmq-cluster-operator", "delete before instance:Instance::master", "delete after vpc:Vpc::vpc"}
	if *everywhere {
		ups, downs = []string{"create before *", "create after *"}, []string{"delete before *", "delete after *"}
	}
	dir := project(t)
	at := killed(t, dir, "up", ups...)
	if !*everywhere && len(at) != len(ups) {
		t.Errorf("killed at %d of %d points:\n%s", len(at), len(ups), strings.Join(at, "\n"))
	}
	mustBeInState(t, dir)
	if code, stdout, _ := drive(t, "preview", "--stack", "dev", "--dir", dir, "--expect-no-changes"); code != exitOK {
		t.Errorf("preview after the last up exits %d:\n%s", code, stdout)
	}
	gone := killed(t, dir, "destroy", downs...)
	if !*everywhere && len(gone) != len(downs) {
		t.Errorf("killed at %d of %d points:\n%s", len(gone), len(downs), strings.Join(gone, "\n"))
	}
	if *everywhere {
		made := slices.DeleteFunc(slices.Clone(at), func(line string) bool { return !strings.HasPrefix(line, "create after ") })
		t.Logf("%d of %d resources: up was killed before and after each was made, and converged", len(made), len(at)-len(made))
		t.Logf("destroy was killed %d times", len(gone))
		if 2*len(made) != len(at) {
			t.Errorf("killed %d times after and %d times before a resource was made", len(made), len(at)-len(made))
		}
	}
	world(t, dir, func(s *sandbox.Sandbox) error {
		if left := s.Leftovers(); len(left) > 0 {
			t.Errorf("%d things are left:\n%s", len(left), strings.Join(left, "\n"))
		}
		return nil
	})
}

// mustBeInState finds things in the account that the state does not know: made twice, or made and forgotten.
func mustBeInState(t *testing.T, dir string) {
	t.Helper()
	state := stateOf(t, dir)
	world(t, dir, func(s *sandbox.Sandbox) error {
		for _, line := range s.Leftovers() {
			words := strings.Fields(line)
			if strings.HasPrefix(line, "aws:") && !strings.HasPrefix(line, "aws:ebs/volume:") && !state.knows(words[0], words[1]) {
				t.Errorf("the state does not know %s", line)
			}
		}
		return nil
	})
	for _, r := range state.Resources {
		if r.Delete || len(r.InitErrors) > 0 {
			t.Errorf("the state says of %s: to be deleted %v, faults %v", readable(r.URN), r.Delete, r.InitErrors)
		}
	}
	if len(state.Pending) > 0 {
		t.Errorf("the state has %d pending operations", len(state.Pending))
	}
}
