package kube

import (
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// Provider creates objects and Helm releases as pulumi-kubernetes does: it needs the API, waits until objects
// are ready, and keeps an object that exists but is not ready for the next run.
type Provider struct {
	cluster *Cluster
	backend backend.Backend
}

// NewProvider serves the objects of a cluster. b is nil in a simulation.
func NewProvider(c *Cluster, b backend.Backend) *Provider {
	return &Provider{c, b}
}

const releaseType = "kubernetes:helm.sh/v3:Release"

// kind is a kind of object. An object of a namespaced kind needs a namespace.
type kind struct{ namespaced bool }

var kinds = map[string]kind{
	"Namespace": {}, "Node": {}, "PersistentVolume": {}, "StorageClass": {}, "IngressClass": {}, "PriorityClass": {},
	"RuntimeClass": {},
	"ClusterRole":  {}, "ClusterRoleBinding": {}, "CustomResourceDefinition": {}, "APIService": {}, "CSIDriver": {},
	"ValidatingWebhookConfiguration": {}, "MutatingWebhookConfiguration": {}, "ValidatingAdmissionPolicy": {},
	"ValidatingAdmissionPolicyBinding": {}, "MutatingAdmissionPolicy": {}, "MutatingAdmissionPolicyBinding": {},
	"ConfigMap": {true}, "Secret": {true}, "Service": {true}, "ServiceAccount": {true}, "Endpoints": {true}, "Pod": {true},
	"PersistentVolumeClaim": {true}, "ResourceQuota": {true}, "LimitRange": {true}, "Deployment": {true},
	"StatefulSet": {true},
	"DaemonSet":   {true}, "Job": {true}, "CronJob": {true}, "Ingress": {true}, "NetworkPolicy": {true},
	"PodDisruptionBudget":     {true},
	"HorizontalPodAutoscaler": {true}, "Role": {true}, "RoleBinding": {true},
	// Custom resources. A chart or an object has to create the definition first.
	"ClusterIssuer": {}, "Installation": {}, "APIServer": {}, "IPPool": {}, "FelixConfiguration": {},
	"IngressClassParams":      {},
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

// definedBy returns the chart with the definition of a custom resource, or "".
func definedBy(name string) string {
	for _, c := range slices.Sorted(maps.Keys(charts)) {
		if slices.Contains(charts[c].Kinds, name) && (name != "PrometheusRule" || c == "prometheus-operator-crds") {
			return c
		}
	}
	return ""
}

func (p *Provider) Check(r *engine.Request) (engine.Checked, error) {
	if r.Type == releaseType {
		return engine.Checked{Failures: engine.Missing(r.Inputs, []string{"chart"})}, nil
	}
	_, name, ok := objectToken(r.Type)
	if _, builtin := kinds[name]; !ok || !builtin && definedBy(name) == "" {
		return engine.Checked{}, engine.UnknownType(r.Type)
	}
	var out engine.Checked
	if r.Inputs.Str("metadata.name") == "" && !props.HasUnknown(r.Inputs["metadata"]) {
		metadata := props.Clone(r.Inputs.Object("metadata"))
		metadata["name"] = p.autoname(r)
		out.Defaults = props.Map{"metadata": map[string]any(metadata)}
	}
	return out, nil
}

func (p *Provider) autoname(r *engine.Request) string {
	if name := r.OldInputs.Str("metadata.name"); name != "" {
		return name
	}
	return fmt.Sprintf("%s-%08x", r.Name, crc32.ChecksumIEEE([]byte(r.URN+r.Seed)))
}

// Diff replaces an object when its identity changes, or when a field changes that the API server does not let change.
func (p *Provider) Diff(r *engine.Request) engine.Difference {
	d := engine.Difference{Changed: props.Changed(r.OldInputs, r.Inputs), DeleteFirst: true}
	if r.Type == releaseType {
		d.Replace = props.Among(d.Changed, "name", "namespace")
		return d
	}
	for _, path := range []string{"metadata.name", "metadata.namespace"} {
		if r.OldInputs.Str(path) != r.Inputs.Str(path) {
			d.Replace = append(d.Replace, "metadata")
		}
	}
	if strings.HasSuffix(r.Type, ":StorageClass") {
		d.Replace = append(d.Replace, props.Among(d.Changed, "parameters", "provisioner", "reclaimPolicy",
			"volumeBindingMode")...)
	}
	for suffix, mutable := range map[string]string{":Secret": "enableSecretMutable",
		":ConfigMap": "enableConfigMapMutable"} {
		if strings.HasSuffix(r.Type, suffix) && (r.OldInputs.Flag("immutable") || !r.Config.Flag(mutable)) {
			d.Replace = append(d.Replace, props.Among(d.Changed, "data", "stringData")...)
		}
	}
	return d
}

func (p *Provider) Create(r *engine.Request) (engine.Answer, error) {
	if r.Preview {
		return engine.Answer{Outputs: props.Map{"status": props.Unknown{}}}, nil
	}
	if backend := p.backend; backend != nil {
		return p.makeReal(r)
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	if err := p.connect(r); err != nil {
		return engine.Answer{}, err
	}
	if r.Type == releaseType {
		return helm{c}.install(r, nil)
	}
	return p.createObject(r)
}

// serverAddress is the API's address in a kubeconfig.
var serverAddress = regexp.MustCompile(`server"?: *"?https?://([^\s":/]+)`)

// connect checks what every call needs: an API that answers at the address of the kubeconfig.
func (p *Provider) connect(r *engine.Request) error {
	c := p.cluster
	config := r.Config.Str("kubeconfig")
	if m := serverAddress.FindStringSubmatch(config); m != nil {
		machine := c.MachineAt(m[1])
		if machine == nil {
			return fmt.Errorf("configured Kubernetes cluster is unreachable: dial tcp: no machine answers at %s", m[1])
		}
		if err := c.ReachableFromOutside(machine, 6443); err != nil {
			return fmt.Errorf("configured Kubernetes cluster is unreachable: %w", err)
		}
		if _, err := c.api(); err != nil {
			return fmt.Errorf("configured Kubernetes cluster is unreachable: %w", err)
		}
		if !slices.Contains(members(c.Find(clusterType, "cluster")), machine.ID) {
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

func (p *Provider) Update(r *engine.Request) (engine.Answer, error) {
	if r.Preview {
		return engine.Answer{Outputs: props.Map{"status": props.Unknown{}}}, nil
	}
	if p.backend != nil {
		return p.makeReal(r)
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	if err := p.connect(r); err != nil {
		return engine.Answer{}, err
	}
	if r.Type == releaseType {
		found := p.found(r)
		if found == nil {
			return engine.Answer{}, fmt.Errorf("%q has no deployed releases", r.ID)
		}
		return helm{c}.install(r, found)
	}
	_, kindName, _ := objectToken(r.Type)
	found := p.found(r)
	if found == nil {
		return engine.Answer{}, fmt.Errorf("%s %q not found", kindName, r.ID)
	}
	if err := c.admit(kindName); err != nil {
		return engine.Answer{}, err
	}
	next := *found
	next.Inputs = r.Stored
	c.Put(&next)
	c.reconcile()
	return p.awaited(kindName, found.ID, r)
}

func (p *Provider) Read(r *engine.Request) (engine.Answer, error) {
	c := p.cluster
	if backend := p.backend; backend != nil && r.Type != releaseType {
		live, found, err := backend.Cluster(r.Config.Str("kubeconfig")).Get(r.Ctx, manifest(r, r.Inputs))
		if err != nil || !found {
			return engine.Answer{}, err
		}
		return seen(r, liveOutputs(live)), nil
	}
	c.Lock()
	defer c.Unlock()
	if p.backend == nil {
		if err := p.connect(r); err != nil {
			if r.Config.Flag("deleteUnreachable") {
				return engine.Answer{}, nil
			}
			return engine.Answer{}, err
		}
	}
	found := p.found(r)
	switch {
	case found == nil:
		return engine.Answer{}, nil
	case r.Type == releaseType && r.Old.Str("status.status") != releaseStatus(found):
		return engine.Answer{ID: r.ID, Outputs: releaseOutputs(found)}, nil
	case r.Type == releaseType:
		return seen(r, releaseOutputs(found)), nil
	}
	got, _ := p.awaited(strings.TrimPrefix(found.Type, "k8s/"), found.ID, r) // a read does not wait for readiness
	if found.State.Flag("deleting") {
		got.Outputs.Object("metadata")["deletionTimestamp"] = "2026-01-01T00:00:00Z"
		return got, nil
	}
	return seen(r, got.Outputs), nil
}

// seen returns the answer to a read. It keeps the state of a resource whose create completed. outputs are for a
// resource whose create the engine did not see.
func seen(r *engine.Request, outputs props.Map) engine.Answer {
	if r.Old.Has("status") || r.Old.Object("metadata").Has("uid") {
		return engine.Answer{ID: r.ID}
	}
	return engine.Answer{ID: r.ID, Outputs: outputs}
}

// found returns the object or release that a request is about, or nil.
func (p *Provider) found(r *engine.Request) *store.Object {
	c := p.cluster
	if r.Type == releaseType {
		release := c.Find("k8s/"+releaseKind, r.ID)
		if release != nil && release.State.Flag("recordless") {
			return nil
		}
		return release
	}
	_, kindName, _ := objectToken(r.Type)
	if o := c.Find("k8s/"+kindName, r.ID); o != nil {
		return o
	}
	return c.Find("k8s/"+kindName, "/"+r.ID)
}

func (p *Provider) Delete(r *engine.Request) error {
	if p.backend != nil {
		return p.unmakeReal(r)
	}
	c := p.cluster
	c.Lock()
	defer c.Unlock()
	if err := p.connect(r); err != nil {
		// The provider's setting does not help a release: pulumi-kubernetes#2675.
		if r.Config.Flag("deleteUnreachable") && r.Type != releaseType {
			return nil
		}
		return err
	}
	found := p.found(r)
	switch {
	case found == nil: // pulumi-kubernetes fails here for a release: "uninstall: Release not loaded"
		return nil
	case r.Type == releaseType:
		return helm{c}.uninstall(found)
	case found.Type == "k8s/Namespace":
		return c.deleteNamespace(found)
	}
	if err := c.collectable(found); err != nil {
		return err
	}
	return c.delete(found)
}

func (p *Provider) Invoke(r *engine.Request, _ props.Map) (props.Map, error) {
	return nil, engine.UnknownFunction(r.Type)
}

// admit does the work of the webhooks: a kind whose webhook is dead can be neither created nor updated.
func (c *Cluster) admit(kindName string) error {
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		release := c.release(name)
		if release == nil || !slices.Contains(charts[name].Guards, kindName) ||
			release.Inputs.Object("values").At(charts[name].GuardsAt) == false {
			continue
		}
		if err := c.alive(name); err != nil {
			return fmt.Errorf("internal error occurred: failed calling webhook of %s: no endpoints available: %w", name, err)
		}
		if err := reachesWebhook(c, release); err != nil {
			return fmt.Errorf("internal error occurred: failed calling webhook of %s: %w", name, err)
		}
	}
	return nil
}

func (c *Cluster) namespaceExists(name string) bool {
	switch name {
	case "default", "kube-system", "kube-public", "kube-node-lease":
		return true
	}
	return c.object("Namespace", "", name) != nil
}

func (p *Provider) createObject(r *engine.Request) (engine.Answer, error) {
	c := p.cluster
	_, kindName, _ := objectToken(r.Type)
	name, namespace := r.Inputs.Str("metadata.name"), r.Inputs.Str("metadata.namespace")
	known, builtin := kinds[kindName]
	if err := c.defined(kindName); err != nil {
		return engine.Answer{}, err
	}
	if definition := definitions[kindName]; definition != "" &&
		c.object("CustomResourceDefinition", "", definition) == nil {
		return engine.Answer{}, fmt.Errorf(`no matches for kind %q: there is no definition %s`, kindName, definition)
	}
	if known.namespaced || !builtin {
		if namespace == "" {
			namespace = "default"
		}
		if !c.namespaceExists(namespace) {
			return engine.Answer{}, fmt.Errorf("namespaces %q not found", namespace)
		}
	} else {
		namespace = ""
	}
	if err := c.admit(kindName); err != nil {
		return engine.Answer{}, err
	}
	id := namespace + "/" + name
	made := &store.Object{Type: "k8s/" + kindName, ID: id, URN: r.URN, Inputs: r.Stored, State: props.Map{}}
	if there := c.Find(made.Type, id); there != nil {
		if !r.Config.Flag("upsertExistingObjects") {
			return engine.Answer{}, fmt.Errorf("%s %q already exists", kindName, name)
		}
		made.State = there.State
	}
	c.Put(made)
	c.reconcile()
	return p.awaited(kindName, id, r)
}

// defined returns the reason why the API server does not serve a kind, or nil. Either its release is too old, its chart
// is not installed, or the chart was installed without definitions and the program has made none.
func (c *Cluster) defined(kindName string) error {
	api := upgrade{&step{Cluster: c}}.apiVersion()
	if strings.HasPrefix(kindName, "MutatingAdmissionPolicy") && semver.Compare("v"+api, "v1.36.0") < 0 {
		return fmt.Errorf(`no matches for kind %q in version "admissionregistration.k8s.io/v1": the API server has %s`,
			kindName, api)
	}
	owner := definedBy(kindName)
	if owner == "" {
		return nil
	}
	release := c.release(owner)
	switch {
	case release == nil:
		return fmt.Errorf(`no matches for kind %q: its definition comes with the chart %s, which is not installed`, kindName,
			owner)
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
