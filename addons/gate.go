package addons

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/cluster"
)

// keepVolumes is the value of protection.volumes with which EBS volumes are kept.
const keepVolumes = "keep"

// gate creates a pre-delete hook: a step whose create does nothing. Its delete runs before its controller is deleted.
// It removes what users and GitOps created outside the program and only this controller can clean up, and waits until
// load balancers and volumes are deleted. The program's own objects of that kind depend on the gate and are removed
// in the same way.
// A gate needs everything that its objects need, in addition to the controller. Otherwise a namespace or a password
// would be deleted before the objects that use it.
// There is one gate for each controller, because the reasons differ: a volume need not wait for Argo CD, and a
// disabled add-on removes only its own gate.
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
		Run:     cluster.Script{Name: "release-gate", Env: env("hold")},
		Delete:  &cluster.Script{Name: "release-gate", Env: env("release")},
		Minutes: 20,
	}, needs,
		// Other steps end with their machine. The delete of this one must run before.
		pulumi.DeletedWith(nil))
}

// deletedByGate creates an object that must exist until its controller, or the controller's webhook, has released it.
// If its gate is deleted too, the engine drops the object from the state right before the gate's delete. Deleting it
// there would only wait for a controller that may not run. The gate deletes it with all others of its kind, and can
// do that without a controller. If the object is removed and its gate stays, as with an Ingress of a domain that was
// removed from the configuration, the engine deletes it.
func (b *builder) deletedByGate(
	gate pulumi.Resource, name string, args kube.ObjectArgs, needs []pulumi.Resource, opts ...pulumi.ResourceOption,
) pulumi.Resource {
	return b.object(name, args, append(needs, gate), append(opts, pulumi.DeletedWith(gate))...)
}

// applicationsGate deletes Argo CD's Applications with everything that they deployed. The gates of those resources
// have to outlive it.
func (a argoCD) applicationsGate(needs []pulumi.Resource) pulumi.Resource {
	return a.gate("applications", map[string]string{
		"RELEASE":    "applications",
		"CONTROLLER": "argocd/statefulset/argocd-application-controller",
	}, needs)
}

// loadBalancersGate deletes Ingresses and Services of type LoadBalancer, and waits until their load balancers are
// deleted.
func (l loadBalancer) loadBalancersGate(needs []pulumi.Resource) pulumi.Resource {
	return l.gate("load-balancers", map[string]string{
		"RELEASE":    "load-balancers",
		"CONTROLLER": "kube-system/deployment/aws-load-balancer-controller",
	}, needs)
}

// volumesGate deletes VolumeSnapshots, then persistent volume claims with the workloads that use them, and waits
// until the volumes are deleted. If volumes are kept, it sets volumes and snapshots to Retain when it is created.
func (e ebs) volumesGate(driver, snapshots pulumi.Resource) pulumi.Resource {
	return e.gate("volumes", map[string]string{
		"RELEASE":             "volumes",
		"VOLUMES":             e.cfg.Protection.Volumes,
		"CONTROLLER":          "kube-system/deployment/ebs-csi-controller",
		"SNAPSHOT_CONTROLLER": "kube-system/deployment/" + snapshotController,
	}, needs(driver, snapshots))
}

// customResourcesGate deletes the custom resources of an operator, whose finalizers only the operator removes. Each
// resource in the list is deleted completely before the next.
func (b *builder) customResourcesGate(subject, controller string, resources []string,
	needs []pulumi.Resource) pulumi.Resource {
	return b.gate(subject, map[string]string{
		"RELEASE":    "resources",
		"RESOURCES":  strings.Join(resources, " "),
		"CONTROLLER": controller,
	}, needs)
}
