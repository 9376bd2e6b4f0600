package verify

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"kubeadm-aws/config"
)

// scratchPrefix is the beginning of the names of namespaces and pods that checks create and remove. scratchLabel
// marks them.
const (
	scratchPrefix = "kubeadm-aws-verify-"
	scratchLabel  = "kubeadm-aws/verify"
)

const (
	// patience is how long a pod of a check may take to be scheduled, pulled and started.
	patience = 2 * time.Minute
	// longestLife is when a pod of a check ends by itself, in case its run was killed.
	longestLife = 10 * time.Minute
	// stale is the age of a check's object after which its run must have ended.
	stale = time.Hour
)

// object is a Kubernetes object to create.
type object map[string]any

// scratch is a namespace for one try of a check.
type scratch struct {
	*run
	namespace string
	// remove removes the namespace with everything in it.
	remove func()
}

// scratch creates a namespace for one try of a check.
func (r *run) scratch(ctx context.Context, purpose string) (scratch, error) {
	r.tries++
	name := fmt.Sprintf("%s%s-%s-%d", scratchPrefix, purpose, r.id, r.tries)
	err := r.api.create(ctx, "/api/v1/namespaces", object{
		"apiVersion": "v1", "kind": "Namespace",
		// Whatever the cluster's default is, the pods of checks satisfy the strictest level.
		"metadata": object{"name": name, "labels": object{scratchLabel: purpose,
			"pod-security.kubernetes.io/enforce": "restricted"}},
	})
	if err != nil {
		return scratch{}, err
	}
	return scratch{r, name, r.later(ctx, func(ctx context.Context) { r.removeNamespace(ctx, name) })}, nil
}

// later returns a function that cleans up, also after an interrupt: it does not end with ctx.
func (r *run) later(ctx context.Context, clean func(context.Context)) func() {
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		clean(ctx)
	}
}

// removeNamespace removes a namespace of a check. A volume is deleted with its claim, even if its class keeps
// volumes. removeStale of a later run removes what cannot be removed now.
func (r *run) removeNamespace(ctx context.Context, name string) {
	var claims list[claim]
	if err := r.api.get(ctx, "/api/v1/namespaces/"+name+"/persistentvolumeclaims", &claims); err == nil {
		for _, c := range claims.Items {
			_ = r.letVolumeGo(ctx, c.Spec.VolumeName)
		}
	}
	_ = r.api.remove(ctx, "/api/v1/namespaces/"+name)
}

// letVolumeGo makes a volume end with its claim.
func (r *run) letVolumeGo(ctx context.Context, volume string) error {
	if volume == "" {
		return nil
	}
	return r.api.merge(ctx, "/api/v1/persistentvolumes/"+volume,
		object{"spec": object{"persistentVolumeReclaimPolicy": "Delete"}})
}

// removeStale removes the objects of a run that was killed.
func (r *run) removeStale(ctx context.Context) {
	var all list[pod] // only the metadata counts
	old := func(m meta) bool { return r.Now().Sub(m.CreationTimestamp) > stale }
	if err := r.api.get(ctx, "/api/v1/namespaces?labelSelector="+url.QueryEscape(scratchLabel), &all); err == nil {
		for _, n := range all.Items {
			if old(n.Metadata) {
				r.removeNamespace(ctx, n.Metadata.Name)
			}
		}
	}
	pods := "/api/v1/namespaces/" + dataNamespace + "/pods"
	if err := r.api.get(ctx, pods+"?labelSelector="+url.QueryEscape(scratchLabel), &all); err == nil {
		for _, p := range all.Items {
			if old(p.Metadata) {
				_ = r.api.remove(ctx, pods+"/"+p.Metadata.Name)
			}
		}
	}
}

// admitted returns the security context of a container that every level of pod security admits. add are capabilities
// without which its program does not start.
func admitted(add ...string) object {
	capabilities := object{"drop": []string{"ALL"}}
	if len(add) > 0 {
		capabilities["add"] = add
	}
	return object{"allowPrivilegeEscalation": false, "capabilities": capabilities}
}

// probe returns a pod of a check: one container, as an unprivileged user, in a pod that ends by itself. more is
// merged into the pod's spec.
func probe(name string, container object, more object) object {
	const nobody = 65534
	spec := object{
		"activeDeadlineSeconds":         int(longestLife.Seconds()),
		"terminationGracePeriodSeconds": 0,
		"automountServiceAccountToken":  false,
		"enableServiceLinks":            false,
		"containers":                    []object{container},
		// The group may write to the volume.
		"securityContext": object{
			"runAsNonRoot": true, "runAsUser": nobody, "runAsGroup": nobody, "fsGroup": nobody,
			"seccompProfile": object{"type": "RuntimeDefault"},
		},
	}
	for key, value := range more {
		spec[key] = value
	}
	return object{
		"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": name, "labels": object{scratchLabel: "pod"}},
		"spec": spec,
	}
}

// onNode pins a pod to a node through the scheduler, whatever its taints.
func onNode(nodeName string) object {
	return object{
		"tolerations": []object{{"operator": "Exists"}},
		"affinity": object{"nodeAffinity": object{"requiredDuringSchedulingIgnoredDuringExecution": object{
			"nodeSelectorTerms": []object{{"matchFields": []object{{"key": "metadata.name", "operator": "In",
				"values": []string{nodeName}}}}},
		}}},
	}
}

// anywhere lets a pod run on every node that the settings allow pods on, except nodes with a fault.
func anywhere(nodes []config.Node) object {
	tolerations := []object{}
	for _, n := range nodes {
		for _, t := range n.Taints {
			tolerations = append(tolerations, object{"key": t.Key, "operator": "Equal", "value": t.Value, "effect": t.Effect})
		}
	}
	return object{"tolerations": tolerations}
}

// image returns the image of a running pod of kube-system, so that checks need no image of their own. The nodes have
// it, or can get it from the same source.
func (r *run) image(ctx context.Context, label, containerName string) (string, error) {
	var pods list[pod]
	if err := r.api.get(ctx, "/api/v1/namespaces/kube-system/pods?labelSelector="+url.QueryEscape(label),
		&pods); err != nil {
		return "", err
	}
	for _, p := range pods.Items {
		for _, c := range p.Spec.Containers {
			if c.Name == containerName {
				return c.Image, nil
			}
		}
	}
	return "", fmt.Errorf("no pod %s in kube-system", label)
}

// podReady waits until a pod is Ready. It returns what is wrong if the pod is not Ready by the deadline.
func (s scratch) podReady(ctx context.Context, name string, deadline time.Time) (fault string, err error) {
	for {
		var p pod
		if err := s.api.get(ctx, "/api/v1/namespaces/"+s.namespace+"/pods/"+name, &p); err != nil {
			return "", err
		}
		fault := podFault(p)
		switch {
		case p.Status.Phase == "Running" && fault == "":
			return "", nil
		case p.Status.Phase == "Failed" || p.Status.Phase == "Succeeded" || !s.Now().Before(deadline):
			if fault == "" {
				fault = "it is " + p.Status.Phase
			}
			return strings.TrimSpace(fault + " " + p.Status.Message), nil
		}
		if err := s.pause(ctx, time.Second); err != nil {
			return "", err
		}
	}
}
