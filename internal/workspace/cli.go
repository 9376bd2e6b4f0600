package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"kubeadm-aws/internal/report"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3"
)

// errStopped is returned instead of starting another CLI command after an interrupt.
var errStopped = errors.New("interrupted")

// CLI runs the Pulumi CLI for the Automation API. The SDK's own runner kills the CLI ten seconds after its context
// ends. It also leaves the CLI in the terminal's process group, where one Ctrl-C arrives twice. Both lose state. Here
// the CLI has a process group of its own and gets exactly the interrupts that Interrupt hands on.
type CLI struct {
	path    string
	version semver.Version
	// passes says which variables of the environment the CLI gets.
	passes func(name string) bool
	// connections makes CLI processes end with the driver; nil lets them finish what is in flight.
	connections *connKeeper
	// inherited is inherited by every CLI process, so that a lock on it lasts as long as the last of them; may be nil.
	inherited *os.File
	// wrote is called after each process that may have written the state and ended by itself, with whether it failed.
	// It returns whether the process ended without writing what it had done. It may be nil.
	wrote func(failed bool) (lost bool, err error)

	mu      sync.Mutex
	running *os.Process
	// locks reports whether the running process holds the lock of the stack.
	locks   bool
	stopped bool
	killed  bool
	// dead reports whether a process was killed, by whomever, or ended without writing the state.
	dead bool
	// locked reports whether the killed process held the lock of the stack.
	locked bool
	// cancel ends work of the driver itself, which is not a CLI process; may be nil.
	cancel context.CancelFunc
}

// FindCLI takes the CLI named by $PULUMI, the one on PATH, or the one that `make` built into dir/.bin.
func FindCLI(ctx context.Context, dir string) (*CLI, error) {
	path := os.Getenv("PULUMI")
	if path == "" {
		path = filepath.Join(dir, ".bin", "v"+sdk.Version.String(), "pulumi")
		if _, err := os.Stat(path); err != nil {
			path, err = exec.LookPath("pulumi")
			if err != nil {
				return nil, report.Fail(report.ExitCannotStart,
					"Run tools/pulumi.sh: it builds the pinned version into .bin/ (about 5 minutes, once).",
					"no pulumi CLI on PATH")
			}
		}
	}
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	out, err := cmd.Output()
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart, "Set PULUMI to a working Pulumi CLI, or unset it.", "%s version: %w",
			path, err)
	}
	version, err := semver.ParseTolerant(strings.TrimSpace(string(out)))
	if err != nil || version.LT(sdk.Version) {
		return nil, report.Fail(report.ExitCannotStart, "Run tools/pulumi.sh: it finds or builds a CLI that is new enough.",
			"%s is version %s, and v%s is needed", path, strings.TrimSpace(string(out)), sdk.Version)
	}
	return &CLI{path: path, version: version, passes: func(string) bool { return true }}, nil
}

// Version implements auto.PulumiCommand.
func (c *CLI) Version() semver.Version { return c.version }

// Run implements auto.PulumiCommand. The end of the context does not end the process; only Interrupt does.
func (c *CLI) Run(_ context.Context, workdir string, stdin io.Reader, moreOut, moreErr []io.Writer,
	env []string, args ...string,
) (string, string, int, error) {
	cmd := exec.Command(c.path, append([]string{"--non-interactive"}, args...)...)
	cmd.Dir = workdir
	cmd.Env = append(c.environment(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin = stdin
	cmd.Stdout = io.MultiWriter(append(moreOut, &stdout)...)
	cmd.Stderr = io.MultiWriter(append(moreErr, &stderr)...)
	if c.inherited != nil {
		cmd.ExtraFiles = []*os.File{c.inherited}
	}
	err := c.RunProcess(cmd)
	if cmd.ProcessState == nil { // it did not start
		return "", err.Error(), -2, err
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), err
}

// RunProcess runs a process that gets exactly the interrupts that Interrupt hands on.
func (c *CLI) RunProcess(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.connections != nil {
		// Linux ties the life of the process to the thread that starts it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		release, err := c.connections.killWithParent(cmd)
		if err != nil {
			return err
		}
		defer release()
	}
	if err := c.start(cmd); err != nil {
		return err
	}
	err := cmd.Wait()
	return errors.Join(err, c.ended(cmd))
}

// ended records how a process ended.
func (c *CLI) ended(cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = nil
	c.dead = c.dead || cmd.ProcessState.ExitCode() < 0
	if c.wrote == nil || c.dead || !writes(cmd) {
		return nil
	}
	lost, err := c.wrote(!cmd.ProcessState.Success())
	c.dead = lost
	return err
}

// writes reports whether a process may write the state.
func writes(cmd *exec.Cmd) bool {
	return slices.ContainsFunc(cmd.Args, func(arg string) bool {
		return slices.Contains([]string{"up", "destroy", "refresh", "import"}, arg)
	})
}

// died reports whether a process was killed, or ended without writing the state.
func (c *CLI) died() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

func (c *CLI) start(cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return errStopped
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	c.running = cmd.Process
	c.locks = writes(cmd)
	return nil
}

// Interrupt hands the first interrupt to the running process, which finishes what is in flight. The second one kills
// the process: the state then has pending operations, and the next run recovers them. A second interrupt to the CLI
// would make it record as failed what may have happened. No further command is started.
func (c *CLI) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.stopped
	c.stopped = true
	if c.cancel != nil {
		c.cancel()
	}
	if c.running == nil {
		return
	}
	// The process may have just ended; then there is nothing to interrupt.
	if !again {
		_ = c.running.Signal(os.Interrupt)
		return
	}
	c.killed, c.locked = true, c.locks
	_ = c.running.Kill()
}

// Killed reports whether a second interrupt has ended the run, and whether the lock of the stack was left behind.
func (c *CLI) Killed() (killed, locked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed, c.locked
}

// resume lets commands start again after an interrupt.
func (c *CLI) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = false
}

// Until returns a context that ends with the first interrupt, for work that is not a CLI process.
func (c *CLI) Until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	return ctx, cancel
}

// Stopped reports whether Interrupt was called.
func (c *CLI) Stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

func (c *CLI) environment() []string {
	env := []string{"PULUMI_AUTOMATION_API=true", "PULUMI_SKIP_UPDATE_CHECK=true"}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if name != "PULUMI" && c.passes(name) {
			env = append(env, entry)
		}
	}
	return env
}

// Path is the file of the CLI.
func (c *CLI) Path() string { return c.path }

// GoBuild compiles a command of a project. `go run` would keep interrupts and exit codes to itself.
func GoBuild(ctx context.Context, dir, pkg, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, pkg)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, strings.TrimSpace(string(output)))
	}
	return nil
}
