package sandbox

import (
	"errors"
	"fmt"
	"strings"
)

// This file has the actions from outside Pulumi: changes that users, GitOps and failures make in the account and the
// cluster. They act on the simulation only, not on a Backend.

// errNotThere is wrapped by the error of an action whose target does not exist.
var errNotThere = errors.New("not there")

// CreateIngress is a user's `kubectl apply` of an Ingress of class alb. A running load balancer controller
// makes a load balancer, a target group, a security group and a rule in the nodes' group.
func (s *Sandbox) CreateIngress(namespace, name string) error {
	return s.kubectl("Ingress", namespace, name, values{"spec": map[string]any{"ingressClassName": "alb"}}, "")
}

// CreateLoadBalancerService is a user's Service of type LoadBalancer.
func (s *Sandbox) CreateLoadBalancerService(namespace, name string) error {
	return s.kubectl("Service", namespace, name, values{"spec": map[string]any{"type": "LoadBalancer"}}, "")
}

// CreatePVC is a user's claim of the default storage class. A running EBS CSI driver makes a volume.
func (s *Sandbox) CreatePVC(namespace, name string) error {
	return s.kubectl(claimKind, namespace, name, values{}, "")
}

// ApplyIngressByArgo is an Application of Argo CD, with the finalizer that cascades, and an Ingress that it manages and
// restores.
func (s *Sandbox) ApplyIngressByArgo(namespace, name string) error {
	app := values{
		"metadata": map[string]any{
			"name": name, "namespace": "argocd", "finalizers": []any{"resources-finalizer.argocd.argoproj.io"},
		},
		"spec": map[string]any{"ingress": namespace + "/" + name},
	}
	if err := s.kubectl("Ingress", namespace, name, values{"spec": map[string]any{"ingressClassName": "alb"}},
		objectKey("k8s/Application", "argocd/"+name)); err != nil {
		return err
	}
	return s.kubectl("Application", "argocd", name, app, "")
}

// kubectl applies one object as a user with a kubeconfig would.
func (s *Sandbox) kubectl(kind, namespace, name string, in values, owner string) error {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.api(); err != nil {
		return err
	}
	if err := a.admit(kind); err != nil {
		return err
	}
	if !a.namespaceExists(namespace) {
		a.put(&object{Type: "k8s/Namespace", ID: "/" + namespace, Inputs: values{"metadata": map[string]any{"name": namespace}}, State: values{}})
	}
	if !in.set("metadata") {
		in["metadata"] = map[string]any{"name": name, "namespace": namespace}
	}
	state := values{}
	if owner != "" {
		state["owner"] = owner
	}
	a.put(&object{Type: "k8s/" + kind, ID: namespace + "/" + name, Inputs: in, State: state})
	a.reconcile()
	return nil
}

// KillController stops the pods of the release of a chart, such as "aws-load-balancer-controller", without removing it.
func (s *Sandbox) KillController(chart string) error { return s.setRelease(chart, true) }

// ReviveController starts the pods again. The controller then reconciles the changes since it stopped.
func (s *Sandbox) ReviveController(chart string) error { return s.setRelease(chart, false) }

func (s *Sandbox) setRelease(chart string, dead bool) error {
	return s.mark("a release of "+chart, func(a *account) *object { return a.release(chart) }, func(state values) { state["dead"] = dead })
}

// mark changes the state of an object and reconciles.
func (s *Sandbox) mark(what string, find func(*account) *object, edit func(state values)) error {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	found := find(a)
	if found == nil {
		return fmt.Errorf("%s: %w", what, errNotThere)
	}
	a.change(found, func(_, state values) { edit(state) })
	a.reconcile()
	return nil
}

// CutInstall leaves the release of a chart as an interrupted helm install does: Helm refuses to upgrade it.
func (s *Sandbox) CutInstall(chart string) error { return s.interrupt(chart, "pending-install") }

// CutUpgrade leaves the release as an interrupted helm upgrade does.
func (s *Sandbox) CutUpgrade(chart string) error { return s.interrupt(chart, "pending-upgrade") }

// CutUninstall leaves the release as an interrupted helm uninstall does: some objects are removed, the record is not.
func (s *Sandbox) CutUninstall(chart string) error { return s.interrupt(chart, "uninstalling") }

