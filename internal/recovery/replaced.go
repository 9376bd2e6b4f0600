package recovery

import (
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// refuseEnded refuses a plan that would end a control plane in a way that no run could finish: etcd is on its disk, and
// the other nodes leave the cluster through it. ended has the planned operation by the name of the node.
func refuseEnded(w *workspace.Workspace, outputs auto.OutputMap, ended map[string]string) error {
	nodes, _ := outputs["nodes"].Value.(map[string]any)
	isControlPlane := func(name string) bool {
		node, _ := nodes[name].(map[string]any)
		return node["role"] == config.ControlPlane
	}
	// The settings may remove some of several control planes. They leave the cluster before their machines are deleted.
	remains := slices.ContainsFunc(config.ControlPlanes(w.Config.Nodes), func(n config.Node) bool {
		return isControlPlane(n.Name) && ended[n.Name] == ""
	})
	names := slices.Sorted(maps.Keys(ended))
	endedPlanes := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !isControlPlane(name) })
	for _, name := range endedPlanes {
		const how = "Read docs/recovery.md, \"A new machine for the control plane\". To begin from nothing instead: " +
			"kubeadm-aws rebuild"
		switch {
		case ended[name] == "delete" && remains:
			continue
		case ended[name] == "delete":
			return report.Fail(report.ExitInvalid, how, "this would delete the control plane %s; another name is another "+
				"machine, and the cluster would not survive it. Nothing was changed", name)
		}
		planes := config.ControlPlanes(w.Config.Nodes)
		workers := slices.DeleteFunc(slices.Clone(names), isControlPlane)
		switch {
		case len(endedPlanes) > 1:
			return report.Fail(report.ExitInvalid, how, "this would replace several control planes, %s, and etcd needs the "+
				"majority of them. Nothing was changed; replace one after the other", strings.Join(endedPlanes, ", "))
		case planes[0].Name == name && len(workers) > 0:
			// Workers leave the cluster through the first control plane.
			return report.Fail(report.ExitInvalid, how, "this would replace the control plane %s together with %s, which "+
				"leave the cluster through it. Nothing was changed; replace one after the other. The command repair replaces "+
				"workers whose machines have ended", name, strings.Join(workers, ", "))
		case w.Config.Backup.RestoreFrom == "" && len(planes) == 1:
			return report.Fail(report.ExitInvalid, how, "this would replace the control plane %s, whose disk holds etcd, and "+
				"backup.restoreFrom is not set. Nothing was changed", name)
		}
	}
	return nil
}
