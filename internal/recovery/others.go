package recovery

import (
	"context"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// refuseWithoutOthers refuses a plan that stops or replaces the machine of a control plane while the machine of
// another one does not run. The step control-planes refuses the same in the update, and asks etcd and the API servers.
// The account tells the reason before the update, and without waiting for a connection. An account that cannot be
// asked is no reason to refuse.
func refuseWithoutOthers(ctx context.Context, w *workspace.Workspace, outputs auto.OutputMap, c changes) error {
	if !c.asks {
		return nil
	}
	st, err := w.State(ctx)
	if err != nil {
		return err
	}
	machines, _, err := account.Machines(ctx, w, st, outputs)
	if err != nil {
		return nil
	}
	planes := slices.DeleteFunc(machines, func(m account.Machine) bool { return !m.ControlPlane })
	return refuseWithout(w, planes, c.down)
}

// refuseWithout compares the machines of the control planes with the nodes that a plan takes out of service.
func refuseWithout(w *workspace.Workspace, planes []account.Machine, down []string) error {
	var taken, lost []string
	var others []account.Machine
	for _, m := range planes {
		if slices.Contains(down, m.Name) {
			taken = append(taken, m.Name)
			continue
		}
		others = append(others, m)
		if m.Ended() {
			lost = append(lost, m.Name)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	if err := account.RefuseStopped(w, others); err != nil {
		return err
	}
	if len(lost) > 0 {
		return report.Fail(report.ExitBlocked, "Replace the lost control plane first, alone: docs/recovery.md, \"One of three "+
			"control planes is lost\".", "the plan takes %s out of service, and another control plane is lost: %s. Etcd would lose "+
			"its majority; nothing was changed", strings.Join(taken, ", "), strings.Join(lost, ", "))
	}
	return nil
}
