package kube

import (
	"fmt"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// Admin makes the changes that users, GitOps and failures make in the cluster, outside Pulumi. They act on the
// simulation only, not on a Backend.
type Admin struct{ cluster *Cluster }

// NewAdmin returns the admin of a cluster.
func NewAdmin(c *Cluster) Admin { return Admin{c} }

// CreateIngress is a user's `kubectl apply` of an Ingress of class alb. A running load balancer controller
// makes a load balancer, a target group, a security group and a rule in the nodes' group.
func (u Admin) CreateIngress(namespace, name string) error {
	return u.kubectl("Ingress", namespace, name, props.Map{"spec": map[string]any{"ingressClassName": "alb"}}, "")
}

// CreateLoadBalancerService is a user's Service of type LoadBalancer.
func (u Admin) CreateLoadBalancerService(namespace, name string) error {
	return u.kubectl("Service", namespace, name, props.Map{"spec": map[string]any{"type": "LoadBalancer"}}, "")
}

// CreatePVC is a user's claim of the default storage class. A running EBS CSI driver makes a volume.
func (u Admin) CreatePVC(namespace, name string) error {
	return u.kubectl(claimKind, namespace, name, props.Map{}, "")
}

// ApplyIngressByArgo creates an Application of Argo CD, with the finalizer that cascades, and an Ingress that it
// manages and restores.
func (u Admin) ApplyIngressByArgo(namespace, name string) error {
	app := props.Map{
		"metadata": map[string]any{
			"name": name, "namespace": "argocd", "finalizers": []any{"resources-finalizer.argocd.argoproj.io"},
		},
		"spec": map[string]any{"ingress": namespace + "/" + name},
	}
	if err := u.kubectl("Ingress", namespace, name, props.Map{"spec": map[string]any{"ingressClassName": "alb"}},
		store.Key("k8s/Application", "argocd/"+name)); err != nil {
		return err
	}
	return u.kubectl("Application", "argocd", name, app, "")
}

// kubectl applies one object as a user with a kubeconfig would.
func (u Admin) kubectl(kind, namespace, name string, in props.Map, owner string) error {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	if _, err := c.api(); err != nil {
		return err
	}
	if err := c.admit(kind); err != nil {
		return err
	}
	if !c.namespaceExists(namespace) {
		c.Put(&store.Object{Type: "k8s/Namespace", ID: "/" + namespace,
			Inputs: props.Map{"metadata": map[string]any{"name": namespace}}, State: props.Map{}})
	}
	if !in.Has("metadata") {
		in["metadata"] = map[string]any{"name": name, "namespace": namespace}
	}
	state := props.Map{}
	if owner != "" {
		state["owner"] = owner
	}
	c.Put(&store.Object{Type: "k8s/" + kind, ID: namespace + "/" + name, Inputs: in, State: state})
	c.reconcile()
	return nil
}

// KillController stops the pods of the release of a chart, such as "aws-load-balancer-controller", without removing it.
func (u Admin) KillController(chart string) error { return u.setRelease(chart, true) }

// ReviveController starts the pods again. The controller then reconciles the changes since it stopped.
func (u Admin) ReviveController(chart string) error { return u.setRelease(chart, false) }

func (u Admin) setRelease(chart string, dead bool) error {
	return u.mark("a release of "+chart, func(c *Cluster) *store.Object { return c.release(chart) },
		func(state props.Map) { state["dead"] = dead })
}

// mark changes the state of an object and reconciles.
func (u Admin) mark(what string, find func(*Cluster) *store.Object, edit func(state props.Map)) error {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	found := find(c)
	if found == nil {
		return fmt.Errorf("%s: %w", what, aws.ErrNotFound)
	}
	c.Change(found, func(_, state props.Map) { edit(state) })
	c.reconcile()
	return nil
}

// CutInstall leaves the release of a chart as an interrupted helm install does: Helm refuses to upgrade it.
func (u Admin) CutInstall(chart string) error { return u.interrupt(chart, "pending-install") }

// CutUpgrade leaves the release as an interrupted helm upgrade does.
func (u Admin) CutUpgrade(chart string) error { return u.interrupt(chart, "pending-upgrade") }

// CutUninstall leaves the release as an interrupted helm uninstall does: some objects are removed, the record is not.
func (u Admin) CutUninstall(chart string) error { return u.interrupt(chart, "uninstalling") }

func (u Admin) interrupt(chart, status string) error {
	return u.mark("a release of "+chart, func(c *Cluster) *store.Object { return c.release(chart) },
		func(state props.Map) { state["status"] = status })
}

// KillAPI makes the Kubernetes API refuse connections, as a full disk under etcd does. The host still answers.
func (u Admin) KillAPI() error { return u.setAPI(true) }

// ReviveAPI undoes KillAPI.
func (u Admin) ReviveAPI() error { return u.setAPI(false) }

func (u Admin) setAPI(dead bool) error {
	return u.mark("a cluster", func(c *Cluster) *store.Object { return c.Find(clusterType, "cluster") },
		func(state props.Map) { state["dead"] = dead })
}

// DeleteHelmRecords deletes Helm's record of a release, or of its interrupted upgrade only. Its objects stay.
// DeleteHelmRecords reports whether there was such a record.
func (u Admin) DeleteHelmRecords(namespace, name string, pendingUpgrade bool) bool {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	release := c.Find("k8s/"+releaseKind, namespace+"/"+name)
	if release == nil || release.State.Flag("recordless") {
		return false
	}
	pending := releaseStatus(release) == "pending-upgrade"
	if pendingUpgrade && !pending {
		return false
	}
	c.Change(release, func(_, state props.Map) {
		delete(state, "status")
		if !pendingUpgrade {
			state["recordless"] = true
		}
	})
	return true
}

// APIAnswers reports whether a client on the internet reaches the Kubernetes API at its Elastic IP. It is false
// without a cluster.
func (u Admin) APIAnswers() bool {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	machine, err := c.api()
	if err != nil {
		return false
	}
	return c.HasElasticIP(machine) && c.ReachableFromOutside(machine, 6443) == nil
}

// APIRefuses reports whether the machine of the control plane answers a client on the internet and its API server
// does not.
func (u Admin) APIRefuses() bool {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	cluster := c.Find(clusterType, "cluster")
	if cluster == nil {
		return false
	}
	machine := c.Find(aws.InstanceType, cluster.Str("controlPlane"))
	return machine != nil && !aws.IsStopped(machine) && c.HasElasticIP(machine) &&
		c.ReachableFromOutside(machine, 6443) == nil &&
		cluster.State.Flag("dead")
}

// NotReady returns a text for each node that is not Ready, such as "worker-1 is not Ready: its instance is stopped". It
// returns nil when the API does not answer.
func (u Admin) NotReady() []string {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	if _, err := c.api(); err != nil {
		return nil
	}
	var all []string
	for _, node := range c.All("k8s/Node") {
		if why := c.notReady(node.Str("name")); why != "" {
			all = append(all, node.Str("name")+" is not Ready: "+why)
		}
	}
	return all
}
