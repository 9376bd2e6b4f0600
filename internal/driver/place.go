package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/dockerhosts"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/stack"
)

// checkpointNodes is up to how many nodes a rehearsal's engine writes its state at every step, as it does on AWS, so that a run
// which is killed can be settled (pending.go). It writes the whole state each time: an up of 4 nodes takes 6 s instead of 2, of
// 20 nodes 16 s instead of 3, and of 100 nodes 141 s instead of 6.
const checkpointNodes = 20

// instrument lets tests watch and stop a rehearsal; nil otherwise.
var instrument func(*sandbox.Options)

// place is an opened stack together with what has to run beside it.
type place struct {
	auto.Stack
	cli *pulumiCLI
	// dir is the workspace: the project itself, or for a rehearsal the directory with its copies.
	dir string
	// sandbox is nil on AWS.
	sandbox *sandbox.Sandbox
	// state says to a person where the state lives.
	state string

	// spent says that a rehearsal holds nothing any more and can be removed.
	spent bool

	closers []func() error
}

// open makes the stack ready for operations.
func open(ctx context.Context, op operation, cli *pulumiCLI, cfg *config.Config, l *report.Log) (*place, error) {
	if op.Cloud == report.CloudAWS {
		return openAWS(ctx, op, cli, l)
	}
	return openRehearsal(ctx, op, cli, cfg, l)
}

// openAWS selects a stack that the user has made; how its state and secrets are kept is the user's choice.
func openAWS(ctx context.Context, op operation, cli *pulumiCLI, l *report.Log) (*place, error) {
	p := &place{cli: cli, dir: op.dir, state: "your Pulumi backend: pulumi stack --stack " + op.Stack}
	if backend, err := url.Parse(os.Getenv("PULUMI_BACKEND_URL")); err == nil && backend.Scheme == "file" && filepath.IsAbs(backend.Path) {
		c := stateCopyIn(backend.Path, backend.Path, op.Stack)
		c.real = true
		if err := p.keepState(c, l); err != nil {
			return nil, err
		}
	}
	s, err := auto.SelectStackLocalSource(ctx, op.Stack, op.dir, auto.Program(stack.Deploy), auto.Pulumi(cli))
	if auto.IsSelectStack404Error(err) {
		return nil, report.Fail(report.ExitCannotStart, fmt.Sprintf("pulumi stack init %s", op.Stack), "there is no stack %s yet", op.Stack)
	}
	if err != nil {
		next := "Is the backend reachable (pulumi whoami -v), and is the passphrase or the key there?"
		if c := report.CauseOf(err.Error()); c != nil {
			next = c.Advice(op.Subject, "")
		}
		return nil, report.Fail(report.ExitCannotStart, next, "open stack %s: %s", op.Stack, report.Shortened(err))
	}
	p.Stack = s
	return p, nil
}

// openRehearsal starts the sandbox and selects the stack in a copy of the project, made when it is new.
func openRehearsal(ctx context.Context, op operation, cli *pulumiCLI, cfg *config.Config, l *report.Log) (_ *place, err error) {
	dir := rehearsalDir(op)
	p := &place{cli: cli, dir: dir, state: relative(filepath.Join(dir, "state"))}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, report.Fail(report.ExitCannotStart, noWriting(dir), "make the rehearsal's directory: %w", err)
	}
	if err := p.hold(filepath.Join(dir, "lock"), op); err != nil {
		return nil, err
	}
	if err := p.keepState(stateCopyIn(filepath.Join(dir, "state"), dir, op.Stack), l); err != nil {
		return nil, err
	}
	cli.mortal = &hostage{}
	options := sandbox.Options{Connected: cli.mortal.hold, Stack: op.Stack, Dir: filepath.Join(dir, "account"), Checkpoints: len(cfg.Nodes) <= checkpointNodes}
	settings := map[string]any{}
	if op.Cloud == report.CloudHosts {
		backend, err := openHosts(ctx, op, dir, cfg, l)
		if err != nil {
			return nil, err
		}
		options.Backend = backend
		for path, value := range backend.Overrides() {
			settings[config.Namespace+":"+path] = value
		}
	}
	if instrument != nil {
		instrument(&options)
	}
	if p.sandbox, err = sandbox.Start(options); err != nil {
		if options.Backend != nil {
			err = errors.Join(err, options.Backend.Close())
		}
		return nil, report.Fail(report.ExitCannotStart, "", "start the sandbox: %w", err)
	}
	p.closers = append(p.closers, p.sandbox.Close)
	cli.keep = hermetic
	workspace := sandbox.Workspace{
		Project: op.dir, Dir: dir, Stack: op.Stack, Program: stack.Deploy, Settings: settings, CLI: cli,
	}
	if p.Stack, err = workspace.Open(ctx, p.sandbox); err != nil {
		next := ""
		if c := report.CauseOf(err.Error()); c != nil {
			next = c.Advice(op.Subject, cfg.Region)
		}
		return nil, report.Fail(report.ExitCannotStart, next, "%w", err)
	}
	return p, nil
}

