package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The model of the cluster, as far as it affects the account: nodes, objects, and controllers that work while their pods
// run. Its objects have the types "k8s/<Kind>" and the ids "<namespace>/<name>". They are stored in etcd on the control
// plane: terminating that instance removes them.

const (
	// hostType is the content of a machine's disk, clusterType the cluster of a control plane.
	hostType    = "host/machine"
	clusterType = "host/cluster"
	releaseKind = "Release"
	claimKind   = "PersistentVolumeClaim"
	volumeKind  = "PersistentVolume"
)

// api returns the control-plane machine when the API answers.
func (a *account) api() (*object, error) {
	cluster := a.find(clusterType, "cluster")
	if cluster == nil {
		return nil, errors.New("the Kubernetes API does not answer: no control plane was initialised")
	}
	machine := a.find(instanceType, cluster.str("controlPlane"))
	if machine == nil {
		return nil, errors.New("the Kubernetes API does not answer: the control plane's instance is gone")
	}
	if machine.stopped() {
		return nil, errors.New("the Kubernetes API does not answer: the control plane's instance is stopped")
	}
	if cluster.State.flag("dead") {
		return nil, errors.New("the Kubernetes API does not answer: connection refused")
	}
	return machine, nil
}

// kube finds an object of the cluster.
func (a *account) kube(kind, namespace, name string) *object {
	return a.find("k8s/"+kind, namespace+"/"+name)
}

// instanceTerminated removes what ends with a machine: its disk and, for the control plane, the cluster.
func instanceTerminated(c *awsCall) {
	if o := c.find(hostType, c.object.ID); o != nil {
		c.remove(o)
	}
	cluster := c.find(clusterType, "cluster")
	switch {
	case cluster == nil:
		// On a backend the cluster is real: a snapshot restores its objects while another machine is left.
		if len(c.where(func(o *object) bool { return o.Type == instanceType && o.ID != c.object.ID })) > 0 {
			return
		}
	case cluster.str("controlPlane") != c.object.ID:
		return
	default:
		c.remove(cluster)
	}
	for _, o := range c.where(func(o *object) bool { return strings.HasPrefix(o.Type, "k8s/") }) {
		c.remove(o)
	}
}

// release returns an installed release of a chart, or nil.
func (a *account) release(chart string) *object {
	for _, r := range a.all("k8s/" + releaseKind) {
		if chartOf(r) == chart {
			return r
		}
	}
	return nil
}

// alive returns the reason why the controller of a chart cannot work, or nil. It must be installed and running, on a host
// that reaches AWS and has a role with the permission.
func (a *account) alive(name string) error {
	release := a.release(name)
	if release == nil {
		return fmt.Errorf("%s is not installed", name)
	}
	if release.State.flag("dead") {
		return fmt.Errorf("the pods of %s are not running", name)
	}
	machine, err := a.api()
	if err != nil {
		return err
	}
	if action := charts[name].action; action != "" {
		if err := a.hasInternet(machine); err != nil {
			return fmt.Errorf("%s cannot reach AWS: %w", name, err)
		}
		if !a.permits(machine, action) {
			return fmt.Errorf("%s is not authorized to perform %s", name, action)
		}
	}
	return nil
}

// setRulePriorities is the one action of the controllers that comes without any condition key: a statement with a condition denies it.
const setRulePriorities = "elasticloadbalancing:SetRulePriorities"

// permits reports whether the role of a machine allows an action.
func (a *account) permits(machine *object, wanted string) bool {
	role := ""
	for _, profile := range a.all(profileType) {
		if profile.str("name") == machine.Inputs.str("iamInstanceProfile") {
			role = profile.str("role")
		}
	}
	var documents []string
	for _, o := range a.where(func(o *object) bool { return strings.HasPrefix(o.Type, "aws:iam/rolePolicy") }) {
		if role == "" || o.Inputs.str("role") != role {
			continue
		}
		documents = append(documents, o.Inputs.str("policy"))
	}
	for _, text := range documents {
		var doc struct{ Statement []map[string]any }
		if json.Unmarshal([]byte(text), &doc) != nil {
			continue
		}
		for _, s := range doc.Statement {
			for _, pattern := range values(s).strings("Action") {
				if s["Effect"] == "Allow" && matches(pattern, wanted) && (s["Condition"] == nil || wanted != setRulePriorities) {
					return true
				}
			}
		}
	}
	return false
}

