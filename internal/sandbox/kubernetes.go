package sandbox

import (
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"regexp"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// kubernetesProvider creates objects and Helm releases as pulumi-kubernetes does: it needs the API, waits until objects
// are ready, and keeps an object that exists but is not ready for the next run.
type kubernetesProvider struct {
	cluster *kubeCluster
	backend backend.Backend
}

const releaseType = "kubernetes:helm.sh/v3:Release"

// kind is a kind of object; namespaced ones need a namespace.
type kind struct{ namespaced bool }

var kinds = map[string]kind{
	"Namespace": {}, "Node": {}, "PersistentVolume": {}, "StorageClass": {}, "IngressClass": {}, "PriorityClass": {}, "RuntimeClass": {},
	"ClusterRole": {}, "ClusterRoleBinding": {}, "CustomResourceDefinition": {}, "APIService": {}, "CSIDriver": {},
	"ValidatingWebhookConfiguration": {}, "MutatingWebhookConfiguration": {}, "ValidatingAdmissionPolicy": {},
	"ConfigMap": {true}, "Secret": {true}, "Service": {true}, "ServiceAccount": {true}, "Endpoints": {true}, "Pod": {true},
	"PersistentVolumeClaim": {true}, "ResourceQuota": {true}, "LimitRange": {true}, "Deployment": {true}, "StatefulSet": {true},
	"DaemonSet": {true}, "Job": {true}, "CronJob": {true}, "Ingress": {true}, "NetworkPolicy": {true}, "PodDisruptionBudget": {true},
	"HorizontalPodAutoscaler": {true}, "Role": {true}, "RoleBinding": {true},
	// Custom resources; a chart or an object has to bring the definition first.
	"ClusterIssuer": {}, "Installation": {}, "APIServer": {}, "IPPool": {}, "FelixConfiguration": {}, "IngressClassParams": {},
	"ClusterAnalysisTemplate": {}, "VolumeSnapshotClass": {},
}

// definitions are the custom resources whose definitions are objects of the program, by the name of that object.
var definitions = map[string]string{"VolumeSnapshotClass": "volumesnapshotclasses.snapshot.storage.k8s.io"}

// objectToken splits kubernetes:networking.k8s.io/v1:Ingress into apiVersion and kind.
func objectToken(typ string) (apiVersion, name string, ok bool) {
	parts := strings.Split(typ, ":")
	if len(parts) != 3 || parts[0] != "kubernetes" || !strings.Contains(parts[1], "/") {
		return "", "", false
	}
	return strings.TrimPrefix(parts[1], "core/"), parts[2], true
}

// definedBy is the chart that brings a custom resource, or "".
func definedBy(name string) string {
	for _, c := range slices.Sorted(maps.Keys(charts)) {
		if slices.Contains(charts[c].kinds, name) && (name != "PrometheusRule" || c == "prometheus-operator-crds") {
			return c
		}
	}
	return ""
}

func (p *kubernetesProvider) check(r *request) (checked, error) {
	if r.typ == releaseType {
		return checked{failures: missing(r.inputs, []string{"chart"})}, nil
	}
	_, name, ok := objectToken(r.typ)
	if _, builtin := kinds[name]; !ok || !builtin && definedBy(name) == "" {
		return checked{}, unknownType(r.typ)
	}
	var out checked
	if r.inputs.Str("metadata.name") == "" && !props.HasUnknown(r.inputs["metadata"]) {
		metadata := props.Clone(r.inputs.Object("metadata"))
		metadata["name"] = p.autoname(r)
		out.defaults = props.Map{"metadata": map[string]any(metadata)}
	}
	return out, nil
}

func (p *kubernetesProvider) autoname(r *request) string {
	if name := r.oldInputs.Str("metadata.name"); name != "" {
		return name
	}
	return fmt.Sprintf("%s-%08x", r.name, crc32.ChecksumIEEE([]byte(r.urn+r.seed)))
}

// diff replaces when the identity changes and when a field is one that the API server never changes.
func (p *kubernetesProvider) diff(r *request) difference {
	d := difference{changed: props.Changed(r.oldInputs, r.inputs), deleteFirst: true}
	if r.typ == releaseType {
		d.replace = props.Among(d.changed, "name", "namespace")
		return d
	}
	for _, path := range []string{"metadata.name", "metadata.namespace"} {
		if r.oldInputs.Str(path) != r.inputs.Str(path) {
			d.replace = append(d.replace, "metadata")
		}
	}
	if strings.HasSuffix(r.typ, ":StorageClass") {
		d.replace = append(d.replace, props.Among(d.changed, "parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")...)
	}
	if strings.HasSuffix(r.typ, ":Secret") || strings.HasSuffix(r.typ, ":ConfigMap") {
		if r.oldInputs.Flag("immutable") {
			d.replace = append(d.replace, props.Among(d.changed, "data", "stringData")...)
		}
	}
	return d
}

func (p *kubernetesProvider) create(r *request) (answer, error) {
	if r.preview {
		return answer{outputs: props.Map{"status": props.Unknown{}}}, nil
	}
	if backend := p.backend; backend != nil {
		return p.makeReal(r)
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	if err := p.connect(r); err != nil {
		return answer{}, err
	}
	if r.typ == releaseType {
		return helm{c}.install(r, nil)
	}
	return p.createObject(r)
}

// serverAddress is the API's address in a kubeconfig.
var serverAddress = regexp.MustCompile(`server"?: *"?https?://([^\s":/]+)`)

// connect checks what every call needs: an API that answers at the address of the kubeconfig.
func (p *kubernetesProvider) connect(r *request) error {
	c := p.cluster
	config := r.config.Str("kubeconfig")
	if m := serverAddress.FindStringSubmatch(config); m != nil {
		machine := c.machineAt(m[1])
		if machine == nil {
			return fmt.Errorf("configured Kubernetes cluster is unreachable: dial tcp: no machine answers at %s", m[1])
		}
		if err := c.reachableFromOutside(machine, 6443); err != nil {
			return fmt.Errorf("configured Kubernetes cluster is unreachable: %w", err)
		}
		api, err := c.api()
		if err != nil {
			return fmt.Errorf("configured Kubernetes cluster is unreachable: %w", err)
		}
		if api.ID != machine.ID {
			return fmt.Errorf("configured Kubernetes cluster is unreachable: %s is not the control plane", machine.Title())
		}
		return nil
	}
	if config == "" {
		return errors.New("the kubernetes provider has no kubeconfig and would use the kubeconfig of the current user")
	}
	if _, err := c.api(); err != nil {
		return fmt.Errorf("configured Kubernetes cluster is unreachable: %w", err)
	}
	return nil
}

func (p *kubernetesProvider) update(r *request) (answer, error) {
	if r.preview {
		return answer{outputs: props.Map{"status": props.Unknown{}}}, nil
	}
	if p.backend != nil {
		return p.makeReal(r)
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	if err := p.connect(r); err != nil {
		return answer{}, err
	}
	if r.typ == releaseType {
		found := p.found(r)
		if found == nil {
			return answer{}, fmt.Errorf("%q has no deployed releases", r.id)
		}
		return helm{c}.install(r, found)
	}
	_, kindName, _ := objectToken(r.typ)
	found := p.found(r)
	if found == nil {
		return answer{}, fmt.Errorf("%s %q not found", kindName, r.id)
	}
	if err := c.admit(kindName); err != nil {
		return answer{}, err
	}
	next := *found
	next.Inputs = r.stored
	c.Put(&next)
	c.reconcile()
	return p.awaited(kindName, found.ID, r)
}

func (p *kubernetesProvider) read(r *request) (answer, error) {
	c := p.cluster
	if backend := p.backend; backend != nil && r.typ != releaseType {
		live, found, err := backend.Get(r.ctx, r.config.Str("kubeconfig"), manifest(r, r.inputs))
		if err != nil || !found {
			return answer{}, err
		}
		return seen(r, liveOutputs(live)), nil
	}
	c.Lock()
	defer c.Unlock()
	if p.backend == nil {
		if err := p.connect(r); err != nil {
			if r.config.Flag("deleteUnreachable") {
				return answer{}, nil
			}
			return answer{}, err
		}
	}
	found := p.found(r)
	switch {
	case found == nil:
		return answer{}, nil
	case r.typ == releaseType && r.old.Str("status.status") != releaseStatus(found):
		return answer{id: r.id, outputs: releaseOutputs(found)}, nil
	case r.typ == releaseType:
		return seen(r, releaseOutputs(found)), nil
	}
	got, _ := p.awaited(strings.TrimPrefix(found.Type, "k8s/"), found.ID, r) // a read does not wait for readiness
	if found.State.Flag("deleting") {
		got.outputs.Object("metadata")["deletionTimestamp"] = "2026-01-01T00:00:00Z"
		return got, nil
	}
	return seen(r, got.outputs), nil
}

// seen is the answer to a read. The state of a resource whose create completed is kept; outputs are for a resource whose
// create the engine did not see.
func seen(r *request, outputs props.Map) answer {
	if r.old.Has("status") || r.old.Object("metadata").Has("uid") {
		return answer{id: r.id}
	}
	return answer{id: r.id, outputs: outputs}
}

// found is the object or release that a request is about.
func (p *kubernetesProvider) found(r *request) *store.Object {
	c := p.cluster
	if r.typ == releaseType {
		release := c.Find("k8s/"+releaseKind, r.id)
		if release != nil && release.State.Flag("recordless") {
			return nil
		}
		return release
	}
	_, kindName, _ := objectToken(r.typ)
	if o := c.Find("k8s/"+kindName, r.id); o != nil {
		return o
	}
	return c.Find("k8s/"+kindName, "/"+r.id)
}

func (p *kubernetesProvider) delete(r *request) error {
	if p.backend != nil {
		return p.unmakeReal(r)
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	if err := p.connect(r); err != nil {
		// The provider's setting does not help a release: pulumi-kubernetes#2675.
		if r.config.Flag("deleteUnreachable") && r.typ != releaseType {
			return nil
		}
		return err
	}
	found := p.found(r)
	switch {
	case found == nil: // pulumi-kubernetes fails here for a release: "uninstall: Release not loaded"
		return nil
	case r.typ == releaseType:
		return helm{c}.uninstall(found)
	case found.Type == "k8s/Namespace":
		return c.deleteNamespace(found)
	}
	if err := c.collectable(found); err != nil {
		return err
	}
	return c.kubeDelete(found)
}

func (p *kubernetesProvider) invoke(r *request, _ props.Map) (props.Map, error) {
	return nil, unknownInvoke(r.typ)
}

// admit does the work of the webhooks: a kind whose webhook is dead can be neither created nor updated.
func (c *kubeCluster) admit(kindName string) error {
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		release := c.release(name)
		if release == nil || !slices.Contains(charts[name].guards, kindName) ||
			release.Inputs.Object("values").At(charts[name].guardsAt) == false {
			continue
		}
		if err := c.alive(name); err != nil {
			return fmt.Errorf("internal error occurred: failed calling webhook of %s: no endpoints available: %w", name, err)
		}
	}
	return nil
}

func (c *kubeCluster) namespaceExists(name string) bool {
	switch name {
	case "default", "kube-system", "kube-public", "kube-node-lease":
		return true
	}
	return c.kube("Namespace", "", name) != nil
}

func (p *kubernetesProvider) createObject(r *request) (answer, error) {
	c := p.cluster
	_, kindName, _ := objectToken(r.typ)
	name, namespace := r.inputs.Str("metadata.name"), r.inputs.Str("metadata.namespace")
	known, builtin := kinds[kindName]
	if err := c.defined(kindName); err != nil {
		return answer{}, err
	}
	if definition := definitions[kindName]; definition != "" && c.kube("CustomResourceDefinition", "", definition) == nil {
		return answer{}, fmt.Errorf(`no matches for kind %q: there is no definition %s`, kindName, definition)
	}
	if known.namespaced || !builtin {
		if namespace == "" {
			namespace = "default"
		}
		if !c.namespaceExists(namespace) {
			return answer{}, fmt.Errorf("namespaces %q not found", namespace)
		}
	} else {
		namespace = ""
	}
	if err := c.admit(kindName); err != nil {
		return answer{}, err
	}
	id := namespace + "/" + name
	made := &store.Object{Type: "k8s/" + kindName, ID: id, URN: r.urn, Inputs: r.stored, State: props.Map{}}
	if there := c.Find(made.Type, id); there != nil {
		if !r.config.Flag("upsertExistingObjects") {
			return answer{}, fmt.Errorf("%s %q already exists", kindName, name)
		}
		made.State = there.State
	}
	c.Put(made)
	c.reconcile()
	return p.awaited(kindName, id, r)
}

// defined says why the API server does not know a kind: its chart is not installed, or came without definitions and the
// program has made none.
func (c *kubeCluster) defined(kindName string) error {
	owner := definedBy(kindName)
	if owner == "" {
		return nil
	}
	release := c.release(owner)
	switch {
	case release == nil:
		return fmt.Errorf(`no matches for kind %q: its definition comes with the chart %s, which is not installed`, kindName, owner)
	case !release.Inputs.Flag("skipCrds"):
		return nil
	}
	for _, definition := range c.All("k8s/CustomResourceDefinition") {
		if definition.Inputs.Str("spec.names.kind") == kindName {
			return nil
		}
	}
	return fmt.Errorf(`no matches for kind %q: the chart %s is installed without its definitions`, kindName, owner)
}
