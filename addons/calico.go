package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// calico is the add-on of the pod network.
type calico struct{ *builder }

// install installs the pod network and returns it. It returns nil if the user installs the CNI.
// On destroy everything here is dropped, never uninstalled. Calico's uninstall uses finalizers that need running
// nodes and its own operator, and hangs if a part is missing. Calico is lost with its nodes anyway.
func (c calico) install() pulumi.Resource {
	if c.cfg.Cluster.CNI != "calico" {
		return nil
	}
	namespace := c.namespace("tigera-operator", privileged, pulumi.RetainOnDelete(true))
	// Helm waits until the definitions are established. Before that the API server refuses objects of their kinds.
	crds := c.release("calico-crds", kube.ReleaseArgs{}, needs(namespace), pulumi.RetainOnDelete(true))
	return c.release("calico", kube.ReleaseArgs{
		Values: calicoValues(c.cfg),
		// nodes-ready waits for the relevant condition: that the nodes are Ready.
		SkipAwait: true,
	}, needs(crds), pulumi.RetainOnDelete(true))
}

func calicoValues(cfg *config.Config) kube.Values {
	return kube.Values{
		"installation": kube.Values{
			"kubernetesProvider": "",
			"cni":                kube.Values{"type": "Calico"},
			"calicoNetwork": kube.Values{
				"bgp":            "Disabled",
				"linuxDataplane": "Iptables",
				"ipPools": []kube.Values{{
					"name": "default-ipv4-ippool",
					"cidr": cfg.Network.PodCIDR,
					// All traffic is encapsulated. Security groups contain the nodes' addresses, not the pods', and
					// EC2 drops packets whose source is not the interface's own address.
					"encapsulation": "VXLAN",
					"natOutgoing":   "Enabled",
					"nodeSelector":  "all()",
					"blockSize":     26,
				}},
			},
			// One replica of Typha and of the control plane's parts. With the default of two, one would stay Pending
			// on a single control-plane node.
			"controlPlaneReplicas":            1,
			"calicoNodeDaemonSet":             componentRequests("calico-node", "100m", "128Mi"),
			"typhaDeployment":                 componentRequests("calico-typha", "20m", "48Mi"),
			"calicoKubeControllersDeployment": componentRequests("calico-kube-controllers", "10m", "48Mi"),
		},
		// The aggregated API and the flow logs need memory that the default nodes do not have. An aggregated API that
		// fails would also block the deletion of every namespace.
		"apiServer": kube.Values{"enabled": false},
		"goldmane":  kube.Values{"enabled": false},
		"whisker":   kube.Values{"enabled": false},
		"resources": requests("20m", "96Mi"),
	}
}

// componentRequests sets the resource requests of one container in the form of the operator's API.
func componentRequests(container, cpu, memory string) kube.Values {
	return kube.Values{"spec": kube.Values{"template": kube.Values{"spec": kube.Values{
		"containers": []kube.Values{{"name": container, "resources": requests(cpu, memory)}},
	}}}}
}
