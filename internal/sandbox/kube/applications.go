package kube

import (
	"strings"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// reconcileApplications does the work of Argo CD.
func reconcileApplications(c *Cluster) {
	for _, app := range c.All("k8s/Application") {
		if !app.State.Flag("deleting") {
			restore(c, app)
			continue
		}
		for _, o := range c.ownedBy(app) {
			if !o.State.Flag("deleting") { // kubeDelete calls reconcile, which comes here before the first deletion has ended
				_ = c.delete(o) // while an object waits for its own finalizer, the Application stays
			}
		}
		if len(c.ownedBy(app)) == 0 {
			c.Remove(app)
		}
	}
}

// restore creates the Ingress of an Application again after another client removed it, as Argo CD does with selfHeal.
func restore(c *Cluster, app *store.Object) {
	namespace, name, found := strings.Cut(app.Inputs.Str("spec.ingress"), "/")
	if !found || !c.namespaceExists(namespace) || c.object("Ingress", namespace, name) != nil {
		return
	}
	c.Put(&store.Object{
		Type: "k8s/Ingress", ID: namespace + "/" + name, State: props.Map{"owner": store.Key(app.Type, app.ID)},
		Inputs: props.Map{
			"metadata": map[string]any{"name": name, "namespace": namespace},
			"spec":     map[string]any{"ingressClassName": "alb"},
		},
	})
}
