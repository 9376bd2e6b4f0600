package sandbox

import "strings"

// claim makes a PersistentVolumeClaim on behalf of an owner.
func (a *account) claim(owner *object, name, class string, owned bool) {
	namespace, _, _ := strings.Cut(owner.ID, "/")
	if a.kube(claimKind, namespace, name) != nil {
		return
	}
	state := values{"class": class, "by": objectKey(owner.Type, owner.ID)}
	if owned {
		state["owner"] = objectKey(owner.Type, owner.ID)
	}
	a.put(&object{Type: "k8s/" + claimKind, ID: namespace + "/" + name, State: state})
}

// storageClass says whether a class exists; an empty name asks for the default class.
func (a *account) storageClass(name string) bool {
	for _, sc := range a.all("k8s/StorageClass") {
		annotations := sc.Inputs.object("metadata").object("annotations")
		if sc.Inputs.str("metadata.name") == name || name == "" && annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			return true
		}
	}
	return false
}

// settleVolumes is the EBS CSI driver: a volume for each claim, and none for those that are gone.
func (a *account) settleVolumes() {
	for _, pvc := range a.all("k8s/" + claimKind) {
		if pvc.str("volume") != "" || !a.storageClass(pvc.str("class")) {
			continue
		}
		id := "vol-" + a.newID(volumeType, pvc.ID, 17)
		namespace, name, _ := strings.Cut(pvc.ID, "/")
		a.put(&object{Type: volumeType, ID: id, Inputs: values{"tags": map[string]any{
			"ebs.csi.aws.com/cluster": "true", clusterTag + a.clusterName(): "owned", "KubernetesCluster": a.clusterName(),
			"kubernetes.io/created-for/pvc/namespace": namespace, "kubernetes.io/created-for/pvc/name": name,
			"Name": a.clusterName() + "-dynamic-" + name,
		}}})
		a.change(pvc, func(_, state values) { state["volume"] = id })
	}
	for _, pv := range a.all("k8s/" + volumeKind) {
		if volume := a.find(volumeType, pv.str("volume")); volume != nil {
			a.remove(volume)
		}
		a.remove(pv)
	}
}
