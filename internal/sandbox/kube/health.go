package kube

import (
	"time"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// Keys of a node's state.
const (
	// kubeletStopped is the time since which the kubelet does not report.
	kubeletStopped = "kubeletStopped"
	// keptPod describes a pod that could not run elsewhere.
	keptPod = "keptPod"
)

// NodeHealth is what the API of the model says about a node.
type NodeHealth struct {
	Name, Instance string
	// NotReady is the reason why it is not Ready, or "". Since is when that began, or zero.
	NotReady string
	Since    time.Time
	// Drained reports whether an upgrade has drained it. Kept describes a pod that could not run elsewhere.
	Drained bool
	Kept    string
}

// Nodes are the nodes of a cluster, as their kubelets and an administrator see them. It acts on the simulation only.
type Nodes struct{ cluster *Cluster }

// NewNodes returns the nodes of a cluster.
func NewNodes(c *Cluster) Nodes { return Nodes{c} }

// Health returns the health of every node. It returns nil when the API does not answer.
func (u Nodes) Health() []NodeHealth {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	if _, err := c.api(); err != nil {
		return nil
	}
	var all []NodeHealth
	for _, node := range c.All("k8s/Node") {
		h := NodeHealth{Name: node.Str("name"), Instance: node.Str("instance"), NotReady: c.notReady(node.Str("name")),
			Drained: node.Str("drained") != "", Kept: node.State.Str(keptPod)}
		h.Since, _ = time.Parse(time.RFC3339, node.State.Str(kubeletStopped))
		all = append(all, h)
	}
	return all
}

// StopKubelet makes a node NotReady since a time. Its machine runs on.
func (u Nodes) StopKubelet(node string, since time.Time) error {
	return u.setNode(node, kubeletStopped, since.Format(time.RFC3339))
}

// StartKubelet undoes StopKubelet.
func (u Nodes) StartKubelet(node string) error { return u.setNode(node, kubeletStopped, "") }

// KeepPod puts a pod that could not run elsewhere on a node.
func (u Nodes) KeepPod(node, description string) error { return u.setNode(node, keptPod, description) }

func (u Nodes) setNode(name, key, value string) error {
	return Admin(u).mark("a node "+name, func(c *Cluster) *store.Object { return c.object("Node", "", name) },
		func(state props.Map) { state[key] = value })
}

// ConfigMap returns the content of an object that PutConfigMap stored, or "".
func (u Nodes) ConfigMap(namespace, name string) string {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	if found := c.object("ConfigMap", namespace, name); found != nil {
		return found.State.Str("content")
	}
	return ""
}

// PutConfigMap stores an object with a content. It is lost with the cluster.
func (u Nodes) PutConfigMap(namespace, name, content string) error {
	c := u.cluster
	c.Lock()
	defer c.Unlock()
	if _, err := c.api(); err != nil {
		return err
	}
	c.Put(&store.Object{Type: "k8s/ConfigMap", ID: namespace + "/" + name,
		Inputs: props.Map{"metadata": map[string]any{"name": name, "namespace": namespace}},
		State:  props.Map{"content": content}})
	return nil
}
