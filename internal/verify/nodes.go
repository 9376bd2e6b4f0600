package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/config"
)

func apiAnswers(ctx context.Context, r *run) finding {
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	look := r.api.Server + " from here: the address, access.adminCidrs, and `journalctl -u kubelet` on the control plane"
	if err := r.api.get(ctx, "/version", &version); err != nil {
		return broken(look, err)
	}
	if err := r.api.Ready(ctx); err != nil {
		return broken("kubectl get --raw '/readyz?verbose'", err)
	}
	want := "v" + r.Config.Cluster.KubernetesVersion
	if version.GitVersion != want {
		return failed("cluster.kubernetesVersion in the settings: an up upgrades the cluster to it",
			"the API server is %s, the settings say %s", version.GitVersion, want)
	}
	return ok("%s at %s", version.GitVersion, r.api.Server)
}

func (r *run) nodes(ctx context.Context) ([]node, error) {
	var all list[node]
	err := r.api.get(ctx, "/api/v1/nodes", &all)
	return all.Items, err
}

const lookAtNodes = "kubectl describe nodes; on the host: journalctl -u kubelet; kubeadm-aws repair replaces a worker " +
	"that has failed"

func nodesReady(ctx context.Context, r *run) finding {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return broken(lookAtNodes, err)
	}
	var faults []string
	present := map[string]bool{}
	for _, n := range nodes {
		name := n.Metadata.Name
		present[name] = true
		if c, ready := is(n.Status.Conditions, "Ready", "True"); !ready {
			faults = append(faults, fmt.Sprintf("%s is not Ready: %s", name, c.Message))
		}
		if n.Spec.Unschedulable {
			faults = append(faults, name+" is cordoned")
		}
		if got, want := n.Status.NodeInfo.KubeletVersion, "v"+r.Config.Cluster.KubernetesVersion; got != want {
			faults = append(faults, fmt.Sprintf("%s runs kubelet %s, the settings say %s", name, got, want))
		}
		if !slices.ContainsFunc(r.Config.Nodes, func(c config.Node) bool { return c.Name == name }) {
			faults = append(faults, name+" is not in the settings")
		}
	}
	for _, c := range r.Config.Nodes {
		if !present[c.Name] {
			faults = append(faults, c.Name+" is missing")
		}
	}
	if len(faults) > 0 {
		return failed(lookAtNodes, "%s", join(faults))
	}
	return ok("%d of %d Ready", len(nodes), len(r.Config.Nodes))
}

// Taints that a node has only until a component has removed them.
var passing = map[string]string{
	"node.cloudprovider.kubernetes.io/uninitialized": "the cloud controller manager has not seen it: kubectl -n " +
		"kube-system logs ds/aws-cloud-controller-manager",
	"kubeadm-aws/unconfigured": "its labels and taints were never applied: an up does it",
	"ebs.csi.aws.com/agent-not-ready": "the EBS CSI driver has not started on it: kubectl -n " +
		"kube-system logs ds/ebs-csi-node",
	"node.kubernetes.io/not-ready":           lookAtNodes,
	"node.kubernetes.io/unreachable":         lookAtNodes,
	"node.kubernetes.io/network-unavailable": "the network add-on: kubectl get tigerastatus",
	"node.kubernetes.io/disk-pressure":       "its disk is full: volumeSize in the settings",
	"node.kubernetes.io/memory-pressure":     "its memory: kubectl top pods -A",
	"node.kubernetes.io/pid-pressure":        lookAtNodes,
}

func nodeTaints(ctx context.Context, r *run) finding {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return broken(lookAtNodes, err)
	}
	var faults, look []string
	for _, n := range nodes {
		var has []string // a taint may be listed once for each effect
		for _, t := range n.Spec.Taints {
			hint, bad := passing[t.Key]
			if !bad || slices.Contains(has, t.Key) {
				continue
			}
			has = append(has, t.Key)
			if !slices.Contains(look, hint) {
				look = append(look, hint)
			}
		}
		if len(has) > 0 {
			faults = append(faults, n.Metadata.Name+" has "+strings.Join(has, ", "))
		}
	}
	if len(faults) > 0 {
		return failed(strings.Join(look, "; "), "%s", join(faults))
	}
	return ok("no node waits for anything")
}

func providerIDs(ctx context.Context, r *run) finding {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return broken(lookAtNodes, err)
	}
	var faults []string
	seen := map[string]string{}
	for _, n := range nodes {
		name, id := n.Metadata.Name, n.Spec.ProviderID
		zone := n.Metadata.Labels["topology.kubernetes.io/zone"]
		switch {
		case !strings.HasPrefix(id, "aws:///"+zone+"/i-"):
			faults = append(faults, fmt.Sprintf("%s: %q is not aws:///%s/<instance>", name, id, zone))
		case seen[id] != "":
			faults = append(faults, fmt.Sprintf("%s and %s claim the same instance %s", name, seen[id], id))
		}
		seen[id] = name
	}
	if len(faults) > 0 {
		return failed("on the host: the provider-id among the kubelet's arguments", "%s", join(faults))
	}
	return ok("every node names its instance")
}

func nodeZones(ctx context.Context, r *run) finding {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return broken(lookAtNodes, err)
	}
	var faults []string
	zones := map[string]bool{}
	for _, n := range nodes {
		i := slices.IndexFunc(r.Config.Nodes, func(c config.Node) bool { return c.Name == n.Metadata.Name })
		if i < 0 {
			continue
		}
		want := r.Config.AvailabilityZone(r.Config.Nodes[i].Zone)
		got := n.Metadata.Labels["topology.kubernetes.io/zone"]
		zones[got] = true
		if got != want {
			faults = append(faults, fmt.Sprintf("%s: zone label %q, the settings say %s", n.Metadata.Name, got, want))
		}
		if region := n.Metadata.Labels["topology.kubernetes.io/region"]; region != r.Config.Region {
			faults = append(faults, fmt.Sprintf("%s: region label %q, the settings say %s", n.Metadata.Name, region,
				r.Config.Region))
		}
	}
	if len(faults) > 0 {
		return failed("kubectl get nodes -L topology.kubernetes.io/zone,topology.kubernetes.io/region", "%s", join(faults))
	}
	return ok("%d %s", len(zones), plural(len(zones), "zone", "zones"))
}

func nodeSettings(ctx context.Context, r *run) finding {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return broken(lookAtNodes, err)
	}
	var faults []string
	for _, n := range nodes {
		i := slices.IndexFunc(r.Config.Nodes, func(c config.Node) bool { return c.Name == n.Metadata.Name })
		if i < 0 {
			continue
		}
		want := r.Config.Nodes[i]
		for key, value := range want.Labels {
			if got, there := n.Metadata.Labels[key]; !there || got != value {
				faults = append(faults, fmt.Sprintf("%s: label %s=%s is missing", n.Metadata.Name, key, value))
			}
		}
		for _, t := range want.Taints {
			if !slices.Contains(n.Spec.Taints, taint{t.Key, t.Value, t.Effect}) {
				faults = append(faults, fmt.Sprintf("%s: taint %s=%s:%s is missing", n.Metadata.Name, t.Key, t.Value, t.Effect))
			}
		}
	}
	slices.Sort(faults)
	if len(faults) > 0 {
		return failed("an up applies them; kubectl get nodes --show-labels", "%s", join(faults))
	}
	return ok("as the settings say")
}

// join lists faults. A long list is truncated.
func join(faults []string) string {
	const most = 6
	if len(faults) > most {
		faults = append(slices.Clone(faults[:most]), fmt.Sprintf("and %d more", len(faults)-most))
	}
	return strings.Join(faults, "; ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
