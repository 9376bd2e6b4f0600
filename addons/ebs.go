package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// storageClass is the default class of volumes: encrypted gp3.
const storageClass = "gp3"

// volumes are the resources that a workload with persistent volumes depends on.
type volumes struct {
	class pulumi.Resource
	gate  pulumi.Resource
}

// ebs is the add-on of volumes: the EBS driver, the default storage class and snapshots.
type ebs struct{ *builder }

// install installs the driver of EBS volumes, the default storage class, snapshots, and the gate between the
// controllers of volumes and everything that has a volume.
func (e ebs) install() volumes {
	settings := e.cfg.Addons.EBSCSI
	if !settings.On() {
		return volumes{}
	}
	definitions := e.snapshotDefinitions()
	driver := e.release("aws-ebs-csi-driver", kube.ReleaseArgs{
		Values: ebsValues(e.cfg, e.args).Merge(ebsIdentity(e.args)).Merge(settings.Values),
	}, e.outlived(definitions...))
	class := e.object("storageclass-"+storageClass, gp3Class(e.cfg), needs(driver),
		pulumi.ReplaceOnChanges([]string{"reclaimPolicy"}), pulumi.DeleteBeforeReplace(true))
	snapshots := e.snapshots(definitions)
	gate := e.volumesGate(driver, snapshots)
	return volumes{class: class, gate: gate}
}

func ebsValues(cfg *config.Config, args Args) kube.Values {
	small := requests("5m", "24Mi")
	return kube.Values{
		"controller": kube.Values{
			"region": cfg.Region,
			// The driver tags every volume and snapshot with the cluster's name. The sweep uses the tag to find what
			// a lost cluster left.
			"k8sTagClusterId":   cfg.Cluster.Name,
			"extraVolumeTags":   controllerTags(cfg, args),
			"replicaCount":      1,
			"nodeSelector":      controlPlaneSelector,
			"tolerations":       controlPlaneTolerations,
			"priorityClassName": onHostNetwork("system-cluster-critical", 6),
			"resources":         requests("10m", "40Mi"),
			// A budget for one replica would block every drain of the control plane.
			"podDisruptionBudget": kube.Values{"enabled": false},
		},
		"sidecars": kube.Values{
			"provisioner": kube.Values{"resources": small},
			"attacher":    kube.Values{"resources": small},
			"resizer":     kube.Values{"resources": small},
			// While rendering, the chart looks for the definitions of snapshots. A change of them must not remove the
			// sidecar.
			"snapshotter":         kube.Values{"forceEnable": true, "resources": small},
			"livenessProbe":       kube.Values{"resources": small},
			"nodeDriverRegistrar": kube.Values{"resources": small},
		},
		"node": kube.Values{
			"enableWindows":     false,
			"tolerateAllTaints": true,
			// Zone and instance type come from the Node object, because pods cannot reach the metadata service.
			"metadataSources": "kubernetes",
			"resources":       requests("10m", "40Mi"),
		},
		// Only the chart's own tests use it; its image is not in a public release registry.
		"helmTester": kube.Values{"enabled": false},
	}
}

// ebsIdentity returns the values with which the driver uses its own role, or nil if it has none.
func ebsIdentity(args Args) kube.Values {
	token := args.webIdentity(config.EBSDriverAccount)
	if token == nil {
		return nil
	}
	return kube.Values{"controller": kube.Values{
		"priorityClassName": "system-cluster-critical",
		"serviceAccount":    kube.Values{"name": config.EBSDriverAccount.Name},
		"env":               token.env(),
		"volumes":           token.volumes(),
		"volumeMounts":      token.mounts(),
	}}
}

// controllerTags returns the tags of everything that controllers create in AWS. The VPC distinguishes it from another
// cluster with this name.
func controllerTags(cfg *config.Config, args Args) kube.Values {
	tags := kube.Values{config.TagVPC: args.VPCID}
	for key, value := range cfg.Tags() {
		tags[key] = value
	}
	return tags
}

// gp3Class creates the class as a separate object, not through the chart. Its reclaim policy follows the
// configuration and can only change by creating the class again.
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
			// The volume is created in the zone of the node on which the pod is scheduled.
			"volumeBindingMode": "WaitForFirstConsumer",
		},
	}
}
