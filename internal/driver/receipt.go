package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/receipt"
)

// receipt reports what a destroy removed and kept. It fails if anything is left, and names it.
func (s *run) receipt(ctx context.Context, w *workspace.Workspace, before state.State, removed int) error {
	r := report.Receipt{
		Stack: s.op.Stack, Cloud: s.op.Cloud, Cluster: s.cfg.Cluster.Name, Ended: time.Now().UTC().Truncate(time.Second),
		Removed: removed, Swept: []string{}, Kept: []string{}, Left: []string{},
	}
	var err error
	if w.Sandbox != nil {
		listSandbox(w, before, &r)
	} else {
		err = listAccount(ctx, w, before, &r)
	}
	file, writeErr := s.writeReceipt(w, r)
	if writeErr != nil {
		return report.Fail(report.ExitFailed, "", "%w", writeErr)
	}
	s.log.Emit(report.Event{Kind: report.KindReceipt, Changes: map[string]int{"delete": r.Removed}, Swept: r.Swept,
		Kept: r.Kept, Left: r.Left, State: file})
	switch {
	case err != nil:
		return err
	case len(r.Left) > 0:
		return report.Fail(report.ExitLeftovers, whatNextWithLeftovers(w, before), "%d %s left", len(r.Left),
			report.Plural(len(r.Left), "resource is", "resources are"))
	}
	return nil
}

// listAccount lists what is in the AWS account after a destroy and has the cluster's tags. The program that swept the
// account does it. before is the state before the destroy.
func listAccount(ctx context.Context, w *workspace.Workspace, before state.State, r *report.Receipt) error {
	for _, resource := range before.Resources {
		if resource.RetainOnDelete && resource.Custom {
			r.Kept = append(r.Kept, state.Readable(resource.URN)+" "+string(resource.ID))
		}
	}
	line, there, err := account.SweepIn(before)
	if err != nil {
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	if !there {
		return nil // the sweep is created before every instance, so nothing has run that could leave anything
	}
	// The sweep that ran between the instances and the VPC wrote its own receipt to where Pulumi ran it. A receipt of
	// another VPC belongs to an earlier stack.
	earlier, err := receipt.Read(filepath.Join(w.Dir, line.Receipt))
	switch {
	case err == nil && earlier.VPC == line.VPC:
		r.Swept = account.Words(earlier.Removed)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	found, err := account.Sweep(ctx, w, line, true)
	if err != nil {
		return report.Fail(report.ExitFailed, "Look by hand: "+account.SweepByHand(w, line.VPC),
			"everything in the state is destroyed, but the last look into the account failed: %w", err)
	}
	r.Kept = append(r.Kept, found.Kept...)
	r.Left = slices.Concat(r.Left, found.Left, found.Foreign, found.Instances)
	return nil
}

func whatNextWithLeftovers(w *workspace.Workspace, before state.State) string {
	if w.Sandbox != nil {
		return "On AWS this would cost money forever: the order of the destroy is wrong. To start the simulation again: rm -r " + workspace.Relative(w.Dir)
	}
	line, _, _ := account.SweepIn(before)
	return "Look at each in the console. What carries the cluster's tags: " + account.SweepByHand(w, line.VPC) + ", then the same without --dry-run."
}

// listSandbox lists what is left in the account of a simulation. If it is empty, closing the workspace removes the
// simulation.
func listSandbox(w *workspace.Workspace, before state.State, r *report.Receipt) {
	retained := map[string]bool{}
	for _, resource := range before.Resources {
		if resource.RetainOnDelete && resource.ID != "" {
			retained[string(resource.ID)] = true
		}
	}
	left := w.Sandbox.Leftovers()
	for _, line := range left {
		words := strings.Fields(line)
		byID := false
		if len(words) > 1 {
			bucket, _, _ := strings.Cut(words[1], "/") // the id of an object is bucket/key
			byID = retained[words[1]] || retained[bucket]
		}
		volume := strings.HasPrefix(line, "aws:ebs/volume:") && w.Config.Protection.Volumes == "keep"
		if byID || volume {
			r.Kept = append(r.Kept, line)
		} else {
			r.Left = append(r.Left, line)
		}
	}
	w.Empty = len(left) == 0
}

// writeReceipt writes the receipt to a file and returns its name. A simulation gets one only if the command line
// names a file.
func (s *run) writeReceipt(w *workspace.Workspace, r report.Receipt) (string, error) {
	file := s.op.receipt
	if file == "" {
		if w.Sandbox != nil {
			return "", nil
		}
		file = filepath.Join(s.op.dir, "receipt-"+s.op.Stack+"-destroy.json")
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode the receipt: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return "", fmt.Errorf("write the receipt: %w", err)
	}
	return workspace.Relative(file), nil
}
