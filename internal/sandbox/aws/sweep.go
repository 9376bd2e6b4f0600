package aws

import (
	"context"
	"strings"

	"kubeadm-aws/internal/sandbox/store"
	"kubeadm-aws/sweep/sweepline"
)

// Swept is the result of a sweep; each text describes one resource.
type Swept struct {
	// Found are the resources that controllers of the cluster made. The sweep removes them unless it only lists.
	Found []string
	// Kept are volumes that stay because the settings say so.
	Kept []string
	// Instances of the cluster that run. With any, the sweep removes nothing, because Found may be in use.
	Instances []string
}

// Sweep runs the sweep against the model. It removes what it finds, unless dryRun is set or instances run.
func (u Console) Sweep(line sweepline.Line, dryRun bool) Swept {
	var swept Swept
	Images{u}.sweep(line, dryRun, &swept)
	a := u.account
	a.Lock()
	defer a.Unlock()
	for _, o := range a.All(InstanceType) {
		if a.VPCOf(o) == line.VPC {
			swept.Instances = append(swept.Instances, o.Title())
		}
	}
	for _, o := range u.madeByControllers(line.Cluster, line.VPC) {
		if line.Volumes == sweepline.Keep && o.Type == VolumeType {
			swept.Kept = append(swept.Kept, o.Title())
			continue
		}
		swept.Found = append(swept.Found, o.Title())
		if !dryRun && len(swept.Instances) == 0 {
			a.Remove(o)
		}
	}
	return swept
}

// sweep removes the machine images of the cluster, and builders that a killed build left.
func (i Images) sweep(line sweepline.Line, dryRun bool, swept *Swept) {
	for _, o := range i.built(builderType, line.Cluster, line.VPC) {
		swept.Found = append(swept.Found, o.Title())
	}
	images := i.built(amiType, line.Cluster, line.VPC)
	for _, o := range images {
		if line.Images == sweepline.Keep {
			swept.Kept = append(swept.Kept, o.Title())
			continue
		}
		swept.Found = append(swept.Found, o.Title())
	}
	if dryRun {
		return
	}
	// A backend that fails leaves them, and the leftovers of the sandbox name them.
	_ = i.discard(context.Background(), line.Cluster, line.VPC)
	for _, o := range images {
		if line.Images != sweepline.Keep {
			_ = i.remove(context.Background(), o)
		}
	}
}

// madeByControllers returns the resources that controllers of a cluster made, by tag. It omits resources with a URN,
// because Pulumi made them, and resources of another cluster.
func (u Console) madeByControllers(cluster, vpc string) []*store.Object {
	return u.account.Where(func(o *store.Object) bool {
		if o.URN != "" || !strings.HasPrefix(o.Type, "aws:") {
			return false
		}
		tags := o.Tags()
		if tags["GuardDutyManaged"] == "true" {
			return u.account.VPCOf(o) == vpc
		}
		mine := tags["elbv2.k8s.aws/cluster"] == cluster || tags[ClusterTag+cluster] == "owned"
		if lb := u.account.Find(LoadBalancerType, o.State.Str("madeFor")); lb != nil {
			mine = mine || lb.Tags()["elbv2.k8s.aws/cluster"] == cluster
		}
		// A volume is in no VPC. A tag names the VPC, unless the volume was created before the tag existed.
		if o.Type == VolumeType {
			return mine && (tags[vpcTag] == vpc || tags[vpcTag] == "" && !u.hasNamesake(cluster, vpc))
		}
		return mine && u.account.VPCOf(o) == vpc
	})
}

// vpcTag is config.TagVPC.
const vpcTag = "kubeadm-aws/vpc"

// hasNamesake reports whether another VPC holds a cluster of this name.
func (u Console) hasNamesake(cluster, vpc string) bool {
	return len(u.account.Where(func(o *store.Object) bool {
		return o.Type == VPCType && o.ID != vpc && o.Tags()[ClusterTag+cluster] != ""
	})) > 0
}
