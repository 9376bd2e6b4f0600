package driver

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/recovery"
	diagnosis "kubeadm-aws/internal/repair"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	check "kubeadm-aws/internal/verify"
	"kubeadm-aws/internal/workspace"
)

// repair replaces the workers that AWS or the cluster reports as failed, one after the other.
func repair(ctx context.Context, s *run) error {
	w, st, err := openState(ctx, s)
	if err != nil {
		return err
	}
	commit, err := commits{s}.appliedElsewhere(ctx, w)
	if err != nil || commit != "" {
		w.Close() // the other driver opens the same stack
		if err != nil {
			return err
		}
		return repairAt(ctx, s, commit)
	}
	defer w.Close()
	r := &repairs{run: s, w: w}
	if err := r.open(ctx, st); err != nil {
		return err
	}
	d, err := r.diagnose(ctx)
	if err != nil {
		return err
	}
	r.tell(d)
	if err := r.refuse(d); err != nil {
		return err
	}
	switch {
	case len(d.Replace) == 0 && len(d.Left) == 0:
		s.log.Info("No worker has to be replaced.")
		return nil
	case len(d.Replace) > 0 && s.op.dryRun:
		return report.Fail(report.ExitChanges, "repair without --dry-run replaces them, one after the other.", "%d %s",
			len(d.Replace), report.Plural(len(d.Replace), "worker would be replaced", "workers would be replaced"))
	case len(d.Replace) > 0:
		if err := r.replaceAll(ctx, d); err != nil {
			return err
		}
		if d, err = r.diagnose(ctx); err != nil {
			return err
		}
	}
	return leftFailure(d)
}

// leftFailure returns the failure of a repair that leaves nodes to a person.
func leftFailure(d diagnosis.Diagnosis) error {
	if len(d.Left) == 0 {
		return nil
	}
	return report.Fail(report.ExitBlocked, "Look at what is named. docs/driver.md, \"repair\", says what each needs.",
		"%d %s not replaced:\n  %s", len(d.Left), report.Plural(len(d.Left), "node is", "nodes are"),
		strings.Join(d.Left, "\n  "))
}

// repairs is one run of repair.
type repairs struct {
	*run
	w       *workspace.Workspace
	cluster diagnosis.Cluster
	history diagnosis.History
}

