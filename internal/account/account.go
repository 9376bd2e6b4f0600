// Package account asks the AWS account of a stack: by the sweep program, which has the AWS SDK, or the model of a
// simulation.
package account

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// Lookup describes a resource to look for: by its id, or by type, tags and properties.
type Lookup struct {
	URN        state.URN         `json:"urn"`
	Type       string            `json:"type"`
	ID         string            `json:"-"`
	Tags       map[string]string `json:"tags,omitempty"`
	Properties map[string]any    `json:"properties,omitempty"`
}

// Find looks for resources in the account and returns the ids of all that match, by URN. On AWS it runs the sweep,
// which contains the SDK.
func Find(ctx context.Context, w *workspace.Workspace, lookups []Lookup) (map[state.URN][]string, error) {
	found := map[state.URN][]string{}
	if len(lookups) == 0 {
		return found, nil
	}
	question, err := json.Marshal(lookups)
	if err != nil {
		return nil, err
	}
	if w.Sandbox != nil {
		var plain []Lookup // with numbers as the model has them
		if err := json.Unmarshal(question, &plain); err != nil {
			return nil, err
		}
		for _, l := range plain {
			found[l.URN] = w.Sandbox.AWS.Find(l.Type, l.Tags, l.Properties)
		}
		return found, nil
	}
	answer, err := askSweep(ctx, w, "--find", question)
	if err == nil {
		err = json.Unmarshal(answer, &found)
	}
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart,
			"With credentials that may list what the stack is made of, run this again.",
			"a run was killed, and the account could not be asked what became of what it made: %w", err)
	}
	return found, nil
}

// askSweep builds the sweep and asks it a question on its standard input. mode is --find or --states.
func askSweep(ctx context.Context, w *workspace.Workspace, mode string, question []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "kubeadm-aws-find")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "sweep")
	if err := workspace.GoBuild(ctx, w.Project, "./sweep", binary); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, mode, "--region", w.Config.Region)
	cmd.Env = sweepEnvironment(w)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(question), &stdout, &stderr
	if err := w.CLI.RunProcess(cmd); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
