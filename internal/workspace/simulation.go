package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/dockerhosts"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
)

// checkpointNodes is up to how many nodes the engine of a simulation writes its state at every step, as it does on
// AWS. The next run then recovers a killed one from where it was. Each write is the whole state, so an up takes CPU
// time that grows with the square of its nodes. For 20 nodes 21 of 28 s are the writes, and for 100 nodes more than
// 100 s. A smaller state does not change that: compressed and without the scripts, 100 nodes still take more than 70 s.
// For more nodes the state is written once, at the end of the operation, and a killed run is undone as a whole: see
// savepoint.
const checkpointNodes = 20

// openSimulation starts the sandbox and selects the stack in a copy of the project, made when it is new.
func openSimulation(ctx context.Context, o Options) (_ *Workspace, err error) {
	dir := simulationDir(o)
	w := &Workspace{Options: o, Dir: dir, Location: Relative(filepath.Join(dir, "state"))}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, report.Fail(report.ExitCannotStart, noWriting(dir), "make the simulation's directory: %w", err)
	}
	if err := w.hold(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	kept := stateCopyIn(filepath.Join(dir, "state"), dir, o.Stack)
	if err := w.keepState(kept); err != nil {
		return nil, err
	}
	account := filepath.Join(dir, "account")
	before := savepointIn(account, kept.file)
	if err := before.rollback(w.Log); err != nil {
		return nil, report.Fail(report.ExitCannotStart, "To begin the simulation again from nothing: rm -r "+Relative(dir), "%w", err)
	}
	o.CLI.connections = &connKeeper{}
	options := sandbox.Options{
		Connected: o.CLI.connections.keep, Stack: o.Stack, Dir: account,
		Checkpoints: o.Cloud == report.CloudHosts || len(o.Config.Nodes) <= checkpointNodes,
	}
	settings := map[string]any{}
	if o.Cloud == report.CloudHosts {
		backend, err := openHosts(ctx, o, dir)
		if err != nil {
			return nil, err
		}
		options.Backend = backend
		w.Real = backend.Real()
		if options.Kubernetes, err = backend.Provider(); err != nil {
			return nil, report.Fail(report.ExitCannotStart, "", "%w", err)
		}
		w.closers = append(w.closers, backend.Close)
		for path, value := range backend.Overrides() {
			settings[config.Namespace+":"+path] = value
		}
	}
	if o.Instrument != nil {
		o.Instrument(&options)
	}
	if w.Sandbox, err = sandbox.Start(options); err != nil {
		err = errors.Join(err, w.close())
		return nil, report.Fail(report.ExitCannotStart, "", "start the sandbox: %w", err)
	}
	if !options.Checkpoints {
		w.closers = append(w.closers, func() error { return w.endSavepoint(before) })
	}
	w.closers = append(w.closers, w.Sandbox.Close)
	o.CLI.passes = hermetic
	copies := sandbox.Workspace{
		Project: o.Project, Dir: dir, Stack: o.Stack, Program: program, Settings: settings, CLI: o.CLI,
	}
	if w.Engine, err = copies.Open(ctx, w.Sandbox); err != nil {
		next := ""
		if c := report.CauseOf(err.Error()); c != nil {
			next = c.Advice(o.Subject, o.Config.Region)
		}
		return nil, report.Fail(report.ExitCannotStart, next, "%w", err)
	}
	if o.Redacted {
		return w, w.useRedacted(ctx)
	}
	if !options.Checkpoints {
		o.CLI.wrote = before.advance
		return w, before.set()
	}
	return w, nil
}

// endSavepoint releases the savepoint of a run that ended by itself, and undoes an operation whose engine was killed.
func (w *Workspace) endSavepoint(before savepoint) error {
	if w.CLI.died() {
		return before.rollback(w.Log)
	}
	return before.release()
}

func openHosts(ctx context.Context, o Options, dir string) (*dockerhosts.Backend, error) {
	backend, err := dockerhosts.New(ctx, dockerhosts.Options{
		Stack:  o.Stack,
		Dir:    filepath.Join(dir, "hosts"),
		Avoid:  []string{o.Config.Network.PodCIDR, o.Config.Network.ServiceCIDR},
		Domain: o.Config.DNS.Domain,
		Log:    func(format string, args ...any) { o.Log.Info(fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart, "Hosts need root, a docker daemon that answers, and the root of the repository as current directory.",
			"open the hosts: %w", err)
	}
	return backend, nil
}

// hold takes the lock of the simulation's directory. The lock belongs to the process, so a run that was killed cannot
// leave it behind. The CLI inherits it, so it is held until the last process of a run has exited. A lock of such a
// run in the engine's own lock directory is therefore stale and is removed.
func (w *Workspace) hold(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return report.Fail(report.ExitCannotStart, noWriting(filepath.Dir(path)), "open the simulation's lock: %w", err)
	}
	w.closers = append(w.closers, f.Close)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		return report.Fail(report.ExitLocked, "Wait for it to end, or stop it with Ctrl-C in its terminal.",
			"another run holds the stack %s%s", w.Stack, strings.TrimSpace(string(holder)))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, ": process %d, %s", os.Getpid(), w.Command)
	}
	w.CLI.inherited = f
	return os.RemoveAll(filepath.Join(filepath.Dir(path), "state", ".pulumi", "locks"))
}

// hermetic keeps the user's Pulumi and AWS settings out of a simulation.
func hermetic(name string) bool {
	return !strings.HasPrefix(name, "PULUMI_") && !strings.HasPrefix(name, "AWS_") && name != "KUBECONFIG"
}

// simulationDir holds the copies, the account and the state of one simulated stack.
func simulationDir(o Options) string {
	name := o.Stack
	if o.Cloud == report.CloudHosts {
		name += "-hosts"
	}
	return filepath.Join(o.Project, ".sandbox", name)
}