// open refuses a stack that cannot be judged, and finishes what an interrupted run left.
func (r *repairs) open(ctx context.Context, st state.State) error {
	if !st.HasCluster() {
		return report.Fail(report.ExitCannotStart, "Bring it up first: go run ./cmd/kubeadm-aws up --stack "+r.op.Stack+
			" --cloud "+r.op.Cloud, "stack %s has no cluster yet", r.op.Stack)
	}
	if err := account.RefuseOther(ctx, r.w, st); err != nil {
		return err
	}
	if err := recovery.RefuseSilent(ctx, r.w, st, askAfter); err != nil {
		return err
	}
	outputs, err := r.w.Outputs(ctx)
	if err != nil {
		return err
	}
	if err := r.refuseRelease(outputs, st); err != nil {
		return err
	}
	if r.cluster, err = diagnosis.Open(ctx, r.w); err != nil {
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	if r.op.dryRun {
		return recovery.WarnPending(ctx, r.w)
	}
	_, err = recovery.RecoverPending(ctx, r.w, false)
	return err
}

// refuseRelease refuses a repair when a new worker would not have the release of the cluster.
func (r *repairs) refuseRelease(outputs auto.OutputMap, st state.State) error {
	settings := r.cfg.Cluster.KubernetesVersion
	was, _ := outputs["kubernetes"].Value.(string)
	if runs := runningVersion(st); runs != "" && runs != was {
		return report.Fail(report.ExitLocked, "Finish the upgrade with up, then run this again.",
			"an upgrade from Kubernetes %s to %s is under way. Nothing was changed", was, runs)
	}
	if was != settings {
		return report.Fail(report.ExitInvalid, "Finish the upgrade with up, or run repair with the settings that the stack "+
			"was brought up with.", "the settings have Kubernetes %s, and the last up that succeeded had %s: a new worker "+
			"would not fit to the cluster. Nothing was changed", settings, was)
	}
	return nil
}

// diagnose asks AWS and the cluster about every node.
func (r *repairs) diagnose(ctx context.Context) (diagnosis.Diagnosis, error) {
	st, err := r.w.State(ctx)
	if err != nil {
		return diagnosis.Diagnosis{}, err
	}
	outputs, err := r.w.Outputs(ctx)
	if err != nil {
		return diagnosis.Diagnosis{}, err
	}
	f := diagnosis.Facts{Now: time.Now(), Settings: r.cfg, Joined: joined(st)}
	if f.Machines, _, err = account.Machines(ctx, r.w, st, outputs); err != nil {
		return diagnosis.Diagnosis{}, report.Fail(report.ExitUnreachable,
			"With credentials that may list instances and their status, run this again.",
			"the account could not be asked about the machines: %w", err)
	}
	if f.Nodes, err = r.cluster.Health(ctx); err == nil {
		f.History, err = r.cluster.History(ctx)
	}
	if err != nil {
		return diagnosis.Diagnosis{}, report.Fail(report.ExitUnreachable, "Run this again.",
			"the cluster could not be asked about its nodes: %w", err)
	}
	for _, n := range f.Nodes {
		if n.Upgrading {
			return diagnosis.Diagnosis{}, report.Fail(report.ExitLocked, "Finish the upgrade with up, then run this again.",
				"an upgrade is under way: it has taken node %s out of service. Nothing was changed", n.Name)
		}
	}
	f.Kept = func(n check.NodeHealth) ([]string, error) {
		return r.cluster.Kept(ctx, n, r.zone(n.Name), f.Nodes)
	}
	d, err := diagnosis.Diagnose(f)
	if err != nil {
		err = report.Fail(report.ExitUnreachable, "Run this again.", "the cluster could not be asked about its pods: %w", err)
	}
	r.history = d.History
	return d, err
}

// zone returns the availability zone that the settings give a node.
func (r *repairs) zone(name string) string {
	i := slices.IndexFunc(r.cfg.Nodes, func(n config.Node) bool { return n.Name == name })
	if i < 0 {
		return ""
	}
	return r.cfg.AvailabilityZone(r.cfg.Nodes[i].Zone)
}

// joined returns the nodes whose last step is in the state.
func joined(st state.State) []string {
	var all []string
	for _, res := range st.Resources {
		node, step, ok := state.HostStep(res.URN, res.Inputs)
		if ok && step == "node" && !res.Delete && !res.PendingReplacement {
			all = append(all, node)
		}
	}
	return all
}

// tell reports every node that is not well.
func (r *repairs) tell(d diagnosis.Diagnosis) {
	for _, text := range d.Notes {
		r.log.Info(text)
	}
	for _, text := range d.Left {
		r.log.Warn("Not replaced: " + text)
	}
	for _, p := range d.Replace {
		r.log.Warn("To be replaced: " + p.String())
	}
}

// refuse refuses to replace workers when too many are unhealthy: the cause is then not in their machines.
func (r *repairs) refuse(d diagnosis.Diagnosis) error {
	limit := r.cfg.Repair.MaxUnhealthyPercent
	if !d.TooMany(limit) {
		return nil
	}
	cause := "They are in several zones (" + strings.Join(d.Zones, ", ") + "), so look at the network and the control plane."
	if len(d.Zones) == 1 {
		cause = "All of them are in zone " + d.Zones[0] + ", so look at that zone: AWS Health Dashboard."
	}
	return report.Fail(report.ExitBlocked, cause+" To replace them all the same, raise repair.maxUnhealthyPercent, or give "+
		"a node another nodes[].generation and run up.",
		"%d of %d workers are unhealthy, more than %d %% (repair.maxUnhealthyPercent): a zone or the network may be lost. "+
			"Nothing was changed", d.Unhealthy, d.Workers, limit)
}
