package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

// listAccount looks into the AWS account after a destroy: once more at everything with the cluster's tags, with the same
// program that swept it. before is the state that there was.
func (s *session) listAccount(ctx context.Context, p *place, before state.State, r *receipt) error {
	for _, resource := range before.Resources {
		if resource.RetainOnDelete && resource.Custom {
			r.Kept = append(r.Kept, state.Readable(resource.URN)+" "+resource.ID)
		}
	}
	command, there := sweepOf(before)
	if !there {
		return nil // it stands before every instance, so nothing ever ran that could leave something
	}
	// The sweep that ran between the instances and the VPC left its own receipt where Pulumi ran it. One of another VPC is of
	// an earlier stack.
	earlier, err := readSweep(filepath.Join(p.dir, command.flag("receipt")))
	switch {
	case err == nil && earlier.vpc == command.flag("vpc"):
		r.Swept = earlier.Removed
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	found, err := s.runSweep(ctx, p, command, true)
	if err != nil {
		return report.Fail(report.ExitFailed, "Look by hand: "+s.sweepByHand(command.flag("vpc")),
			"everything in the state is destroyed, but the last look into the account failed: %w", err)
	}
	r.Kept = append(r.Kept, found.Kept...)
	r.Left = slices.Concat(r.Left, found.Left, found.Foreign, found.Instances)
	return nil
}

// sweepCommand is the sweep as the program has registered it. Destroy and the driver run it with the same flags, because both
// take them from the state.
type sweepCommand struct {
	// text is the command: go run ./sweep and its flags.
	text string
}

func sweepOf(d state.State) (sweepCommand, bool) {
	for _, r := range d.Resources {
		text, _ := r.Inputs["delete"].(string)
		if r.Type != "command:local:Command" || !strings.HasPrefix(text, "go run ./sweep ") {
			continue
		}
		return sweepCommand{text: text}, true
	}
	return sweepCommand{}, false
}

// sweepEnvironment makes the sweep act as the identity that the AWS provider has. It comes from the settings, so that it
// is right for a stack whose state does not have it yet.
func (s *session) sweepEnvironment() []string {
	env := os.Environ()
	for name, value := range s.cfg.SweepEnvironment() {
		env = append(env, name+"="+value)
	}
	return env
}

// flag is the value of one of the command's flags.
func (c sweepCommand) flag(name string) string {
	words := strings.Fields(c.text)
	if i := slices.Index(words, "--"+name); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// sweepByHand is what a person types to look into the account, where the driver cannot.
func (s *session) sweepByHand(vpc string) string {
	role := ""
	if arn := s.cfg.AWS.AssumeRole.RoleARN; arn != "" {
		role = "SWEEP_ROLE_ARN=" + arn + " " // the external id is for the environment only
	}
	return role + fmt.Sprintf("go run ./sweep --cluster %s --region %s --vpc %s --volumes %s --dry-run", s.cfg.Cluster.Name, s.cfg.Region, vpc, s.cfg.Protection.Volumes)
}

// swept is a receipt of the sweep, each thing in words. Foreign is in the VPC without the cluster's tags, so it is not
// touched and in the VPC's way.
type swept struct{ Removed, Kept, Left, Foreign, Instances []string }

// runSweep lists what the cluster left and, unless dryRun is set, removes it. With an error there may be a receipt too.
func (s *session) runSweep(ctx context.Context, p *place, command sweepCommand, dryRun bool) (swept, error) {
	if p.sandbox != nil {
		model := p.sandbox.AWS.Sweep(command.text, dryRun)
		if dryRun || len(model.Instances) > 0 {
			return swept{Left: model.Found, Kept: model.Kept, Instances: model.Instances}, nil
		}
		return swept{Removed: model.Found, Kept: model.Kept}, nil
	}
	dir, err := os.MkdirTemp("", "kubeadm-aws-sweep")
	if err != nil {
		return swept{}, err
	}
	defer os.RemoveAll(dir)
	binary, file := filepath.Join(dir, "sweep"), filepath.Join(dir, "receipt.json")
	if err := s.build(ctx, s.op.dir, "./sweep", binary); err != nil {
		return swept{}, err
	}
	args := append(strings.Fields(command.text)[3:], "--receipt", file) // the last of two flags counts
	if dryRun {
		args = append(args, "--dry-run")
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = s.op.dir
	cmd.Env = s.sweepEnvironment()
	var said strings.Builder
	cmd.Stderr = &said
	failed := s.cli.run(cmd)
	if failed != nil {
		failed = fmt.Errorf("%w: %s", failed, strings.TrimSpace(said.String()))
	}
	receipt, err := readSweep(file)
	if failed == nil && err != nil {
		failed = err
	}
	return receipt.swept, failed
}

// build compiles a command of the project. `go run` would keep interrupts and exit codes to itself.
func (s *session) build(ctx context.Context, dir, pkg, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, pkg)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// sweepReceipt is a receipt of the sweep and the VPC that it is of.
type sweepReceipt struct {
	swept
	vpc string
}

func readSweep(file string) (sweepReceipt, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return sweepReceipt{}, err
	}
	type item struct{ Kind, ID, Name, Detail, Reason string }
	var raw struct {
		VPC                                        string
		Removed, Kept, Left, NotTouched, Instances []item
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return sweepReceipt{}, fmt.Errorf("the sweep's receipt %s: %w", file, err)
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
	return sweepReceipt{swept{words(raw.Removed), words(raw.Kept), words(raw.Left), words(raw.NotTouched), words(raw.Instances)}, raw.VPC}, nil
}