func (s *Sandbox) interrupt(chart, status string) error {
	return s.mark("a release of "+chart, func(a *account) *object { return a.release(chart) },
		func(state values) { state["status"] = status })
}

// KillAPI makes the Kubernetes API refuse connections, as a full disk under etcd does. The host still answers.
func (s *Sandbox) KillAPI() error { return s.setAPI(true) }

// ReviveAPI undoes KillAPI.
func (s *Sandbox) ReviveAPI() error { return s.setAPI(false) }

func (s *Sandbox) setAPI(dead bool) error {
	return s.mark("a cluster", func(a *account) *object { return a.find(clusterType, "cluster") }, func(state values) { state["dead"] = dead })
}

// TerminateInstance ends an instance in the console, by its Name tag or by the name of its node.
func (s *Sandbox) TerminateInstance(name string) error {
	return s.onMachine(name, func(a *account, machine *object) error {
		c := &awsCall{account: a, request: &request{}, object: machine}
		c.dissolve(awsTypes[instanceType])
		return nil
	})
}

// onMachine does something to an instance, by its Name tag or the name of its node.
func (s *Sandbox) onMachine(name string, do func(a *account, machine *object) error) error {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	machine := a.machineNamed(name)
	if machine == nil {
		return fmt.Errorf("an instance %s: %w", name, errNotThere)
	}
	return do(a, machine)
}

// DisassociateAddress takes the Elastic IP away from an instance in the console, by its Name tag or the name of its node.
func (s *Sandbox) DisassociateAddress(name string) error {
	return s.onMachine(name, func(a *account, machine *object) error {
		for _, o := range a.all(eipAssociationType) {
			if o.Inputs.str("instanceId") == machine.ID {
				a.remove(o)
				return nil
			}
		}
		return fmt.Errorf("an Elastic IP of %s: %w", name, errNotThere)
	})
}

func (a *account) machineNamed(name string) *object {
	if node := a.kube("Node", "", name); node != nil {
		return a.find(instanceType, node.str("instance"))
	}
	for _, i := range a.all(instanceType) {
		if i.tags()["Name"] == name || strings.HasSuffix(i.URN, "::"+name) {
			return i
		}
	}
	return nil
}

// PutObject stores an object in a bucket, as the backup timer does.
func (s *Sandbox) PutObject(bucket, key string) error {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.find(bucketType, bucket) == nil {
		return fmt.Errorf("a bucket %s: %w", bucket, errNotThere)
	}
	a.put(&object{Type: bucketObjectType, ID: bucket + "/" + key, Inputs: values{"bucket": bucket, "key": key}, State: values{}})
	return nil
}

// PushImage stores an image in an ECR repository.
func (s *Sandbox) PushImage(repository string) error {
	return s.mark("a repository "+repository, func(a *account) *object { return a.find(repositoryType, repository) }, func(state values) {
		state["images"] = state.number("images") + 1
	})
}

// PublishImages makes the vendors' public parameters return newer machine images.
func (s *Sandbox) PublishImages(generation string) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.put(&object{Type: "host/images", ID: "generation", State: values{"value": generation}})
}

// Account describes what exists of a resource type ("aws:lb/loadBalancer:LoadBalancer") or of a kind in the cluster
// ("k8s/PersistentVolumeClaim"), one line each.
func (s *Sandbox) Account(typ string) []string {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	var out []string
	for _, o := range s.account.all(typ) {
		out = append(out, o.title())
	}
	return out
}

// CreateNamesake makes a VPC with a machine of another cluster that has the same name. It is not among the leftovers.
func (s *Sandbox) CreateNamesake(cluster, vpc, instance string) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	before := values{"before": true}
	tags := map[string]any{clusterTag + cluster: "owned"}
	s.account.put(&object{Type: vpcType, ID: vpc, Inputs: values{"cidrBlock": "10.99.0.0/16", "tags": tags}, State: before})
	s.account.put(&object{Type: subnetType, ID: "subnet-of-" + vpc, Inputs: values{"vpcId": vpc, "cidrBlock": "10.99.0.0/24"}, State: before})
	s.account.put(&object{Type: instanceType, ID: instance, Inputs: values{"subnetId": "subnet-of-" + vpc, "tags": tags}, State: before})
}
