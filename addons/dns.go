package addons

import (
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// clusterDNS adds to the CoreDNS that kubeadm installs.
type clusterDNS struct{ *builder }

// budget keeps one of the two pods of CoreDNS while nodes are drained, if workers run one pod each. kubeadm
// creates no budget: a drain could evict the last pod while the other is still starting on a node that has just
// returned.
func (c clusterDNS) budget() {
	if workers(c.cfg) < 2 {
		return
	}
	c.object("budget-coredns", kube.ObjectArgs{
		APIVersion: "policy/v1",
		Kind:       "PodDisruptionBudget",
		Name:       "coredns",
		Namespace:  "kube-system",
		Fields: kube.Values{"spec": kube.Values{
			"maxUnavailable": 1,
			"selector":       kube.Values{"matchLabels": kube.Values{"k8s-app": "kube-dns"}},
		}},
	}, needs(c.args.Cluster.APIReady))
}

// workers returns the number of worker nodes.
func workers(cfg *config.Config) int {
	n := 0
	for _, node := range cfg.Nodes {
		if node.Role == config.Worker {
			n++
		}
	}
	return n
}
