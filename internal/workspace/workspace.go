// Package workspace opens a stack for the driver: on AWS, or in a simulation on this machine. It runs the Pulumi CLI
// on it.
package workspace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/stack"
)

// Options name the stack to open and the settings and programs to open it with.
type Options struct {
	report.Subject
	// Project is the directory of the project, absolute.
	Project string
	Config  *config.Config
	CLI     *CLI
	Log     *report.Log
	// Parallel bounds the operations that the engine has in flight.
	Parallel int
	// Redacted opens the copy of the state without secrets instead of the state.
	Redacted bool
	// Instrument lets tests watch and stop a simulation; may be nil.
	Instrument func(*sandbox.Options)
}

// Workspace is an opened stack together with what has to run next to it.
type Workspace struct {
	Options
	// Engine runs operations on the stack.
	Engine auto.Stack
	// Dir is the directory in which Pulumi runs: the project itself, or for a simulation the directory with its copies.
	Dir string
	// Sandbox is nil on AWS.
	Sandbox *sandbox.Sandbox
	// Location is where the state is, for a person.
	Location string
	// Real are the releases that run for real on hosts; the charts of the others are only recorded.
	Real []string
	// Empty means that a simulation has no resources left. Close then removes its directory.
	Empty bool

	closers []func() error
}

// Open makes a stack ready for operations. Its errors are failures with exit codes.
func Open(ctx context.Context, o Options) (*Workspace, error) {
	open := openSimulation
	if o.Cloud == report.CloudAWS {
		open = openAWS
	}
	w, err := open(ctx, o)
	if err != nil && o.CLI.Stopped() {
		return nil, report.Fail(report.ExitInterrupted, "", "%s was interrupted before anything was attempted", o.Command)
	}
	return w, err
}

// openAWS selects a stack that the user has created. The user chooses where its state and its secrets are stored.
func openAWS(ctx context.Context, o Options) (*Workspace, error) {
	w := &Workspace{Options: o, Dir: o.Project, Location: "your Pulumi backend: pulumi stack --stack " + o.Stack}
	if o.Redacted {
		return w, w.useRedacted(ctx)
	}
	env := compressedState()
	if backend := backendDir(ctx, o); backend != "" {
		c := stateCopyIn(backend, backend, o.Stack)
		c.real = true
		if err := w.keepState(c); err != nil {
			return nil, err
		}
		env = nil // The copy is made of a plain file, and a disk needs no compression.
	}
	s, err := auto.SelectStackLocalSource(ctx, o.Stack, o.Project, auto.Program(program), auto.Pulumi(o.CLI),
		auto.EnvVars(env))
	if auto.IsSelectStack404Error(err) {
		return nil, report.Fail(report.ExitCannotStart, fmt.Sprintf("pulumi stack init %s", o.Stack), "there is no stack %s yet", o.Stack)
	}
	if err != nil {
		next := "Is the backend reachable (pulumi whoami -v), and is the passphrase or the key there?"
		if c := report.CauseOf(err.Error()); c != nil {
			next = c.Advice(o.Subject, "")
		}
		return nil, report.Fail(report.ExitCannotStart, next, "open stack %s: %s", o.Stack, report.Shortened(err))
	}
	w.Engine = s
	return w, nil
}

// backendDir returns the directory of a backend in files: that of PULUMI_BACKEND_URL, else that of `pulumi login`. It
// is "" for another backend, and for one that does not answer, which the selection of the stack reports.
func backendDir(ctx context.Context, o Options) string {
	text := os.Getenv("PULUMI_BACKEND_URL")
	if text == "" {
		var who struct{ URL string }
		stdout, _, _, err := o.CLI.Run(ctx, o.Project, nil, nil, nil, nil, "whoami", "--json")
		if err != nil || json.Unmarshal([]byte(stdout), &who) != nil {
			return ""
		}
		text = who.URL
	}
	dir, isFile := strings.CutPrefix(text, "file://")
	if !isFile {
		return ""
	}
	dir, _, _ = strings.Cut(dir, "?")
	if rest, ofUser := strings.CutPrefix(dir, "~"); ofUser {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = home + rest
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(o.Project, dir)
	}
	return dir
}

// compressedState makes the engine compress the state that it writes to a bucket, unless the environment decides
// that. The engine writes the whole state twice per resource: an up of 4 nodes uploads it 409 times, 239 MB in all,
// or 40 MB with zstd. Pulumi reads both forms whatever the environment says. Pulumi Cloud ignores the variable.
func compressedState() map[string]string {
	const gzip, zstd = "PULUMI_DIY_BACKEND_GZIP", "PULUMI_DIY_BACKEND_ZSTD"
	for _, name := range []string{gzip, zstd} {
		if _, decided := os.LookupEnv(name); decided {
			return nil
		}
	}
	return map[string]string{zstd: "true"}
}

