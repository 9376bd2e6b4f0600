package driver

import (
	"context"
	"fmt"
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
	stopped, err := r.open(ctx, st)
	if err != nil {
		return err
	}
	if stopped != "" {
		s.log.Info(stopped)
		return nil
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

// open refuses a stack that cannot be judged, and finishes what an interrupted run left. stopped is not empty if
// someone stopped the cluster: it says so.
func (r *repairs) open(ctx context.Context, st state.State) (stopped string, err error) {
	if !st.HasCluster() {
		return "", report.Fail(report.ExitCannotStart, "Bring it up first: go run ./cmd/kubeadm-aws up --stack "+
			r.op.Stack+" --cloud "+r.op.Cloud, "stack %s has no cluster yet", r.op.Stack)
	}
	if err := account.RefuseOther(ctx, r.w, st); err != nil {
		return "", err
	}
	if stopped, err := recovery.RefuseSilent(ctx, r.w, st, askAfter); err != nil || stopped != "" {
		return stopped, err
	}
	outputs, err := r.w.Outputs(ctx)
	if err != nil {
		return "", err
	}
	if err := r.refuseRelease(outputs, st); err != nil {
		return "", err
	}
	if r.cluster, err = diagnosis.Open(ctx, r.w); err != nil {
		return "", report.Fail(report.ExitFailed, "", "%w", err)
	}
	if r.op.dryRun {
		return "", recovery.WarnPending(ctx, r.w)
	}
	_, err = recovery.RecoverPending(ctx, r.w, false)
	return "", err
}

// refuseRelease refuses a repair when a new worker would not have the release of the cluster.
func (r *repairs) refuseRelease(outputs auto.OutputMap, st state.State) error {
	settings := r.cfg.Cluster.KubernetesVersion
	was, _ := outputs["kubernetes"].Value.(string)
	if runs := runningVersion(st); runs != "" && runs != was {
		return underWay(lastStep(st), fmt.Sprintf("an upgrade from Kubernetes %s to %s is under way", was, runs))
	}
	if was != settings {
		return report.Fail(report.ExitInvalid, "Finish the upgrade with up, or run repair with the settings that the stack "+
			"was brought up with.", "the settings have Kubernetes %s, and the last up that succeeded had %s: a new worker "+
			"would not fit to the cluster. Nothing was changed", settings, was)
	}
	return nil
}

// stalledAfter is the time without progress after which an upgrade counts as interrupted, and not as under way. The
// longest step of an upgrade takes less than an hour.
const stalledAfter = 6 * time.Hour

// underWay returns the failure of a repair that finds an upgrade. since is when the upgrade last went on, or zero if
// that is unknown. An upgrade that was interrupted ends only when a person finishes it, and keeps repairs away until
// then.
func underWay(since time.Time, what string) error {
	const next = "Finish the upgrade with up, then run this again."
	if since.IsZero() || time.Since(since) < stalledAfter {
		return report.Fail(report.ExitLocked, next, "%s. Nothing was changed", what)
	}
	return report.Fail(report.ExitBlocked, next, "%s, and has not gone on since %s. No worker is repaired until it is "+
		"finished. Nothing was changed", what, since.UTC().Format(time.RFC3339))
}

// lastStep returns when a step on a host was last carried out, or zero if the state does not say.
func lastStep(st state.State) (last time.Time) {
	for _, res := range st.Resources {
		if _, _, ok := state.HostStep(res.URN, res.Inputs); ok && res.Modified != nil && res.Modified.After(last) {
			last = *res.Modified
		}
	}
	return last
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
			return diagnosis.Diagnosis{}, underWay(n.UpgradingSince, "an upgrade is under way: it has taken node "+n.Name+
				" out of service")
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
