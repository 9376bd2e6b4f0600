package recovery

import (
	"context"
	"slices"

	"kubeadm-aws/cluster"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// RefusePlan refuses a plan that changes the machines of control planes in a way that no run could finish.
func RefusePlan(ctx context.Context, w *workspace.Workspace, plan []report.PlannedChange) error {
	c := machineChanges(plan)
	if len(c.down) == 0 {
		return nil
	}
	outputs, err := w.Outputs(ctx)
	if err != nil {
		return err
	}
	if err := refuseWithoutOthers(ctx, w, outputs, c); err != nil {
		return err
	}
	return refuseEnded(w, outputs, c.ended)
}

// changes are what a plan does to the machines of nodes.
type changes struct {
	// ended has "replace" or "delete" by the name of the node.
	ended map[string]string
	// down are the nodes of these machines, and those whose machine is stopped to get another type.
	down []string
	// asks reports whether the update runs the step that asks the other control planes.
	asks bool
}

func machineChanges(plan []report.PlannedChange) changes {
	c := changes{ended: map[string]string{}}
	for _, change := range plan {
		types, name := state.SplitURN(state.URN(change.URN))
		ends := change.Op == "replace" || change.Op == "delete"
		switch {
		case name == cluster.ServingStep:
			c.asks = true
		case types[len(types)-1] != account.InstanceType:
		case ends:
			c.ended[name] = change.Op
			c.down = append(c.down, name)
		case slices.Contains(change.Keys, "instanceType"):
			c.down = append(c.down, name)
		}
	}
	return c
}
