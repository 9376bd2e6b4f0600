package kube

import (
	"cmp"
	"maps"
	"strings"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// A claim gets a PersistentVolume and an EBS volume while the CSI driver runs. The reclaim policy of the
// PersistentVolume decides whether the volume is deleted with the claim: it comes from the class, and the gate of
// volumes changes it.

const (
	reclaim = "Delete"
	retain  = "Retain"
)

// volumes is the EBS CSI driver with the claims and classes that it works for.
type volumes struct{ *Cluster }

// claim creates a PersistentVolumeClaim for an owner. owned is whether the claim is deleted with the owner.
func (v volumes) claim(owner *store.Object, name, class string, owned bool) {
	namespace, _, _ := strings.Cut(owner.ID, "/")
	if v.object(claimKind, namespace, name) != nil {
		return
	}
	state := props.Map{"class": class, "by": store.Key(owner.Type, owner.ID)}
	if owned {
		state["owner"] = store.Key(owner.Type, owner.ID)
	}
	v.Put(&store.Object{Type: "k8s/" + claimKind, ID: namespace + "/" + name, State: state})
}

// storageClass finds a class by name; an empty name asks for the default class. It returns nil when the class does
// not exist.
func (v volumes) storageClass(name string) *store.Object {
	for _, sc := range v.All("k8s/StorageClass") {
		annotations := sc.Inputs.Object("metadata").Object("annotations")
		if sc.Inputs.Str("metadata.name") == name || name == "" &&
			annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			return sc
		}
	}
	return nil
}

// reconcile does the work of the EBS CSI driver: it creates a volume for each claim, and deletes the volumes of deleted
// claims unless they are retained.
func (v volumes) reconcile() {
	for _, pvc := range v.All("k8s/" + claimKind) {
		class := v.storageClass(pvc.Str("class"))
		if pvc.Str("volume") != "" || class == nil {
			continue
		}
		id := "vol-" + v.NewID(aws.VolumeType, pvc.ID, 17)
		namespace, name, _ := strings.Cut(pvc.ID, "/")
		v.Put(&store.Object{Type: aws.VolumeType, ID: id,
			Inputs: props.Map{"availabilityZone": v.volumeZone(), "tags": map[string]any{
				"ebs.csi.aws.com/cluster": "true", aws.ClusterTag + v.clusterName(): "owned", "KubernetesCluster": v.clusterName(),
				"kubernetes.io/created-for/pvc/namespace": namespace, "kubernetes.io/created-for/pvc/name": name,
				"Name": v.clusterName() + "-dynamic-" + name,
			}}})
		v.Put(&store.Object{Type: "k8s/" + volumeKind, ID: "/pv-" + id, State: props.Map{
			"volume": id, "claim": pvc.ID, "class": class.Inputs.Str("metadata.name"),
			"policy": cmp.Or(class.Inputs.Str("reclaimPolicy"), reclaim),
		}})
		v.Change(pvc, func(_, state props.Map) { state["volume"] = id })
		v.tagVolume(v.Find(aws.VolumeType, id))
	}
	for _, pv := range v.All("k8s/" + volumeKind) {
		claim := v.Find("k8s/"+claimKind, pv.Str("claim"))
		if pv.Str("policy") == retain || claim != nil && claim.Str("volume") == pv.Str("volume") {
			continue
		}
		if volume := v.Find(aws.VolumeType, pv.Str("volume")); volume != nil {
			v.Remove(volume)
		}
		v.Remove(pv)
	}
}

// tagVolume adds the tags that the driver's settings ask for on every volume.
func (v volumes) tagVolume(volume *store.Object) {
	driver := v.release(csiChart)
	if driver == nil {
		return
	}
	v.Change(volume, func(inputs, _ props.Map) {
		tags := map[string]any{}
		maps.Copy(tags, inputs.Object("tags"))
		for key, value := range driver.Inputs.Object("values").Object("controller").StringMap("extraVolumeTags") {
			tags[key] = value
		}
		inputs["tags"] = tags
	})
}

// volumeZone returns the zone of a new volume: that of the first node labelled workload=storage, or else of any other
// worker.
func (v volumes) volumeZone() string {
	zone := ""
	for _, node := range v.All("k8s/Node") {
		machine := v.Find(aws.InstanceType, node.Str("instance"))
		if machine == nil {
			continue
		}
		if strings.Contains(node.Str("labels"), "workload=storage") {
			return machine.Str("availabilityZone")
		}
		zone = machine.Str("availabilityZone")
	}
	return zone
}

// setReclaimPolicy sets the reclaim policy of all volumes, or of those of one class.
func (v volumes) setReclaimPolicy(policy, class string) {
	for _, pv := range v.All("k8s/" + volumeKind) {
		if class == "" || pv.Str("class") == class {
			v.Change(pv, func(_, state props.Map) { state["policy"] = policy })
		}
	}
}
