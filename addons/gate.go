package addons

import (
	_ "embed"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/cluster"
)

//go:embed scripts/release-gate.sh
var releaseGateScript string

// keepVolumes is the value of protection.volumes that leaves EBS volumes behind.
const keepVolumes = "keep"

// gate is a step whose removal is the point. It depends on a controller, so it goes before the controller does, and
// going it removes what users and GitOps made outside the program that only this controller can clean up after: it
// waits until load balancers and volumes are really gone. What the program itself makes of that kind stands behind the
// gate, and goes the same way.
//
// It needs what its objects need, beside the controller: a namespace or a password that went first would go while they
// are still there.
//
// There is one gate for each controller, because causes differ: a volume need not wait for Argo CD, and an add-on that
// is switched off takes its own gate along.
func (b *builder) gate(subject string, settings map[string]string, needs []pulumi.Resource) pulumi.Resource {
	env := func(action string) map[string]pulumi.StringInput {
		all := map[string]pulumi.StringInput{"ACTION": pulumi.String(action)}
		for key, value := range settings {
			all[key] = pulumi.String(value)
		}
		return all
	}
	return b.step("release-gate-"+subject, cluster.Step{
		Name:    "release-gate",
		Run:     cluster.Script{Text: releaseGateScript, Env: env("hold")},
		Delete:  &cluster.Script{Text: releaseGateScript, Env: env("release")},
		Minutes: 20,
	}, needs,
		// Other steps are over when their machine goes. This one has to be done before.
		pulumi.DeletedWith(nil))
}

// behind makes an object that is not gone before its controller, or the controller's webhook, has let go of it. When its
// gate goes too, the engine takes the object out of the state right before the gate's turn and does not delete it: that
// could only wait for a controller that may be dead. The gate removes it with all others of its kind, and knows how to do
// that without a controller. An object that goes while its gate stays, such as an Ingress of a domain that was taken out
// of the configuration, is deleted by the engine.
func (b *builder) behind(
	gate pulumi.Resource, name string, args kube.ObjectArgs, needs []pulumi.Resource, opts ...pulumi.ResourceOption,
) pulumi.Resource {
	return b.object(name, args, append(needs, gate), append(opts, pulumi.DeletedWith(gate))...)
}

// applicationsGate deletes Argo CD's Applications with all that they deployed. The gates of what Applications deploy
// have to outlive it.
func (b *builder) applicationsGate(needs []pulumi.Resource) pulumi.Resource {
	return b.gate("applications", map[string]string{
		"RELEASE":    "applications",
		"CONTROLLER": "argocd/statefulset/argocd-application-controller",
	}, needs)
}

// loadBalancersGate deletes Ingresses and Services of type LoadBalancer, and waits for their load balancers to go.
func (b *builder) loadBalancersGate(needs []pulumi.Resource) pulumi.Resource {
	return b.gate("load-balancers", map[string]string{
		"RELEASE":    "load-balancers",
		"CONTROLLER": "kube-system/deployment/aws-load-balancer-controller",
	}, needs)
}

// volumesGate deletes VolumeSnapshots, then persistent volume claims with the workloads that hold them, and waits for the
// volumes to go. Where volumes are kept it turns volumes and snapshots to Retain as soon as it exists.
func (b *builder) volumesGate(driver, snapshots pulumi.Resource) pulumi.Resource {
	return b.gate("volumes", map[string]string{
		"RELEASE":             "volumes",
		"VOLUMES":             b.cfg.Protection.Volumes,
		"CONTROLLER":          "kube-system/deployment/ebs-csi-controller",
		"SNAPSHOT_CONTROLLER": "kube-system/deployment/" + snapshotController,
	}, needs(driver, snapshots))
}

// customResourcesGate deletes the custom resources of an operator, whose finalizers only the operator removes. Those that come
// first are gone before the next are touched.
func (b *builder) customResourcesGate(subject, controller string, resources []string, needs []pulumi.Resource) pulumi.Resource {
	return b.gate(subject, map[string]string{
		"RELEASE":    "resources",
		"RESOURCES":  strings.Join(resources, " "),
		"CONTROLLER": controller,
	}, needs)
}
