package recovery

import (
	"context"
	"slices"
	"strings"

	"kubeadm-aws/cluster"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// RefuseWithoutOthers refuses a plan that stops or replaces the machine of a control plane while the machine of
// another one does not run. The step control-planes refuses the same in the update, and asks etcd and the API servers.
// The account tells the reason before the update, and without waiting for a connection. An account that cannot be
// asked is no reason to refuse.
func RefuseWithoutOthers(ctx context.Context, w *workspace.Workspace, plan []report.PlannedChange) error {
	asks, changed := false, []string{}
	for _, change := range plan {
		types, name := state.SplitURN(state.URN(change.URN))
		switch {
		case name == cluster.ServingStep:
			asks = true
		case types[len(types)-1] == account.InstanceType && (change.Op == "replace" || change.Op == "delete" ||
			slices.Contains(change.Keys, "instanceType")):
			changed = append(changed, name)
		}
	}
	if !asks || len(changed) == 0 {
		return nil
	}
	st, err := w.State(ctx)
	if err != nil {
		return err
	}
	outputs, err := w.Outputs(ctx)
	if err != nil {
		return err
	}
	machines, _, err := account.Machines(ctx, w, st, outputs)
	if err != nil {
		return nil
	}
	return refuseWithout(w, machines, changed)
}

func refuseWithout(w *workspace.Workspace, machines []account.Machine, changed []string) error {
	ends := slices.ContainsFunc(machines, func(m account.Machine) bool {
		return m.ControlPlane && slices.Contains(changed, m.Name)
	})
	if !ends {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(machines), func(m account.Machine) bool {
		return !m.ControlPlane || slices.Contains(changed, m.Name)
	})
	if err := account.RefuseStopped(w, others); err != nil {
		return err
	}
	if lost := slices.DeleteFunc(others, func(m account.Machine) bool { return !m.Ended() }); len(lost) > 0 {
		var names []string
		for _, m := range lost {
			names = append(names, m.Name)
		}
		return report.Fail(report.ExitBlocked, "Replace the lost control plane first, alone: docs/recovery.md, \"One of three "+
			"control planes is lost\".", "the plan takes %s out of service, and another control plane is lost: %s. Etcd would lose "+
			"its majority; nothing was changed", strings.Join(changed, ", "), strings.Join(names, ", "))
	}
	return nil
}
