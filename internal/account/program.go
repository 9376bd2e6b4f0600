package account

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"kubeadm-aws/internal/workspace"
)

// program is the compiled sweep in a temporary folder of its own. Everything that the driver asks an account of AWS
// goes through it.
type program struct{ dir string }

// buildSweep compiles the sweep of the project. The caller removes it.
func buildSweep(ctx context.Context, w *workspace.Workspace) (program, error) {
	dir, err := os.MkdirTemp("", "kubeadm-aws-sweep")
	if err != nil {
		return program{}, err
	}
	p := program{dir}
	if err := workspace.GoBuild(ctx, w.Project, "./sweep", filepath.Join(dir, "sweep")); err != nil {
		p.remove()
		return program{}, err
	}
	return p, nil
}

// remove deletes the folder. It does nothing for the zero value.
func (p program) remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// run runs the sweep with arguments and a standard input, which may be nil, and returns its standard output. The error
// contains its standard error. start runs the process.
func (p program) run(w *workspace.Workspace, start func(*exec.Cmd) error, input []byte, args ...string) ([]byte,
	error) {
	cmd := exec.Command(filepath.Join(p.dir, "sweep"), args...)
	cmd.Dir, cmd.Env = w.Project, sweepEnvironment(w)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if input != nil {
		cmd.Stdin = bytes.NewReader(input)
	}
	if err := start(cmd); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
