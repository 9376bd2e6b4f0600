package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// cloudController installs the AWS cloud controller manager. It makes a node usable: it fills in its addresses and
// zone and takes away the taint that every kubelet of an external cloud provider starts with.
//
// It must not wait for the pod network. The network's own controllers wait for the taint to go, so waiting here would
// be a circle. It is dropped on destroy, because it dies with its nodes and cleans up nothing.
func (b *builder) cloudController() pulumi.Resource {
	return b.release("aws-cloud-controller-manager", kube.ReleaseArgs{
		Values:    cloudControllerValues(b.cfg),
		SkipAwait: true,
	}, needs(b.args.Cluster.APIReady), pulumi.RetainOnDelete(true))
}

func cloudControllerValues(cfg *config.Config) kube.Values {
	return kube.Values{
		"image": kube.Values{"tag": cfg.Release().CloudController},
		// On the host's network it starts before there is a pod network, and reaches the instance metadata in one hop.
		"hostNetworking": true,
		"nodeSelector":   controlPlaneSelector,
		"tolerations": []kube.Values{
			{"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"},
			{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
			{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
		},
		"args": []string{
			"--v=2",
			"--cloud-provider=aws",
			"--cluster-name=" + cfg.Cluster.Name,
			// The pod network is encapsulated, so there are no routes to make; the controller's default is to make them.
			"--configure-cloud-routes=false",
			"--allocate-node-cidrs=false",
			// Load balancers are the load balancer controller's business.
			"--controllers=*,-service",
		},
		"resources": requests("50m", "64Mi"),
	}
}
