package account

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// SweepCommand is the sweep's command, as the program has registered it in the state. A destroy and the driver take
// the flags from there, so both run it with the same ones.
type SweepCommand struct {
	// Text is the command: go run ./sweep and its flags.
	Text string
}

// SweepIn finds the sweep in a state.
func SweepIn(d state.State) (SweepCommand, bool) {
	for _, r := range d.Resources {
		text, _ := r.Inputs["delete"].(string)
		if r.Type != "command:local:Command" || !strings.HasPrefix(text, "go run ./sweep ") {
			continue
		}
		return SweepCommand{Text: text}, true
	}
	return SweepCommand{}, false
}

// sweepEnvironment returns the environment in which the sweep has the identity of the AWS provider. It comes from the
// settings, so it is also right for a stack whose state does not contain the identity yet.
func sweepEnvironment(w *workspace.Workspace) []string {
	env := os.Environ()
	for name, value := range w.Config.SweepEnvironment() {
		env = append(env, name+"="+value)
	}
	return env
}

// Flag returns the value of a flag of the command; empty when the flag is not set.
func (c SweepCommand) Flag(name string) string {
	words := strings.Fields(c.Text)
	if i := slices.Index(words, "--"+name); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// SweepByHand returns the command with which a person lists the account if the driver cannot.
func SweepByHand(w *workspace.Workspace, vpc string) string {
	role := ""
	if arn := w.Config.AWS.AssumeRole.RoleARN; arn != "" {
		role = "SWEEP_ROLE_ARN=" + arn + " " // the external id is for the environment only
	}
	return role + fmt.Sprintf("go run ./sweep --cluster %s --region %s --vpc %s --volumes %s --dry-run", w.Config.Cluster.Name, w.Config.Region, vpc, w.Config.Protection.Volumes)
}

// Swept is a receipt of the sweep, each resource in words. Foreign resources are in the VPC without the cluster's
// tags: the sweep does not touch them, and the VPC cannot be deleted while they exist.
type Swept struct{ Removed, Kept, Left, Foreign, Instances []string }

// Sweep lists what the cluster left and removes it unless dryRun is set. It may return a receipt together with an
// error.
func Sweep(ctx context.Context, w *workspace.Workspace, command SweepCommand, dryRun bool) (Swept, error) {
	if w.Sandbox != nil {
		model := w.Sandbox.AWS.Sweep(command.Text, dryRun)
		if dryRun || len(model.Instances) > 0 {
			return Swept{Left: model.Found, Kept: model.Kept, Instances: model.Instances}, nil
		}
		return Swept{Removed: model.Found, Kept: model.Kept}, nil
	}
	dir, err := os.MkdirTemp("", "kubeadm-aws-sweep")
	if err != nil {
		return Swept{}, err
	}
	defer os.RemoveAll(dir)
	binary, file := filepath.Join(dir, "sweep"), filepath.Join(dir, "receipt.json")
	if err := workspace.GoBuild(ctx, w.Project, "./sweep", binary); err != nil {
		return Swept{}, err
	}
	args := append(strings.Fields(command.Text)[3:], "--receipt", file) // the last of two equal flags counts
	if dryRun {
		args = append(args, "--dry-run")
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = w.Project
	cmd.Env = sweepEnvironment(w)
	var said strings.Builder
	cmd.Stderr = &said
	failed := w.CLI.RunProcess(cmd)
	if failed != nil {
		failed = fmt.Errorf("%w: %s", failed, strings.TrimSpace(said.String()))
	}
	receipt, err := ReadReceipt(file)
	if failed == nil && err != nil {
		failed = err
	}
	return receipt.Swept, failed
}

// SweepReceipt is a receipt of the sweep with the id of the VPC that was swept.
type SweepReceipt struct {
	Swept
	VPC string
}

// ReadReceipt reads the receipt that a sweep has written.
func ReadReceipt(file string) (SweepReceipt, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return SweepReceipt{}, err
	}
	type item struct{ Kind, ID, Name, Detail, Reason string }
	var raw struct {
		VPC                                        string
		Removed, Kept, Left, NotTouched, Instances []item
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return SweepReceipt{}, fmt.Errorf("the sweep's receipt %s: %w", file, err)
	}
	words := func(items []item) []string {
		var all []string
		for _, i := range items {
			text := i.Kind + " " + i.ID
			if i.Name != "" && i.Name != i.ID {
				text += " " + i.Name
			}
			if i.Detail != "" {
				text += " (" + i.Detail + ")"
			}
			if i.Reason != "" {
				text += ": " + i.Reason
			}
			all = append(all, text)
		}
		return all
	}
	return SweepReceipt{Swept{words(raw.Removed), words(raw.Kept), words(raw.Left), words(raw.NotTouched), words(raw.Instances)}, raw.VPC}, nil
}
