package recovery

import (
	"context"
	"maps"
	"slices"
	"strings"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// RefuseLostControlPlane refuses a plan that would end a control plane in a way that no run could finish: etcd is on
// its disk, and the other nodes leave the cluster through it.
func RefuseLostControlPlane(ctx context.Context, w *workspace.Workspace, plan []report.PlannedChange) error {
	ended := map[string]string{}
	for _, change := range plan {
		types, name := state.SplitURN(state.URN(change.URN))
		if types[len(types)-1] == account.InstanceType && slices.Contains([]string{"replace", "delete"}, change.Op) {
			ended[name] = change.Op
		}
	}
	if len(ended) == 0 {
		return nil
	}
	exported, err := w.Outputs(ctx)
	if err != nil {
		return err
	}
	nodes, _ := exported["nodes"].Value.(map[string]any)
	isControlPlane := func(name string) bool {
		node, _ := nodes[name].(map[string]any)
		return node["role"] == config.ControlPlane
	}
	// The settings may remove some of several control planes. They leave the cluster before their machines are deleted.
	remains := slices.ContainsFunc(config.ControlPlanes(w.Config.Nodes), func(n config.Node) bool {
		return isControlPlane(n.Name) && ended[n.Name] == ""
	})
	for name, op := range ended {
		if !isControlPlane(name) {
			continue
		}
		const how = "Read docs/recovery.md, \"A new machine for the control plane\". To begin from nothing instead: " +
			"kubeadm-aws rebuild"
		switch {
		case op == "delete" && remains:
			continue
		case op == "delete":
			return report.Fail(report.ExitInvalid, how, "this would delete the control plane %s; another name is another "+
				"machine, and the cluster would not survive it. Nothing was changed", name)
		}
		others := slices.DeleteFunc(slices.Sorted(maps.Keys(ended)), func(other string) bool { return other == name })
		planes := config.ControlPlanes(w.Config.Nodes)
		if planes[0].Name != name {
			// Workers leave the cluster through the first control plane, which stays.
			others = slices.DeleteFunc(others, func(other string) bool { return !isControlPlane(other) })
		}
		switch {
		case slices.ContainsFunc(others, isControlPlane):
			return report.Fail(report.ExitInvalid, how, "this would replace several control planes, %s and %s, and etcd needs "+
				"the majority of them. Nothing was changed; replace one after the other", name, strings.Join(others, ", "))
		case len(others) > 0:
			return report.Fail(report.ExitInvalid, how, "this would replace the control plane %s together with %s, which "+
				"leave the cluster through it. Nothing was changed; replace one after the other. The command repair replaces "+
				"workers whose machines have ended", name, strings.Join(others, ", "))
		case w.Config.Backup.RestoreFrom == "" && len(planes) == 1:
			return report.Fail(report.ExitInvalid, how, "this would replace the control plane %s, whose disk holds etcd, and "+
				"backup.restoreFrom is not set. Nothing was changed", name)
		}
	}
	return nil
}