// matches compares an IAM action pattern with * in it.
func matches(pattern, action string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(action, parts[0]) {
		return false
	}
	rest := action[len(parts[0]):]
	for i, part := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(rest, part)
		}
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return rest == ""
}

// notReady returns the reason why a node is not Ready, or "".
func (a *account) notReady(name string) string {
	node := a.kube("Node", "", name)
	if node == nil {
		return "it did not join"
	}
	machine := a.find(instanceType, node.str("instance"))
	if machine == nil {
		return "its instance is gone"
	}
	if machine.stopped() {
		return "its instance is stopped"
	}
	if a.release(calicoChart) == nil && a.ownNetwork() {
		return "container runtime network not ready: cni plugin not initialized"
	}
	for _, other := range a.all("k8s/Node") {
		peer := a.find(instanceType, other.str("instance"))
		if peer == nil || peer.ID == machine.ID {
			continue
		}
		if err := a.reaches(peer, machine, "udp", 4789); err != nil {
			return "pod network: " + err.Error()
		}
	}
	if err := a.alive(ccmChart); err != nil {
		return "taint node.cloudprovider.kubernetes.io/uninitialized: " + err.Error()
	}
	return ""
}

// ownNetwork reports whether the stack installs a CNI. With cni: none users install their own.
func (a *account) ownNetwork() bool { return a.release("crd.projectcalico.org.v1") != nil }

// schedulable returns the reason why no pod can run, or nil.
func (a *account) schedulable() error {
	var reasons []string
	for _, node := range a.all("k8s/Node") {
		name := node.str("name")
		why := a.notReady(name)
		if why == "" && node.State.flag("unconfigured") {
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
func (a *account) reconcile() {
	if a.alive(argoChart) == nil {
		a.reconcileApplications()
	}
	if a.alive(rabbitChart) == nil {
		for _, cr := range a.all("k8s/RabbitmqCluster") {
			if cr.State.flag("deleting") {
				a.removeWithClaims(cr)
			} else {
				a.claim(cr, "persistence-"+cr.str("metadata.name")+"-server-0", cr.str("spec.persistence.storageClassName"), true)
			}
		}
	}
	if a.alive(postgresChart) == nil {
		for _, cr := range a.all("k8s/Cluster") {
			a.claim(cr, cr.str("metadata.name")+"-1", cr.str("spec.storage.storageClass"), true)
		}
		for _, o := range a.where(func(o *object) bool { return o.State.flag("deleting") && a.finalizer(o) == postgresChart }) {
			a.remove(o)
		}
	}
	if a.alive(csiChart) == nil {
		a.reconcileVolumes()
	}
	if a.alive(loadBalancerChart) == nil {
		a.reconcileLoadBalancers()
	}
}

func (a *account) reconcileApplications() {
	for _, app := range a.all("k8s/Application") {
		if !app.State.flag("deleting") {
			a.restore(app)
			continue
		}
		for _, o := range a.ownedBy(app) {
			if !o.State.flag("deleting") { // kubeDelete calls reconcile, which comes here before the first deletion has ended
				_ = a.kubeDelete(o) // an object that waits for its own finalizer keeps the Application waiting
			}
		}
		if len(a.ownedBy(app)) == 0 {
			a.remove(app)
		}
	}
}

// restore creates the Ingress of an Application again after another client removed it, as Argo CD does with selfHeal.
func (a *account) restore(app *object) {
	namespace, name, found := strings.Cut(app.Inputs.str("spec.ingress"), "/")
	if !found || !a.namespaceExists(namespace) || a.kube("Ingress", namespace, name) != nil {
		return
	}
	a.put(&object{
		Type: "k8s/Ingress", ID: namespace + "/" + name, State: values{"owner": objectKey(app.Type, app.ID)},
		Inputs: values{
			"metadata": map[string]any{"name": name, "namespace": namespace},
			"spec":     map[string]any{"ingressClassName": "alb"},
		},
	})
}

func (a *account) ownedBy(owner *object) []*object {
	return a.where(func(o *object) bool { return o.State.str("owner") == objectKey(owner.Type, owner.ID) })
}

// clusterName is the name in the controllers' tags, taken from the tag of the control-plane instance.
func (a *account) clusterName() string {
	if cluster := a.find(clusterType, "cluster"); cluster != nil {
		if machine := a.find(instanceType, cluster.str("controlPlane")); machine != nil {
			for _, key := range clusterTags(machine.tags()) {
				return strings.TrimPrefix(key, clusterTag)
			}
		}
	}
	return ""
}
