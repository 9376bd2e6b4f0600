package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// storageClass is the default class of volumes: encrypted gp3.
const storageClass = "gp3"

// volumes is what a workload with persistent volumes needs.
type volumes struct {
	class pulumi.Resource
	gate  pulumi.Resource
}

// ebs installs the driver of EBS volumes, the default storage class, snapshots, and the gate that stands between the
// controllers of volumes and everything that has a volume.
func (b *builder) ebs() volumes {
	settings := b.cfg.Addons.EBSCSI
	if !settings.On() {
		return volumes{}
	}
	definitions := b.snapshotDefinitions()
	driver := b.release("aws-ebs-csi-driver", kube.ReleaseArgs{
		Values: ebsValues(b.cfg, b.args).Merge(settings.Values),
	}, b.outlived(definitions...))
	class := b.object("storageclass-"+storageClass, gp3Class(b.cfg), needs(driver),
		pulumi.ReplaceOnChanges([]string{"reclaimPolicy"}), pulumi.DeleteBeforeReplace(true))
	snapshots := b.snapshots(definitions)
	gate := b.volumesGate(driver, snapshots)
	return volumes{class: class, gate: gate}
}

func ebsValues(cfg *config.Config, args Args) kube.Values {
	small := requests("5m", "24Mi")
	return kube.Values{
		"controller": kube.Values{
			"region": cfg.Region,
			// Tags every volume and snapshot with the cluster's name, by which the sweep finds what a dead cluster leaves.
			"k8sTagClusterId":   cfg.Cluster.Name,
			"extraVolumeTags":   controllerTags(cfg, args),
			"replicaCount":      1,
			"nodeSelector":      controlPlaneSelector,
			"tolerations":       controlPlaneTolerations,
			"priorityClassName": onHostNetwork("system-cluster-critical", 6),
			"resources":         requests("10m", "40Mi"),
			// A budget of one replica would hold up every drain of the control plane.
			"podDisruptionBudget": kube.Values{"enabled": false},
		},
		"sidecars": kube.Values{
			"provisioner": kube.Values{"resources": small},
			"attacher":    kube.Values{"resources": small},
			"resizer":     kube.Values{"resources": small},
			// The chart looks for the definitions of snapshots when it is rendered. A change of theirs must not remove it.
			"snapshotter":         kube.Values{"forceEnable": true, "resources": small},
			"livenessProbe":       kube.Values{"resources": small},
			"nodeDriverRegistrar": kube.Values{"resources": small},
		},
		"node": kube.Values{
			"enableWindows":     false,
			"tolerateAllTaints": true,
			// Zone and instance type come from the Node object, because the metadata service is out of a pod's reach.
			"metadataSources": "kubernetes",
			"resources":       requests("10m", "40Mi"),
		},
		// Only for the chart's own tests; its image is not in a public release registry.
		"helmTester": kube.Values{"enabled": false},
	}
}

// controllerTags are on everything that a controller makes in AWS. The VPC tells it from that of another cluster of this name.
func controllerTags(cfg *config.Config, args Args) kube.Values {
	tags := kube.Values{config.TagVPC: args.VPCID}
	for key, value := range cfg.Tags() {
		tags[key] = value
	}
	return tags
}

// gp3Class is an object of its own, and not one of the chart's, because its reclaim policy follows the configuration
// and can only be changed by making the class anew.
func gp3Class(cfg *config.Config) kube.ObjectArgs {
	reclaim := "Delete"
	if cfg.Protection.Volumes == keepVolumes {
		reclaim = "Retain"
	}
	return kube.ObjectArgs{
		APIVersion:  "storage.k8s.io/v1",
		Kind:        "StorageClass",
		Name:        storageClass,
		Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		Fields: kube.Values{
			"provisioner":          "ebs.csi.aws.com",
			"parameters":           kube.Values{"type": "gp3", "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"},
			"reclaimPolicy":        reclaim,
			"allowVolumeExpansion": true,
			// The volume is made in the zone of the node that the pod goes to.
			"volumeBindingMode": "WaitForFirstConsumer",
		},
	}
}
