package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
)

// rollouts installs Argo Rollouts, for blue-green and canary releases.
func (b *builder) rollouts(monitors pulumi.Resource) {
	settings := b.cfg.Addons.ArgoRollouts
	if !settings.On() {
		return
	}
	namespace := b.namespace("argo-rollouts", baseline)
	b.release("argo-rollouts", kube.ReleaseArgs{
		Values: rolloutsValues(monitors != nil).Merge(settings.Values),
	}, needs(b.root.NodesReady, namespace, monitors))
}

func rolloutsValues(monitored bool) kube.Values {
	return kube.Values{
		"installCRDs": true,
		"keepCRDs":    true,
		"controller": kube.Values{
			"replicas":  1,
			"resources": requests("20m", "64Mi"),
			"metrics":   kube.Values{"enabled": monitored, "serviceMonitor": kube.Values{"enabled": monitored}},
		},
	}
}
