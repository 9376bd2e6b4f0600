package kube

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// finalizer returns the chart whose controller must remove the finalizer of an object, or "".
func (c *Cluster) finalizer(o *store.Object) string {
	kind := strings.TrimPrefix(o.Type, "k8s/")
	switch {
	case kind == "Ingress" || kind == "Service":
		if o.State.Str("hostname") != "" { // the controller adds its finalizer when it takes the object up
			return loadBalancerChart
		}
		return ""
	case kind == "Application" && len(o.Inputs.Object("metadata").List("finalizers")) == 0:
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		if slices.Contains(charts[name].Finalizes, kind) {
			return name
		}
	}
	return ""
}

// collectable returns the reason why the garbage collector cannot finish a deletion in the foreground, or nil. The
// collector has to update the object, which fails when the server of its webhook is dead. The provider deletes in the
// foreground by default.
func (c *Cluster) collectable(o *store.Object) error {
	if o.Inputs.Object("metadata").Object("annotations")["pulumi.com/deletionPropagationPolicy"] == "background" {
		return nil
	}
	if err := c.admit(strings.TrimPrefix(o.Type, "k8s/")); err != nil {
		return fmt.Errorf("timed out waiting for %s to be gone: the finalizer foregroundDeletion stays: %w", o.Title(), err)
	}
	return nil
}

// delete deletes an object and reconciles. An object whose finalizer is not removed stays, marked as deleting, and the
// error names what it waits for.
func (c *Cluster) delete(o *store.Object) error {
	by := c.finalizer(o)
	if by != "" {
		c.Change(o, func(_, state props.Map) { state["deleting"] = true })
	} else {
		c.removeWithClaims(o)
	}
	c.reconcile()
	if by != "" && c.Find(o.Type, o.ID) != nil {
		why := c.alive(by)
		if why == nil {
			why = errors.New("what it owns is still there")
		}
		return fmt.Errorf("timed out waiting for %s to be gone: its finalizer waits for %s: %w", o.Title(), by, why)
	}
	return nil
}

// removeWithClaims removes an object and then the claims that it owns, in the order of the garbage collector: a claim
// whose owner is gone is not created again. Objects that an Application deployed have no owner reference and stay.
func (c *Cluster) removeWithClaims(o *store.Object) {
	c.Remove(o)
	if o.Type == "k8s/Application" {
		return
	}
	for _, owned := range c.ownedBy(o) {
		_ = c.delete(owned) // claims have no finalizer that outlives their pods
	}
}

// deleteNamespace deletes the objects inside first. Helm's records of releases are among them, because they are
// Secrets. A dead APIService blocks the deletion of every namespace.
func (c *Cluster) deleteNamespace(namespace *store.Object) error {
	for _, r := range c.All("k8s/" + releaseKind) {
		if charts[chartOf(r)].Aggregates && r.State.Flag("dead") {
			return fmt.Errorf("timed out waiting for %s to be gone: discovery failed: the APIService of %s does not answer",
				namespace.Title(), chartOf(r))
		}
	}
	name := strings.TrimPrefix(namespace.ID, "/")
	for _, o := range c.Where(func(o *store.Object) bool {
		return strings.HasPrefix(o.Type, "k8s/") && strings.HasPrefix(o.ID, name+"/")
	}) {
		if c.Find(o.Type, o.ID) == nil {
			continue
		}
		if o.Type == "k8s/"+releaseKind {
			c.Remove(o)
			continue
		}
		if err := c.delete(o); err != nil {
			return fmt.Errorf("timed out waiting for %s to be gone: %w", namespace.Title(), err)
		}
	}
	c.Remove(namespace)
	return nil
}
