package driver

import (
	"context"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"

	diagnosis "kubeadm-aws/internal/repair"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

// plan previews the replacement of workers, and returns the resources to name to the engine. It refuses a plan that
// changes another node: settings of that node are then not carried out yet.
func (r *repairs) plan(ctx context.Context, workers ...diagnosis.FailedWorker) (*report.Watcher, []string, error) {
	st, err := r.w.State(ctx)
	if err != nil {
		return nil, nil, err
	}
	var machines, targets, own []string
	for _, p := range workers {
		machines = append(machines, machineOf(p)...)
		targets = append(targets, resourcesOf(st, p.Name)...)
		own = append(own, ownResources(st, p.Name)...)
	}
	watcher, err := makePlan(ctx, r.w, optpreview.Replace(machines), optpreview.Target(targets))
	if err != nil {
		return nil, nil, err
	}
	for _, c := range watcher.Plan {
		if slices.Contains(targets, c.URN) && !slices.Contains(own, c.URN) {
			return nil, nil, report.Fail(report.ExitBlocked, "Bring the stack up, then run this again.",
				"%s would change too, because the settings were not carried out yet. Nothing was changed",
				state.Readable(state.URN(c.URN)))
		}
	}
	return watcher, targets, nil
}

// machineOf returns the machine to replace, if it exists in the state.
func machineOf(p diagnosis.FailedWorker) []string {
	if p.URN == "" {
		return nil
	}
	return []string{p.URN}
}

// resourcesOf returns what a repair of a worker may change: its machine and its steps.
//
// After an upgrade, init and the drains of other nodes depend on steps of this worker in the state, because they
// waited for it. The program registers them first. For a resource that is not a target, the engine registers what it
// depends on in the state, and then refuses the steps of the program as duplicates. So these resources are targets too.
func resourcesOf(st state.State, worker string) []string {
	all := ownResources(st, worker)
	for _, res := range st.Resources {
		node, step, ok := state.HostStep(res.URN, res.Inputs)
		if !ok || node == worker || step != "init" && step != "drain" {
			continue
		}
		waited := func(on state.URN) bool { return slices.Contains(all, string(on)) }
		if slices.ContainsFunc(res.Dependencies, waited) {
			all = append(all, string(res.URN))
		}
	}
	return all
}

// ownResources returns the machine of a worker and its steps. An interrupted repair may have taken some of them out of
// the state, so their names follow from those of all nodes. Only a node that has run through an upgrade has the step
// drain, so it does not follow from another node.
func ownResources(st state.State, worker string) []string {
	var all []string
	for _, res := range st.Resources {
		node, step, ok := state.HostStep(res.URN, res.Inputs)
		if !ok || !slices.Contains([]string{"instance", "ready", "prepare", "balancer", "join", "drain", "node"}, step) {
			continue
		}
		if node != worker && step == "drain" {
			continue
		}
		urn := string(res.URN)
		if node != worker {
			_, name := state.SplitURN(res.URN)
			urn = strings.TrimSuffix(urn, name) + worker + strings.TrimPrefix(name, node)
		}
		if !slices.Contains(all, urn) {
			all = append(all, urn)
		}
	}
	return all
}
