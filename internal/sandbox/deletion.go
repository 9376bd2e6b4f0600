package sandbox

import (
	"errors"
	"fmt"
	"strings"
)

// finalizer names the chart whose controller must let an object go, or "".
func (a *account) finalizer(o *object) string {
	kind := strings.TrimPrefix(o.Type, "k8s/")
	switch {
	case kind == "Ingress" || kind == "Service":
		if o.State.str("hostname") != "" { // the controller adds its finalizer when it takes the object up
			return loadBalancerChart
		}
		return ""
	case kind == "Application" && len(o.Inputs.object("metadata").list("finalizers")) == 0:
		return ""
	}
	for _, name := range sortedKeys(charts) {
		if contains(charts[name].finalizes, kind) {
			return name
		}
	}
	return ""
}

// collectable says why the garbage collector cannot finish a deletion in the foreground, or nil: it has to update the
// object, which a webhook whose server is dead refuses. The provider deletes in the foreground unless told otherwise.
func (a *account) collectable(o *object) error {
	if o.Inputs.object("metadata").object("annotations")["pulumi.com/deletionPropagationPolicy"] == "background" {
		return nil
	}
	if err := a.admit(strings.TrimPrefix(o.Type, "k8s/")); err != nil {
		return fmt.Errorf("timed out waiting for %s to be gone: the finalizer foregroundDeletion stays: %w", o.title(), err)
	}
	return nil
}

// kubeDelete deletes an object and lets the controllers work. An object whose finalizer nobody removes stays, marked,
// and the error says what it waits for.
func (a *account) kubeDelete(o *object) error {
	by := a.finalizer(o)
	if by != "" {
		a.change(o, func(_, state values) { state["deleting"] = true })
	} else {
		a.removeWithClaims(o)
	}
	a.settle()
	if by != "" && a.find(o.Type, o.ID) != nil {
		why := a.alive(by)
		if why == nil {
			why = errors.New("what it owns is still there")
		}
		return fmt.Errorf("timed out waiting for %s to be gone: its finalizer waits for %s: %w", o.title(), by, why)
	}
	return nil
}

// removeWithClaims removes an object and the claims that it owns, in the order of the garbage collector: nobody makes the
// claims anew for an owner that is gone. What an Application deployed has no owner in this sense: it stays.
func (a *account) removeWithClaims(o *object) {
	a.remove(o)
	if o.Type == "k8s/Application" {
		return
	}
	for _, owned := range a.ownedBy(o) {
		_ = a.kubeDelete(owned) // claims have no finalizer that outlives their pods
	}
}

// deleteNamespace deletes what is inside first, Helm's records of releases included: they are Secrets. A dead APIService
// keeps every namespace from going away.
func (a *account) deleteNamespace(namespace *object) error {
	for _, r := range a.all("k8s/" + releaseKind) {
		if charts[chartOf(r)].aggregates && r.State.flag("dead") {
			return fmt.Errorf("timed out waiting for %s to be gone: discovery failed: the APIService of %s does not answer", namespace.title(), chartOf(r))
		}
	}
	name := strings.TrimPrefix(namespace.ID, "/")
	for _, o := range a.where(func(o *object) bool {
		return strings.HasPrefix(o.Type, "k8s/") && strings.HasPrefix(o.ID, name+"/")
	}) {
		if a.find(o.Type, o.ID) == nil {
			continue
		}
		if o.Type == "k8s/"+releaseKind {
			a.remove(o)
			continue
		}
		if err := a.kubeDelete(o); err != nil {
			return fmt.Errorf("timed out waiting for %s to be gone: %w", namespace.title(), err)
		}
	}
	a.remove(namespace)
	return nil
}
