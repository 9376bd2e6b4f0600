package account

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/receipt"
	"kubeadm-aws/sweep/sweepline"
)

// SweepIn finds the sweep's command in a state, where the program has registered it. A destroy and the driver take the
// flags from there, so both run it with the same ones.
func SweepIn(d state.State) (line sweepline.Line, found bool, err error) {
	for _, r := range d.Resources {
		text, _ := r.Inputs["delete"].(string)
		if r.Type != "command:local:Command" || !strings.HasPrefix(text, sweepline.Program+" ") {
			continue
		}
		line, err = sweepline.Parse(text)
		return line, true, err
	}
	return sweepline.Line{}, false, nil
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

// SweepByHand returns the command with which a person lists the account if the driver cannot.
func SweepByHand(w *workspace.Workspace, vpc string) string {
	role := ""
	if profile := w.Config.AWS.Profile; profile != "" {
		role = "SWEEP_PROFILE=" + stepline.Quote(profile) + " "
	}
	if arn := w.Config.AWS.AssumeRole.RoleARN; arn != "" {
		role += "SWEEP_ROLE_ARN=" + arn + " " // the external id is for the environment only
	}
	return role + sweepline.Line{
		Cluster: w.Config.Cluster.Name, Region: w.Config.Region, VPC: vpc, Volumes: w.Config.Protection.Volumes, DryRun: true,
	}.Format()
}

// Swept is a receipt of the sweep, each resource in words. Foreign resources are in the VPC without the cluster's
// tags: the sweep does not touch them, and the VPC cannot be deleted while they exist.
type Swept struct{ Removed, Kept, Left, Foreign, Instances []string }

// Sweep lists what the cluster left and removes it unless dryRun is set. It may return a receipt together with an
// error.
func Sweep(ctx context.Context, w *workspace.Workspace, line sweepline.Line, dryRun bool) (Swept, error) {
	if w.Sandbox != nil {
		model := w.Sandbox.AWS.Sweep(line, dryRun)
		if dryRun || len(model.Instances) > 0 {
			return Swept{Left: model.Found, Kept: model.Kept, Instances: model.Instances}, nil
		}
		return Swept{Removed: model.Found, Kept: model.Kept}, nil
	}
	p, err := buildSweep(ctx, w)
	if err != nil {
		return Swept{}, err
	}
	defer p.remove()
	file := filepath.Join(p.dir, "receipt.json")
	line.Receipt, line.DryRun = file, dryRun
	_, failed := p.run(w, w.CLI.RunProcess, nil, line.Args()...)
	record, err := receipt.Read(file)
	if err != nil {
		if failed == nil {
			failed = err
		}
		return Swept{}, failed
	}
	return Swept{
		Removed: Words(record.Removed), Kept: Words(record.Kept), Left: Words(record.Left), Foreign: Words(record.NotTouched),
		Instances: Words(record.Instances),
	}, failed
}

// Words describes each item of a receipt.
func Words(items []receipt.Item) []string {
	var all []string
	for _, i := range items {
		all = append(all, i.String())
	}
	return all
}