func openHosts(ctx context.Context, op operation, dir string, cfg *config.Config, l *report.Log) (*dockerhosts.Backend, error) {
	backend, err := dockerhosts.New(ctx, dockerhosts.Options{
		Stack:  op.Stack,
		Dir:    filepath.Join(dir, "hosts"),
		Avoid:  []string{cfg.Network.PodCIDR, cfg.Network.ServiceCIDR},
		Domain: cfg.DNS.Domain,
		Log: func(format string, args ...any) {
			l.Emit(report.Event{Kind: report.KindLog, Severity: "info", Message: fmt.Sprintf(format, args...)})
		},
	})
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart, "Hosts need root, a docker daemon that answers, and the root of the repository as current directory.",
			"open the hosts: %w", err)
	}
	return backend, nil
}

// hold takes the lock of the rehearsal's directory. It is the process's, so a run that was killed cannot leave it behind;
// the CLI inherits it, so it is held until the last process of a run is gone. What such a run left in the engine's own
// lock directory is therefore stale and is removed.
func (p *place) hold(path string, op operation) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return report.Fail(report.ExitCannotStart, noWriting(filepath.Dir(path)), "open the rehearsal's lock: %w", err)
	}
	p.closers = append(p.closers, f.Close)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		return report.Fail(report.ExitLocked, "Wait for it to end, or stop it with Ctrl-C in its terminal.",
			"another run holds the stack %s%s", op.Stack, strings.TrimSpace(string(holder)))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, ": process %d, %s", os.Getpid(), op.Command)
	}
	p.cli.held = f
	return os.RemoveAll(filepath.Join(filepath.Dir(path), "state", ".pulumi", "locks"))
}

// Close ends what runs beside the stack, last started first.
func (p *place) Close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	p.closers = nil
	if p.spent {
		errs = append(errs, os.RemoveAll(p.dir))
	}
	return errors.Join(errs...)
}

// export is the deployment as JSON, with secrets encrypted.
func (p *place) export(ctx context.Context) ([]byte, error) {
	stdout, err := p.pulumi(ctx, "stack", "export")
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return []byte(stdout), nil
}

// pulumi runs one CLI command on the stack.
func (p *place) pulumi(ctx context.Context, args ...string) (string, error) {
	return p.pulumiWithInput(ctx, nil, args...)
}

func (p *place) pulumiWithInput(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	var env []string
	for k, v := range p.Workspace().GetEnvVars() {
		env = append(env, k+"="+v)
	}
	args = append(args, "--stack", p.Name())
	stdout, stderr, _, err := p.cli.Run(ctx, p.dir, stdin, nil, nil, env, args...)
	if err != nil {
		return "", fmt.Errorf("pulumi %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr))
	}
	return stdout, nil
}

// hermetic keeps the user's Pulumi and AWS settings out of a rehearsal.
func hermetic(name string) bool {
	return !strings.HasPrefix(name, "PULUMI_") && !strings.HasPrefix(name, "AWS_") && name != "KUBECONFIG"
}

// rehearsalDir holds the copies, the account and the state of one rehearsed stack.
func rehearsalDir(op operation) string {
	name := op.Stack
	if op.Cloud == report.CloudHosts {
		name += "-hosts"
	}
	return filepath.Join(op.dir, ".sandbox", name)
}

// relative shortens a path for people.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(wd, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}
	return short
}
