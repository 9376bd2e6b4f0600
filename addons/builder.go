package addons

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go.yaml.in/yaml/v3"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
)

// builder holds what every add-on needs while Install runs.
type builder struct {
	ctx  *pulumi.Context
	args Args
	cfg  *config.Config
	root *Platform

	random *random.Provider
	tls    *tls.Provider
	// customResourceGates are the gates of operators whose custom resources users may have created.
	customResourceGates []pulumi.Resource

	// err is the first error. After it nothing is registered: the functions that create resources return nil, which
	// needs() omits. So the function of an add-on is a plain list of its resources, and only Install checks err.
	err error
}

// failed records err if it is the first error, and reports whether there has been one.
func (b *builder) failed(err error) bool {
	if b.err == nil {
		b.err = err
	}
	return b.err != nil
}

// providers creates the providers of passwords and certificates. The other providers belong to the lower layers.
func (b *builder) providers() {
	var err error
	b.random, err = random.NewProvider(b.ctx, "platform-random", &random.ProviderArgs{}, pulumi.Parent(b.root))
	if err != nil {
		b.failed(fmt.Errorf("random provider: %w", err))
	}
	b.tls, err = tls.NewProvider(b.ctx, "platform-tls", &tls.ProviderArgs{}, pulumi.Parent(b.root))
	if err != nil {
		b.failed(fmt.Errorf("tls provider: %w", err))
	}
}

// needs returns the resources that have to exist before another resource and outlive it. It omits disabled add-ons,
// which are nil.
func needs(resources ...pulumi.Resource) []pulumi.Resource {
	var present []pulumi.Resource
	for _, r := range resources {
		if r != nil {
			present = append(present, r)
		}
	}
	return present
}

// outlived returns the dependencies of a controller that calls AWS: the given ones and everything that it needs to
// clean up.
func (b *builder) outlived(resources ...pulumi.Resource) []pulumi.Resource {
	return slices.Concat(needs(b.root.NodesReady), b.args.DependsOn, needs(resources...))
}

func (b *builder) options(needs []pulumi.Resource, opts []pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.root), pulumi.DependsOn(needs)}, opts...)
}

// release creates a release of the catalogue, which defines its chart and namespace.
func (b *builder) release(name string, args kube.ReleaseArgs, needs []pulumi.Resource,
	opts ...pulumi.ResourceOption) pulumi.Resource {
	if b.err != nil {
		return nil
	}
	chart := catalog.Release(name)
	args.Name, args.Namespace, args.Version = chart.Release, chart.Namespace, chart.Version
	args.Chart, args.Repository = chart.From(b.cfg.Mirrors.Charts)
	release, err := kube.NewRelease(b.ctx, name, args, b.options(needs, opts)...)
	if b.failed(err) {
		return nil
	}
	return release
}

func (b *builder) object(name string, args kube.ObjectArgs, needs []pulumi.Resource,
	opts ...pulumi.ResourceOption) pulumi.Resource {
	if b.err != nil {
		return nil
	}
	object, err := kube.NewObject(b.ctx, name, args, b.options(needs, opts)...)
	if b.failed(err) {
		return nil
	}
	return object
}

// step runs a step on the control plane.
func (b *builder) step(name string, step cluster.Step, needs []pulumi.Resource,
	opts ...pulumi.ResourceOption) pulumi.Resource {
	if b.err != nil {
		return nil
	}
	command, err := b.args.Cluster.OnControlPlane(b.ctx, name, step, b.options(needs, opts)...)
	if b.failed(err) {
		return nil
	}
	return command
}

// definition creates a custom resource definition from its YAML. Helm installs the definitions in a chart's crds/
// once and never upgrades them; this object follows the program. In an older stack it adopts the definition that Helm
// created. That needs force, because Helm owns the fields. It is never deleted, because all its custom resources
// would be deleted with it.
func (b *builder) definition(text []byte) pulumi.Resource {
	var crd struct {
		Metadata struct {
			Name        string
			Annotations map[string]string
		}
		Spec map[string]any
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		b.failed(fmt.Errorf("custom resource definition: %w", err))
		return nil
	}
	annotations := map[string]string{"pulumi.com/patchForce": "true"}
	maps.Copy(annotations, crd.Metadata.Annotations)
	return b.object("definition-"+crd.Metadata.Name, kube.ObjectArgs{
		APIVersion:  "apiextensions.k8s.io/v1",
		Kind:        "CustomResourceDefinition",
		Name:        crd.Metadata.Name,
		Annotations: annotations,
		Fields:      kube.Values{"spec": crd.Spec},
	}, needs(b.args.Cluster.APIReady), pulumi.RetainOnDelete(true))
}

// Pod security levels of the namespaces: what their pods may do on the host.
const (
	privileged = "privileged"
	baseline   = "baseline"
	restricted = "restricted"
)

// namespace creates a namespace. It is a separate object, not a side effect of a release, because Helm does not
// delete the namespaces that it creates.
// If an add-on is removed, its namespace is deleted. If the whole cluster is destroyed, the namespace is dropped: its
// objects are deleted by then, and Kubernetes would need five seconds and a working aggregation layer to delete an
// empty namespace.
func (b *builder) namespace(name, security string, opts ...pulumi.ResourceOption) pulumi.Resource {
	return b.object("namespace-"+name, kube.ObjectArgs{
		APIVersion: "v1",
		Kind:       "Namespace",
		Name:       name,
		Labels: map[string]string{
			"pod-security.kubernetes.io/enforce": security,
			"app.kubernetes.io/managed-by":       "pulumi",
		},
	}, needs(b.args.Cluster.APIReady), append(opts, pulumi.DeletedWith(b.args.Cluster.Machine))...)
}