// program runs stack.Deploy in a goroutine of its own. The SDK stores the call stack of each resource in the state.
// Without the frames of the Automation API the state of 4 nodes has 1.8 MB instead of 2.15 MB.
func program(ctx *pulumi.Context) error {
	done := make(chan error, 1)
	go func() {
		// The Automation API reports a panic only in the goroutine that it started.
		defer func() {
			if cause := recover(); cause != nil {
				done <- fmt.Errorf("panic in the program: %v\n%s", cause, debug.Stack())
			}
		}()
		done <- stack.Deploy(ctx)
	}()
	return <-done
}

// Close ends what runs next to the stack, last started first. It removes the lock of a CLI that this run has killed.
func (w *Workspace) Close() {
	if _, locked := w.CLI.Killed(); locked && w.Sandbox == nil {
		w.unlock()
	}
	if err := w.close(); err != nil {
		w.Log.Warn("closing: " + err.Error())
	}
}

func (w *Workspace) close() error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	w.closers = nil
	if w.Empty {
		errs = append(errs, os.RemoveAll(w.Dir))
	}
	return errors.Join(errs...)
}

func (w *Workspace) unlock() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.CLI.resume()
	if err := w.Engine.Cancel(ctx); err != nil {
		w.Log.Warn(fmt.Sprintf("The lock of this run is still there (%s). To remove it: "+
			"go run ./cmd/kubeadm-aws cancel --stack %s --cloud %s", report.Shortened(err), w.Stack, w.Cloud))
	}
}

// Failure explains an error of an operation of the engine. watcher followed the operation; nil when it had no events.
func (w *Workspace) Failure(err error, watcher *report.Watcher) error {
	killed, _ := w.CLI.Killed()
	how := report.Outcome{Region: w.Config.Region, Interrupted: w.CLI.Stopped(), Killed: killed}
	if watcher != nil {
		how.Said, how.Begun = watcher.Said, !watcher.Preview && len(watcher.Spans) > 0
	}
	return report.EngineFailure(err, w.Subject, how)
}

// Outputs are the outputs of the stack.
func (w *Workspace) Outputs(ctx context.Context) (auto.OutputMap, error) {
	all, err := w.Engine.Outputs(ctx)
	if err != nil {
		return nil, w.Failure(err, nil)
	}
	return all, nil
}

// Refresh updates the state of the resources that the options choose from what exists.
func (w *Workspace) Refresh(ctx context.Context, options ...optrefresh.Option) error {
	watcher := report.NewWatcher(w.Log, nil, false)
	err := watcher.Follow(func(stream chan<- events.EngineEvent) error {
		_, err := w.Engine.Refresh(ctx, append(options, optrefresh.Parallel(w.Parallel), optrefresh.SuppressProgress(),
			optrefresh.ShowSecrets(false),
			optrefresh.EventStreams(stream))...)
		return err
	})
	if err != nil {
		return w.Failure(err, watcher)
	}
	return nil
}

// State reads the state.
func (w *Workspace) State(ctx context.Context) (state.State, error) {
	exported, err := w.Export(ctx)
	if err != nil {
		return state.State{}, err
	}
	return state.Parse(exported)
}

// Export is the state as JSON, with secrets encrypted.
func (w *Workspace) Export(ctx context.Context) ([]byte, error) {
	stdout, err := w.Pulumi(ctx, "stack", "export")
	if err != nil {
		return nil, w.Failure(fmt.Errorf("read the state: %w", err), nil)
	}
	return []byte(stdout), nil
}

// Import replaces the state by a changed one.
func (w *Workspace) Import(ctx context.Context, changed state.State) error {
	exported, err := changed.Encode()
	if err != nil {
		return report.Fail(report.ExitCannotStart, "", "%w", err)
	}
	if _, err := w.pulumi(ctx, bytes.NewReader(exported), "stack", "import"); err != nil {
		return w.Failure(err, nil)
	}
	return nil
}

// Kubeconfig returns the kubeconfig of the stack's cluster: from its outputs or, if no up has finished, from the
// provider in the state. It returns "" if neither has one.
func (w *Workspace) Kubeconfig(ctx context.Context) (string, error) {
	outputs, err := w.Outputs(ctx)
	if err != nil {
		return "", err
	}
	if text, _ := outputs["kubeconfig"].Value.(string); text != "" {
		return text, nil
	}
	exported, err := w.Pulumi(ctx, "stack", "export", "--show-secrets")
	if err != nil {
		return "", fmt.Errorf("read the state: %w", err)
	}
	st, err := state.Parse([]byte(exported))
	if err != nil {
		return "", err
	}
	return st.Kubeconfig()
}

// Pulumi runs one CLI command on the stack and returns its standard output.
func (w *Workspace) Pulumi(ctx context.Context, args ...string) (string, error) {
	return w.pulumi(ctx, nil, args...)
}

func (w *Workspace) pulumi(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	var env []string
	for k, v := range w.Engine.Workspace().GetEnvVars() {
		env = append(env, k+"="+v)
	}
	args = append(args, "--stack", w.Engine.Name())
	stdout, stderr, _, err := w.CLI.Run(ctx, w.Dir, stdin, nil, nil, env, args...)
	if err != nil {
		return "", fmt.Errorf("pulumi %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr))
	}
	return stdout, nil
}

// Relative shortens a path for people.
func Relative(path string) string {
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
