// Package kube is a model of a Kubernetes cluster on the instances of an account: its objects, its controllers, Helm,
// and the steps that run on its machines.
package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/aws"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// The model has the parts of a cluster that affect the account: nodes, objects, and controllers that work while their
// pods run. Its objects have the types "k8s/<Kind>" and the ids "<namespace>/<name>". They are stored in etcd on the
// control plane: terminating that instance removes them.

const (
	// hostType is the content of a machine's disk, clusterType the cluster of a control plane.
	hostType    = "host/machine"
	clusterType = "host/cluster"
	releaseKind = "Release"
	claimKind   = "PersistentVolumeClaim"
	volumeKind  = "PersistentVolume"
)

// Cluster is the cluster of an account.
type Cluster struct{ *aws.Account }

// NewCluster returns the cluster on the instances of an account. The cluster is lost with its control plane.
func NewCluster(a *aws.Account) *Cluster {
	c := &Cluster{a}
	a.Terminated = c.instanceTerminated
	return c
}

// api returns the control-plane machine when the API answers.
func (c *Cluster) api() (*store.Object, error) {
	cluster := c.Find(clusterType, "cluster")
	if cluster == nil {
		return nil, errors.New("the Kubernetes API does not answer: no control plane was initialised")
	}
	machine, err := majority(c, cluster, "")
	if err == nil && cluster.State.Flag("dead") {
		err = errors.New("connection refused")
	}
	if err != nil {
		return nil, fmt.Errorf("the Kubernetes API does not answer: %w", err)
	}
	return machine, nil
}

// object finds an object of the cluster.
func (c *Cluster) object(kind, namespace, name string) *store.Object {
	return c.Find("k8s/"+kind, namespace+"/"+name)
}

// instanceTerminated removes what ends with a machine: its disk and, for the control plane, the cluster.
func (c *Cluster) instanceTerminated(instance *store.Object) {
	if o := c.Find(hostType, instance.ID); o != nil {
		c.Remove(o)
	}
	cluster := c.Find(clusterType, "cluster")
	switch {
	case cluster == nil:
		// On a backend the cluster is real, so the account has no object for it. While another machine exists, a snapshot
		// can still restore the objects.
		if len(c.Where(func(o *store.Object) bool { return o.Type == aws.InstanceType && o.ID != instance.ID })) > 0 {
			return
		}
	case !slices.Contains(members(cluster), instance.ID):
		return
	default:
		if machine, _ := majority(c, cluster, instance.ID); machine != nil {
			c.Change(cluster, func(_, state props.Map) { state["controlPlane"] = machine.ID })
			return
		}
		c.Remove(cluster)
	}
	c.clusterLost(instance.ID, cluster)
}

// release returns an installed release of a chart, or nil.
func (c *Cluster) release(chart string) *store.Object {
	for _, r := range c.All("k8s/" + releaseKind) {
		if chartOf(r) == chart {
			return r
		}
	}
	return nil
}

// alive returns the reason why the controller of a chart cannot work, or nil. It must be installed and running, on a
// host that reaches AWS and has a role with the permission.
func (c *Cluster) alive(name string) error {
	release := c.release(name)
	if release == nil {
		return fmt.Errorf("%s is not installed", name)
	}
	if release.State.Flag("dead") {
		return fmt.Errorf("the pods of %s are not running", name)
	}
	machine, err := c.api()
	if err != nil {
		return err
	}
	if action := charts[name].Action; action != "" {
		if err := c.HasInternet(machine); err != nil {
			return fmt.Errorf("%s cannot reach AWS: %w", name, err)
		}
		if !authorized(c.Account, release, machine, action) {
			return fmt.Errorf("%s is not authorized to perform %s", name, action)
		}
	}
	return nil
}

// notReady returns the reason why a node is not Ready, or "".
func (c *Cluster) notReady(name string) string {
	node := c.object("Node", "", name)
	if node == nil {
		return "it did not join"
	}
	machine := c.Find(aws.InstanceType, node.Str("instance"))
	if machine == nil {
		return "its instance is gone"
	}
	if aws.IsStopped(machine) {
		return "its instance is stopped"
	}
	if since := node.State.Str(kubeletStopped); since != "" {
		return "Kubelet stopped posting node status."
	}
	if c.release(calicoChart) == nil && hasOwnNetwork(c) {
		return "container runtime network not ready: cni plugin not initialized"
	}
	for _, other := range c.All("k8s/Node") {
		peer := c.Find(aws.InstanceType, other.Str("instance"))
		if peer == nil || peer.ID == machine.ID {
			continue
		}
		if err := c.Reaches(peer, machine, "udp", 4789); err != nil {
			return "pod network: " + err.Error()
		}
	}
	if err := c.alive(ccmChart); err != nil {
		return "taint node.cloudprovider.kubernetes.io/uninitialized: " + err.Error()
	}
	return ""
}

// hasOwnNetwork reports whether the stack installs a CNI. With cni: none users install their own.
func hasOwnNetwork(c *Cluster) bool { return c.release("crd.projectcalico.org.v1") != nil }

// schedulable returns the reason why no pod can run, or nil.
func (c *Cluster) schedulable() error {
	var reasons []string
	for _, node := range c.All("k8s/Node") {
		name := node.Str("name")
		why := c.notReady(name)
		if why == "" && node.State.Flag("unconfigured") {
			why = "taint kubeadm-aws/unconfigured"
		}
		if why == "" {
			return nil
		}
		reasons = append(reasons, name+": "+why)
	}
	return fmt.Errorf("no node takes pods: %s", strings.Join(reasons, "; "))
}

// reconcile does the work of every running controller.
func (c *Cluster) reconcile() {
	if c.alive(argoChart) == nil {
		reconcileApplications(c)
	}
	if c.alive(rabbitChart) == nil {
		for _, cr := range c.All("k8s/RabbitmqCluster") {
			if cr.State.Flag("deleting") {
				c.removeWithClaims(cr)
			} else {
				volumes{c}.claim(cr, "persistence-"+cr.Str("metadata.name")+"-server-0",
					cr.Str("spec.persistence.storageClassName"), true)
			}
		}
	}
	if c.alive(postgresChart) == nil {
		for _, cr := range c.All("k8s/Cluster") {
			volumes{c}.claim(cr, cr.Str("metadata.name")+"-1", cr.Str("spec.storage.storageClass"), true)
		}
		for _, o := range c.Where(func(o *store.Object) bool {
			return o.State.Flag("deleting") &&
				c.finalizer(o) == postgresChart
		}) {
			c.Remove(o)
		}
	}
	if c.alive(csiChart) == nil {
		volumes{c}.reconcile()
	}
	if c.alive(loadBalancerChart) == nil {
		balancers{c}.reconcile()
	}
}

// ownedBy returns the objects that an object owns.
func (c *Cluster) ownedBy(owner *store.Object) []*store.Object {
	return c.Where(func(o *store.Object) bool { return o.State.Str("owner") == store.Key(owner.Type, owner.ID) })
}

// clusterName returns the name in the controllers' tags, taken from the tag of the control-plane instance.
func (c *Cluster) clusterName() string {
	if cluster := c.Find(clusterType, "cluster"); cluster != nil {
		if machine := c.Find(aws.InstanceType, cluster.Str("controlPlane")); machine != nil {
			for _, key := range aws.ClusterTags(machine.Tags()) {
				return strings.TrimPrefix(key, aws.ClusterTag)
			}
		}
	}
	return ""
}
