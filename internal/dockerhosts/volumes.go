package dockerhosts

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"

	"kubeadm-aws/cluster/kubeapi"
)

// The driver of EBS volumes is replaced by directories of this machine that all hosts have. Like an EBS volume, such a
// volume is created when a pod of its claim has a node, belongs to the zone of that node, outlives the node, and is
// deleted with its claim if the class asks for it. Unlike an EBS volume, it does not enforce its size.

const (
	chartVolumes = "aws-ebs-csi-driver"
	provisioner  = "ebs.csi.aws.com"
	zoneLabel    = "topology.kubernetes.io/zone"
	// volumesOnHosts is where the hosts have the directory of this machine.
	volumesOnHosts = "/var/lib/ebs"

	provisionedBy  = "pv.kubernetes.io/provisioned-by"
	wantsVolumesOf = "volume.kubernetes.io/storage-provisioner"
	selectedNode   = "volume.kubernetes.io/selected-node"
)

func (s *stack) volumesDir() string { return filepath.Join(s.options.Dir, "volumes") }

type objectMeta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	UID         string            `json:"uid"`
	Annotations map[string]string `json:"annotations"`
}

// claim has the fields of a PersistentVolumeClaim that the provisioner reads.
type claim struct {
	Metadata objectMeta `json:"metadata"`
	Spec     struct {
		StorageClassName string   `json:"storageClassName"`
		VolumeName       string   `json:"volumeName"`
		AccessModes      []string `json:"accessModes"`
		Resources        struct {
			Requests struct {
				Storage string `json:"storage"`
			} `json:"requests"`
		} `json:"resources"`
	} `json:"spec"`
	Status struct {
		Phase    string `json:"phase"`
		Capacity struct {
			Storage string `json:"storage"`
		} `json:"capacity"`
	} `json:"status"`
}

func (c claim) volume() string { return "pvc-" + c.Metadata.UID }

// volume has the fields of a PersistentVolume that the provisioner reads.
type volume struct {
	Metadata objectMeta `json:"metadata"`
	Spec     struct {
		ReclaimPolicy string `json:"persistentVolumeReclaimPolicy"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// volumes creates, grows and removes the volumes of claims.
func (c *controller) volumes(ctx context.Context, kube *client, nodes []node) error {
	var claims struct{ Items []claim }
	if err := kube.Call(ctx, kubeapi.Get, "/api/v1/persistentvolumeclaims", nil, &claims); err != nil {
		return err
	}
	zones := map[string]string{}
	for _, n := range nodes {
		zones[n.Metadata.Name] = n.Metadata.Labels[zoneLabel]
	}
	var errs []error
	for _, wanted := range claims.Items {
		if wanted.Metadata.Annotations[wantsVolumesOf] != provisioner {
			continue
		}
		at := zones[wanted.Metadata.Annotations[selectedNode]]
		switch {
		case wanted.Status.Phase == "Pending" && wanted.Spec.VolumeName == "" && at != "":
			errs = append(errs, c.makeVolume(ctx, kube, wanted, at))
		case wanted.Status.Phase == "Bound" && wanted.Status.Capacity.Storage != wanted.Spec.Resources.Requests.Storage:
			errs = append(errs, growVolume(ctx, kube, wanted))
		}
	}
	return errors.Join(append(errs, c.removeVolumes(ctx, kube))...)
}

func (c *controller) makeVolume(ctx context.Context, kube *client, wanted claim, zone string) error {
	var class struct {
		ReclaimPolicy string `json:"reclaimPolicy"`
	}
	path := "/apis/storage.k8s.io/v1/storageclasses/" + wanted.Spec.StorageClassName
	if err := kube.Call(ctx, kubeapi.Get, path, nil, &class); err != nil {
		return err
	}
	dir := filepath.Join(c.backend.volumesDir(), wanted.volume())
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o777)); err != nil {
		return err
	}
	err := kube.Call(ctx, kubeapi.Post, "/api/v1/persistentvolumes", map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolume",
		"metadata": map[string]any{"name": wanted.volume(), "annotations": map[string]string{provisionedBy: provisioner}},
		"spec": map[string]any{
			"capacity":                      map[string]string{"storage": wanted.Spec.Resources.Requests.Storage},
			"accessModes":                   wanted.Spec.AccessModes,
			"persistentVolumeReclaimPolicy": class.ReclaimPolicy,
			"storageClassName":              wanted.Spec.StorageClassName,
			"claimRef": map[string]string{
				"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": wanted.Metadata.Namespace,
				"name": wanted.Metadata.Name, "uid": wanted.Metadata.UID,
			},
			"local": map[string]string{"path": volumesOnHosts + "/" + wanted.volume()},
			"nodeAffinity": map[string]any{"required": map[string]any{"nodeSelectorTerms": []any{map[string]any{
				"matchExpressions": []any{map[string]any{"key": zoneLabel, "operator": "In", "values": []string{zone}}},
			}}}},
		},
	}, nil)
	if kubeapi.IsStatus(err, http.StatusConflict) {
		return nil
	}
	return err
}

// growVolume sets the capacity of a volume to the size that its claim asks for.
func growVolume(ctx context.Context, kube *client, wanted claim) error {
	size := map[string]any{"capacity": map[string]string{"storage": wanted.Spec.Resources.Requests.Storage}}
	path := "/api/v1/persistentvolumes/" + wanted.Spec.VolumeName
	if err := kube.Call(ctx, kubeapi.Patch, path, map[string]any{"spec": size}, nil); err != nil {
		return err
	}
	m := wanted.Metadata
	path = "/api/v1/namespaces/" + m.Namespace + "/persistentvolumeclaims/" + m.Name + "/status"
	return kube.Call(ctx, kubeapi.Patch, path, map[string]any{"status": size}, nil)
}

// removeVolumes removes the volumes whose claims no longer exist.
func (c *controller) removeVolumes(ctx context.Context, kube *client) error {
	var all struct{ Items []volume }
	if err := kube.Call(ctx, kubeapi.Get, "/api/v1/persistentvolumes", nil, &all); err != nil {
		return err
	}
	var errs []error
	for _, v := range all.Items {
		ours := v.Metadata.Annotations[provisionedBy] == provisioner
		if !ours || v.Status.Phase != "Released" || v.Spec.ReclaimPolicy != "Delete" {
			continue
		}
		err := os.RemoveAll(filepath.Join(c.backend.volumesDir(), v.Metadata.Name))
		if err == nil {
			err = kube.Call(ctx, kubeapi.Delete, "/api/v1/persistentvolumes/"+v.Metadata.Name, nil, nil)
		}
		if !kubeapi.IsStatus(err, http.StatusNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
