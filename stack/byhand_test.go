package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/testenv"
)

// TestByHand does what a user without the driver does: it runs the compiled program of main.go with the Pulumi CLI on
// a copy of the project.
func TestByHand(t *testing.T) {
	u := userAt(t, "dev")
	u.must("stack", "init", "dev")

	preview := u.must("preview")
	if !strings.Contains(preview, "to create") {
		t.Errorf("preview of a new stack:\n%s", preview)
	}
	u.mustHaveNothing()

	u.must("config", "set", "kubeadm-aws:ownr", "somebody")
	if out, err := u.pulumi("up", "--yes", "--skip-preview"); err == nil || !strings.Contains(out, "kubeadm-aws:ownr") ||
		!strings.Contains(out, "did you mean owner?") {
		t.Errorf("an unknown setting: %v\n%s", err, out)
	}
	u.mustHaveNothing()
	u.must("config", "rm", "kubeadm-aws:ownr")

	u.must("config", "set", "--secret", "kubeadm-aws:redisPassword", "correct-horse-battery")
	up := u.must("up", "--yes")
	if !strings.Contains(up, "kubeconfig") || strings.Contains(up, "correct-horse-battery") ||
		strings.Contains(up, "PRIVATE KEY") {
		t.Errorf("up:\n%s", up)
	}
	if password := strings.TrimSpace(u.must("stack", "output", "redisPassword",
		"--show-secrets")); password != "correct-horse-battery" {
		t.Errorf("the password from the settings arrives as %q", password)
	}
	u.must("up", "--yes", "--skip-preview", "--expect-no-changes")
	u.must("refresh", "--yes", "--expect-no-changes")

	u.must("config", "set", "--path", "kubeadm-aws:network.podCidr", "10.200.0.0/16")
	if out, err := u.pulumi("preview"); err == nil || !strings.Contains(out, `is "10.244.0.0/16" on the running stack`) {
		t.Errorf("a preview of another range for pods: %v\n%s", err, out)
	}
	u.must("config", "rm", "--path", "kubeadm-aws:network")
	// The state then has another name, and the cluster keeps its own.
	u.must("stack", "rename", "renamed")
	u.stack = "renamed"
	u.must("config", "set", "--path", "kubeadm-aws:cluster.dnsDomain", "k8s.internal")
	if out, err := u.pulumi("preview"); err == nil || !strings.Contains(out, `is "cluster.local" on the running stack`) {
		t.Errorf("a preview of another domain, of a stack that was renamed: %v\n%s", err, out)
	}
	u.must("config", "set", "--path", "kubeadm-aws:cluster.dnsDomain", "cluster.local")
	u.must("destroy", "--yes")
	u.mustHaveNothing()
}

// user is a person with a Pulumi CLI and a directory of the project.
type user struct {
	t        *testing.T
	dir, cli string
	stack    string
	env      []string
	box      *sandbox.Sandbox
}

func userAt(t *testing.T, stack string) *user {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the Pulumi engine")
	}
	cli := testenv.NeedPulumi(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if out, err := exec.Command("go", "build", "-o", program, "..").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, name := range []string{"Pulumi.yaml", "Pulumi." + stack + ".yaml"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	box, err := sandbox.Start(sandbox.Options{Stack: stack, Dir: filepath.Join(dir, "account")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	u := &user{t: t, dir: dir, cli: cli, stack: stack, box: box, env: append(os.Environ(),
		"PULUMI_BACKEND_URL=file://"+dir,
		"PULUMI_HOME="+filepath.Join(dir, "home"),
		"PULUMI_CONFIG_PASSPHRASE=rehearsal",
		"PULUMI_SKIP_UPDATE_CHECK=true",
		fmt.Sprintf("PULUMI_DEBUG_LANGUAGES=go:%d", serveLanguage(t, program)),
	)}
	for name, value := range box.Env() {
		u.env = append(u.env, name+"="+value)
	}
	return u
}

func (u *user) pulumi(args ...string) (string, error) {
	cmd := exec.Command(u.cli, append([]string{"--non-interactive", "--color", "never"}, args...)...)
	cmd.Dir, cmd.Env = u.dir, u.env
	if args[0] != "stack" || args[1] != "init" {
		cmd.Args = append(cmd.Args, "--stack", u.stack)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (u *user) must(args ...string) string {
	u.t.Helper()
	out, err := u.pulumi(args...)
	if err != nil {
		u.t.Fatalf("pulumi %s: %v\n%s", strings.Join(args, " "), err, tail(out, 4000))
	}
	return out
}

func (u *user) mustHaveNothing() {
	u.t.Helper()
	if left := u.box.Leftovers(); len(left) > 0 {
		u.t.Errorf("%d resources are in the account:\n%s", len(left), strings.Join(left, "\n"))
	}
}

// language runs a compiled program as Pulumi's language host for Go does. That host is part of an installed CLI, but
// not of one that was built here.
type language struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	program, engine string
}

// serveLanguage returns the port of a language host.
func serveLanguage(t *testing.T, program string) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pulumirpc.RegisterLanguageRuntimeServer(server, &language{program: program})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().(*net.TCPAddr).Port
}

func (l *language) Handshake(_ context.Context,
	req *pulumirpc.LanguageHandshakeRequest) (*pulumirpc.LanguageHandshakeResponse, error) {
	l.engine = req.EngineAddress
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (l *language) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{}, nil
}

func (l *language) GetRequiredPackages(context.Context,
	*pulumirpc.GetRequiredPackagesRequest) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

func (l *language) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	settings, err := json.Marshal(req.Config)
	if err != nil {
		return nil, err
	}
	secrets, err := json.Marshal(req.ConfigSecretKeys)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, l.program)
	cmd.Dir = req.Pwd
	cmd.Env = append(os.Environ(),
		pulumi.EnvOrganization+"="+req.Organization,
		pulumi.EnvProject+"="+req.Project,
		pulumi.EnvStack+"="+req.Stack,
		pulumi.EnvConfig+"="+string(settings),
		pulumi.EnvConfigSecretKeys+"="+string(secrets),
		pulumi.EnvDryRun+"="+fmt.Sprint(req.DryRun),
		pulumi.EnvParallel+"="+fmt.Sprint(req.Parallel),
		pulumi.EnvMonitor+"="+req.MonitorAddress,
		pulumi.EnvEngine+"="+l.engine,
	)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		// The program has reported the error to the engine. Its other output is shown too.
		return &pulumirpc.RunResponse{Error: printed.String(), Bail: exit.ExitCode() == 32}, nil
	case err != nil:
		return nil, err
	}
	return &pulumirpc.RunResponse{}, nil
}
