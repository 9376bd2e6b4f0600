package recovery

import (
	"context"
	"fmt"
	"slices"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// EndedSpots returns the URNs of the spot instances that AWS has taken back. An up has to replace them: a refresh would
// remove them from the state, and the old node would then be deleted after the new machine has joined under its name.
// A stack without spot instances costs nothing.
func EndedSpots(ctx context.Context, w *workspace.Workspace) ([]string, error) {
	if !slices.ContainsFunc(w.Config.Nodes, func(n config.Node) bool { return n.Spot }) {
		return nil, nil
	}
	st, err := w.State(ctx)
	if err != nil {
		return nil, err
	}
	outputs, err := w.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	machines, _, err := account.Machines(ctx, w, st, outputs)
	if err != nil {
		return nil, report.Fail(report.ExitUnreachable, "With credentials that may list instances, run this again.",
			"the account could not be asked about the spot instances: %w", err)
	}
	var ended []string
	for _, m := range machines {
		spot := slices.ContainsFunc(w.Config.Nodes, func(n config.Node) bool { return n.Name == m.Name && n.Spot })
		if spot && m.Ended() {
			w.Log.Warn(fmt.Sprintf("AWS has taken %s back. Another machine takes its place.", m))
			ended = append(ended, m.URN)
		}
	}
	return ended, nil
}
