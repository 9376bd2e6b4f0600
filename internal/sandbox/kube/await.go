package kube

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// awaited returns the answer of the provider after its wait for an object to become ready.
func (p *Provider) awaited(kindName, id string, r *engine.Request) (engine.Answer, error) {
	c := p.cluster
	o := c.Find("k8s/"+kindName, id)
	metadata := props.Clone(r.Inputs.Object("metadata"))
	metadata["uid"] = fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(id)))
	got := engine.Answer{ID: strings.TrimPrefix(id, "/"), Outputs: props.Map{"metadata": map[string]any(metadata)}}
	annotations := r.Inputs.Object("metadata").Object("annotations")
	if annotations["pulumi.com/skipAwait"] == "true" {
		return got, nil
	}
	var why error
	switch kindName {
	case "Ingress", "Service":
		if !isBalanced(o) {
			break
		}
		if hostname := o.State.Str("hostname"); hostname != "" {
			got.Outputs["status"] = map[string]any{"loadBalancer": map[string]any{
				"ingress": []any{map[string]any{"hostname": hostname}}}}
			break
		}
		why = fmt.Errorf("its load balancer: %w", orGone(c.alive(loadBalancerChart)))
	case "RabbitmqCluster", "Cluster":
		chart := definedBy(kindName)
		if why = c.alive(chart); why == nil {
			why = c.podsReady(o)
		}
	case "Deployment", "StatefulSet", "DaemonSet", "Job":
		why = c.podsReady(o)
	}
	if why != nil {
		return got, &engine.NotReady{Reason: fmt.Sprintf("%s %s exists but timed out waiting to be ready: %v", kindName,
			got.ID, why)}
	}
	return got, nil
}

func orGone(err error) error {
	if err == nil {
		return errors.New("nothing is wrong")
	}
	return err
}

// podsReady returns the reason why the pods of an object or release do not run (no node, or a missing volume), or nil.
func (c *Cluster) podsReady(owner *store.Object) error {
	if err := c.schedulable(); err != nil {
		return err
	}
	for _, pvc := range c.All("k8s/" + claimKind) {
		if pvc.Str("by") != store.Key(owner.Type, owner.ID) || pvc.Str("volume") != "" {
			continue
		}
		if (volumes{c}).storageClass(pvc.Str("class")) == nil {
			return fmt.Errorf("claim %s is pending: there is no storage class %q", pvc.ID, pvc.Str("class"))
		}
		if err := c.alive(csiChart); err != nil {
			return fmt.Errorf("claim %s is pending: %w", pvc.ID, err)
		}
	}
	return nil
}

func releaseOutputs(release *store.Object) props.Map {
	namespace, name, _ := strings.Cut(release.ID, "/")
	return props.Map{
		"name": name, "namespace": namespace, "resourceNames": map[string]any{},
		"status": map[string]any{
			"status": releaseStatus(release), "name": name, "namespace": namespace, "revision": 1, "chart": chartOf(release),
			"version": release.Inputs.Str("version"),
		},
	}
}
