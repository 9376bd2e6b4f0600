package verify

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"kubeadm-aws/cluster/kubeapi"
)

// volumeWrites claims a volume of the default StorageClass and runs etcd on it. etcd answers only when its log is on
// the disk. The check writes and reads a value through the API. At the end the volume has to be deleted with its claim.
func volumeWrites(ctx context.Context, r *run) finding {
	const look = "kubectl -n kube-system logs deploy/ebs-csi-controller -c csi-provisioner; kubectl get events -A --field-selector reason=ProvisioningFailed"
	class, err := r.defaultStorageClass(ctx)
	if err != nil {
		return broken("kubectl get storageclass", err)
	}
	if class == "" {
		if r.Config.Addons.EBSCSI.On() {
			return failed("kubectl get storageclass", "there is no default StorageClass")
		}
		return skipped("there is no default StorageClass")
	}
	image, err := r.image(ctx, "component=etcd", "etcd")
	if err != nil {
		return broken(look, err)
	}
	space, err := r.scratch(ctx, "volume")
	if err != nil {
		return broken(look, err)
	}
	defer space.remove()
	w := volumeWriter{space}
	if err := w.start(ctx, image); err != nil {
		return broken(look, err)
	}
	if fault, err := w.podReady(ctx, "writer", r.Now().Add(patience)); err != nil {
		return broken(look, err)
	} else if fault != "" {
		return w.noVolume(ctx, class, fault, look)
	}
	if err := w.writeAndRead(ctx); err != nil {
		return broken(look, err)
	}
	name, fault, err := w.end(ctx)
	switch {
	case err != nil:
		return broken(look, err)
	case fault != "":
		return failed("kubectl describe pv "+name, "%s", fault)
	}
	return ok("a %s volume was made, written to, read and removed", class)
}

func (r *run) defaultStorageClass(ctx context.Context) (string, error) {
	var classes list[struct {
		Metadata meta `json:"metadata"`
	}]
	if err := r.api.get(ctx, "/apis/storage.k8s.io/v1/storageclasses", &classes); err != nil {
		return "", err
	}
	// Of several defaults Kubernetes takes the newest.
	var newest meta
	for _, c := range classes.Items {
		if c.Metadata.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" &&
			!c.Metadata.CreationTimestamp.Before(newest.CreationTimestamp) {
			newest = c.Metadata
		}
	}
	return newest.Name, nil
}

// volumeWriter is the pod of the volume check, with etcd on a volume of its own.
type volumeWriter struct{ scratch }

func (w volumeWriter) start(ctx context.Context, image string) error {
	err := w.api.create(ctx, "/api/v1/namespaces/"+w.namespace+"/persistentvolumeclaims", object{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": object{"name": "data"},
		"spec": object{"accessModes": []string{"ReadWriteOnce"}, "resources": object{"requests": object{"storage": "1Gi"}}},
	})
	if err != nil {
		return err
	}
	more := anywhere(w.Config.Nodes)
	more["volumes"] = []object{{"name": "data", "persistentVolumeClaim": object{"claimName": "data"}}}
	return w.api.create(ctx, "/api/v1/namespaces/"+w.namespace+"/pods", probe("writer", object{
		"name": "writer", "image": image,
		"command": []string{"etcd", "--data-dir=/data/etcd", "--listen-client-urls=http://0.0.0.0:2379",
			"--advertise-client-urls=http://127.0.0.1:2379"},
		"ports":           []object{{"containerPort": 2379}},
		"readinessProbe":  object{"httpGet": object{"path": "/health", "port": 2379}, "periodSeconds": 1},
		"resources":       object{"requests": object{"cpu": "10m", "memory": "50Mi"}},
		"volumeMounts":    []object{{"name": "data", "mountPath": "/data"}},
		"securityContext": admitted(),
	}, more))
}

// noVolume distinguishes a volume that was not created from one that was created but not attached to the pod.
func (w volumeWriter) noVolume(ctx context.Context, class, fault, look string) finding {
	var c claim
	if err := w.api.get(ctx, "/api/v1/namespaces/"+w.namespace+"/persistentvolumeclaims/data", &c); err != nil {
		return broken(look, err)
	}
	if strings.Contains(fault, "ErrImagePull") || strings.Contains(fault, "ImagePullBackOff") {
		return failed("mirrors.registries in the settings; on the host: journalctl -u containerd", "a node gets no image, so the volume was not tried: %s", fault)
	}
	if c.Status.Phase != "Bound" {
		return failed(look, "no %s volume was made, so a pod does not start: %s", class, fault)
	}
	return failed("kubectl get volumeattachments; kubectl -n kube-system logs deploy/ebs-csi-controller -c csi-attacher; kubectl -n kube-system logs ds/ebs-csi-node -c ebs-plugin",
		"a %s volume was made, but a pod does not start with it: %s", class, fault)
}

// writeAndRead puts a value into the etcd on the volume and gets it back.
func (w volumeWriter) writeAndRead(ctx context.Context) error {
	base := "/api/v1/namespaces/" + w.namespace + "/pods/writer:2379/proxy/v3/kv/"
	key, value := encode("verify"), encode(w.id)
	if err := w.api.Call(ctx, kubeapi.Post, base+"put", object{"key": key, "value": value}, nil); err != nil {
		return fmt.Errorf("write to the volume: %w", err)
	}
	var got struct {
		KVs []struct {
			Value string `json:"value"`
		} `json:"kvs"`
	}
	if err := w.api.Call(ctx, kubeapi.Post, base+"range", object{"key": key}, &got); err != nil {
		return fmt.Errorf("read from the volume: %w", err)
	}
	if len(got.KVs) != 1 || got.KVs[0].Value != value {
		return fmt.Errorf("read from the volume: %v is not what was written", got.KVs)
	}
	return nil
}

// end deletes the pod and the claim, and waits until the volume is deleted too. It returns the volume's name.
func (w volumeWriter) end(ctx context.Context) (name, fault string, err error) {
	base := "/api/v1/namespaces/" + w.namespace
	var c claim
	if err := w.api.get(ctx, base+"/persistentvolumeclaims/data", &c); err != nil {
		return "", "", err
	}
	name = c.Spec.VolumeName
	// A class that keeps volumes would keep this one too.
	if err := w.letVolumeGo(ctx, name); err != nil {
		return name, "", err
	}
	if err := w.api.remove(ctx, base+"/pods/writer"); err != nil {
		return name, "", err
	}
	if err := w.api.remove(ctx, base+"/persistentvolumeclaims/data"); err != nil {
		return name, "", err
	}
	deadline := w.Now().Add(patience)
	for w.Now().Before(deadline) {
		err := w.api.get(ctx, "/api/v1/persistentvolumes/"+name, &struct{}{})
		if notFound(err) {
			return name, "", nil
		}
		if err != nil {
			return name, "", err
		}
		if err := w.pause(ctx, time.Second); err != nil {
			return name, "", err
		}
	}
	return name, fmt.Sprintf("volume %s was not removed with its claim within %s", name, patience), nil
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
