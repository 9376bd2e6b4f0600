package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// cloudController is the add-on of the AWS cloud controller manager.
type cloudController struct{ *builder }

// install installs the AWS cloud controller manager. It makes a node usable: it sets the node's addresses and
// zone and removes the taint with which every kubelet of an external cloud provider starts.
// It must not wait for the pod network. The network's own controllers wait for the removal of the taint, so waiting
// here would be a deadlock. On destroy it is dropped, because it is lost with its nodes and cleans up nothing.
func (c cloudController) install() pulumi.Resource {
	return c.release("aws-cloud-controller-manager", kube.ReleaseArgs{
		Values:    cloudControllerValues(c.cfg),
		SkipAwait: true,
	}, needs(c.args.Cluster.APIReady), pulumi.RetainOnDelete(true))
}

func cloudControllerValues(cfg *config.Config) kube.Values {
	return kube.Values{
		"image": kube.Values{"tag": cfg.Release().CloudController},
		// On the host's network it starts before there is a pod network, and reaches the instance metadata in one
		// hop.
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
			// The pod network is encapsulated, so routes are not needed. By default the controller would create them.
			"--configure-cloud-routes=false",
			"--allocate-node-cidrs=false",
			// The load balancer controller handles load balancers.
			"--controllers=*,-service",
		},
		"resources": requests("50m", "64Mi"),
	}
}
