package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
)

// rollouts is the add-on Argo Rollouts, for blue-green and canary releases.
type rollouts struct{ *builder }

func (r rollouts) install(monitors pulumi.Resource) {
	settings := r.cfg.Addons.ArgoRollouts
	if !settings.On() {
		return
	}
	namespace := r.namespace("argo-rollouts", baseline)
	r.release("argo-rollouts", kube.ReleaseArgs{
		Values: rolloutsValues(monitors != nil).Merge(settings.Values),
	}, needs(r.root.NodesReady, namespace, monitors))
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
