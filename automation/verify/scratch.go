package verify

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// scratchPrefix begins the names of the namespaces that checks make and remove.
const scratchPrefix = "kubeadm-aws-verify-"

// patience is how long a pod of a check may take to be scheduled, pulled and started.
const patience = 2 * time.Minute

// object is a Kubernetes object to create.
type object map[string]any

// scratch makes a namespace for one try of a check. The function it returns removes it with all that is in it.
func (r *run) scratch(ctx context.Context, purpose string) (string, func(), error) {
	r.tries++
	name := fmt.Sprintf("%s%s-%s-%d", scratchPrefix, purpose, r.id, r.tries)
	err := r.api.create(ctx, "/api/v1/namespaces", object{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": object{"name": name, "labels": object{"app.kubernetes.io/managed-by": "kubeadm-aws-verify"}},
	})
	if err != nil {
		return "", nil, err
	}
	return name, func() {
		// What was interrupted is cleaned up as well, so this does not end with ctx.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		_ = r.api.remove(clean, "/api/v1/namespaces/"+name)
	}, nil
}

// image finds the image that a running pod of kube-system uses, so that checks need none of their own.
func (r *run) image(ctx context.Context, selector, containerName string) (string, error) {
	var pods list[pod]
	if err := r.api.get(ctx, "/api/v1/namespaces/kube-system/pods?labelSelector="+selector, &pods); err != nil {
		return "", err
	}
	for _, p := range pods.Items {
		for _, c := range p.Spec.Containers {
			if c.Name == containerName {
				return c.Image, nil
			}
		}
	}
	return "", fmt.Errorf("no pod %s in kube-system", strings.ReplaceAll(selector, "%3D", "="))
}

// podReady waits until a pod is Ready and returns what is wrong when it does not get there.
func (r *run) podReady(ctx context.Context, namespace, name string) (fault string, err error) {
	deadline := r.Now().Add(patience)
	for {
		var p pod
		if err := r.api.get(ctx, "/api/v1/namespaces/"+namespace+"/pods/"+name, &p); err != nil {
			return "", err
		}
		if p.Status.Phase == "Running" || p.Status.Phase == "Succeeded" {
			if podFault(p) == "" {
				return "", nil
			}
		}
		if p.Status.Phase == "Failed" || !r.Now().Before(deadline) {
			fault := podFault(p)
			if fault == "" {
				fault = "it is " + p.Status.Phase
			}
			return fault, nil
		}
		if err := r.pause(ctx, time.Second); err != nil {
			return "", err
		}
	}
}

// onNode pins a pod to a node through the scheduler, whatever its taints.
func onNode(spec object, nodeName string) object {
	spec["tolerations"] = []object{{"operator": "Exists"}}
	spec["affinity"] = object{"nodeAffinity": object{"requiredDuringSchedulingIgnoredDuringExecution": object{
		"nodeSelectorTerms": []object{{"matchFields": []object{{"key": "metadata.name", "operator": "In", "values": []string{nodeName}}}}},
	}}}
	return spec
}
