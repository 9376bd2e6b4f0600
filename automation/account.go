package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// listAccount looks into the AWS account after a destroy: once more at everything with the cluster's tags, with the same
// program that swept it. before is the state that there was.
func (s *session) listAccount(ctx context.Context, p *place, before deployment, r *receipt) error {
	for _, resource := range before.Resources {
		if resource.RetainOnDelete && resource.Custom {
			r.Kept = append(r.Kept, readable(resource.URN)+" "+resource.ID)
		}
	}
	// The sweep that ran between the instances and the VPC left its own receipt where Pulumi ran it.
	swept, err := readSweep(filepath.Join(p.dir, "receipt-"+s.op.stack+".json"))
	if err == nil {
		r.Swept = swept.Removed
		r.Kept = append(r.Kept, swept.Kept...)
	} else if !errors.Is(err, os.ErrNotExist) {
		return fail(exitFailed, "", "%w", err)
	}
	vpc := ""
	for _, resource := range before.Resources {
		if resource.Type == "aws:ec2/vpc:Vpc" {
			vpc = resource.ID
		}
	}
	if vpc == "" {
		return nil // there never was a network, so nothing could be in it
	}
	found, err := s.sweepAgain(ctx, vpc)
	if err != nil {
		return fail(exitFailed, "Run it by hand: go run ./sweep --dry-run --help",
			"everything in the state is destroyed, but the last look into the account failed: %w", err)
	}
	r.Left = append(append(append(r.Left, found.Left...), found.NotTouched...), found.Instances...)
	return nil
}

// sweepAgain lists what is left, without removing anything.
func (s *session) sweepAgain(ctx context.Context, vpc string) (sweepReceipt, error) {
	dir, err := os.MkdirTemp("", "kubeadm-aws-receipt")
	if err != nil {
		return sweepReceipt{}, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "receipt.json")
	cmd := exec.CommandContext(ctx, "go", "run", "./sweep", "--dry-run", "--cluster", s.cfg.Cluster.Name, "--region", s.cfg.Region,
		"--vpc", vpc, "--volumes", s.cfg.Protection.Volumes, "--receipt", file)
	cmd.Dir = s.op.dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		return sweepReceipt{}, errors.Join(err, errors.New(string(output)))
	}
	return readSweep(file)
}

// sweepReceipt is what the driver needs of a receipt of the sweep, each item in words.
type sweepReceipt struct{ Removed, Kept, Left, NotTouched, Instances []string }

func readSweep(file string) (sweepReceipt, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return sweepReceipt{}, err
	}
	type item struct {
		Kind string `json:"kind"`
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	var raw struct{ Removed, Kept, Left, NotTouched, Instances []item }
	if err := json.Unmarshal(text, &raw); err != nil {
		return sweepReceipt{}, err
	}
	words := func(items []item) []string {
		var all []string
		for _, i := range items {
			text := i.Kind + " " + i.ID
			if i.Name != "" && i.Name != i.ID {
				text += " (" + i.Name + ")"
			}
			all = append(all, text)
		}
		return all
	}
	return sweepReceipt{words(raw.Removed), words(raw.Kept), words(raw.Left), words(raw.NotTouched), words(raw.Instances)}, nil
}
