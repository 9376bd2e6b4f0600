// Package cluster creates one kubeadm cluster on given hosts over SSH. It depends on hosts, not on AWS.
package cluster

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-command/sdk/go/command"
	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Host is a machine that becomes a node.
type Host struct {
	config.Node
	// Address is the address for SSH. PrivateIP is the address inside the cluster.
	Address   pulumi.StringInput
	PrivateIP pulumi.StringInput
	// ProviderID is aws:///<zone>/<instance id>.
	ProviderID pulumi.StringInput
	Zone       string
	User       string
	// HostKey is pinned in every connection; authorized_keys format.
	HostKey pulumi.StringInput
	// Machine is the resource of the machine. The host's steps end with it.
	Machine pulumi.Resource
	// DependsOn are the resources without which the host cannot be reached, or cannot reach other hosts.
	DependsOn []pulumi.Resource
}

// Args are the inputs of Build.
type Args struct {
	Config        *config.Config
	Hosts         []Host
	SSHPrivateKey pulumi.StringInput
	// Endpoint is the API's name inside the cluster. PublicEndpoint is the host in the kubeconfig.
	Endpoint       string
	PublicEndpoint pulumi.StringInput
	// CertSANs are additional names and addresses of the API certificate.
	CertSANs     pulumi.StringArray
	BackupBucket pulumi.StringInput
	// APIRecords are the DNS records of Endpoint and PublicEndpoint. Preparing a host does not need them.
	APIRecords []pulumi.Resource
	// Issuer is nil if only the API server knows the key of service-account tokens.
	Issuer *Issuer
	// Initialised is the control plane with which the running cluster began. The first by name begins a new one.
	Initialised string
	// Running are the releases of the nodes before this update, by node name. It is empty for a new cluster.
	Running map[string]Running
	// Scripts holds scripts/*.sh of later steps on the control plane. May be nil.
	Scripts fs.FS
}

// Cluster is a cluster whose API answers once APIReady exists. All its hosts have joined once the resources in Joined
// exist.
type Cluster struct {
	pulumi.ResourceState

	// Kubeconfig is the administrator's kubeconfig. It is secret, and known before any host answers.
	Kubeconfig pulumi.StringOutput
	Provider   *kubernetes.Provider
	APIReady   pulumi.Resource
	// Upgraded is the last step after which an API server can change its release.
	Upgraded pulumi.Resource
	// Machine is the control plane's machine. All objects in the cluster are lost with it.
	Machine pulumi.Resource
	// MachineID is the provider id of that machine. Steps that must run again on a new machine include it in their
	// settings.
	MachineID pulumi.StringInput
	// Joined holds the last step of every host.
	Joined []pulumi.Resource

	pki          *pki
	commands     *command.Provider
	scripts      map[string]scripts // by role
	controlPlane host
	nodeNames    []string
}

// New creates the keys and authorities of a cluster. Build creates the rest once the machines exist. There are two
// functions because the machines depend on Identity.
func New(ctx *pulumi.Context, name string, keys TokenKeys) (*Cluster, error) {
	c := &Cluster{}
	if err := ctx.RegisterComponentResource("kubeadm-aws:cluster:Cluster", name, c); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return c, c.keys(ctx, name, keys)
}

// Identity returns the resources that identify a running control plane. The machines depend on it, so destroy deletes
// it after them. An `up` after an interrupted destroy then still has the keys of every running machine.
func (c *Cluster) Identity() []pulumi.Resource { return c.pki.identity() }

// Build creates the cluster on its hosts. All hosts are prepared at the same time. Workers join once the first control
// plane is initialised, independently of each other. Further control planes join one after the other.
func (c *Cluster) Build(ctx *pulumi.Context, args Args) error {
	cfg := args.Config
	rel, err := config.ReleaseOf(cfg.Cluster.KubernetesVersion)
	if err != nil {
		return err
	}
	controlPlanes, err := controlPlanesOf(args.Hosts, args.Initialised)
	if err != nil {
		return err
	}
	first := controlPlanes[0]
	name := cfg.Cluster.Name
	c.Machine, c.MachineID = first.Machine, first.ProviderID
	c.Kubeconfig = kubeconfig(name, args.PublicEndpoint, c.pki.cluster, "admin", c.pki.admin)
	if c.scripts, err = newScripts(args.Scripts); err != nil {
		return err
	}
	s := steps{cfg: cfg, release: rel, pki: c.pki, args: args, scripts: c.scripts[config.ControlPlane],
		upgrade: PlanUpgrade(cfg, args.Running), controlPlanes: controlPlanes}

	c.controlPlane = c.host(first, args.SSHPrivateKey)
	prepared, err := c.prepareAll(ctx, s)
	if err != nil {
		return err
	}
	// The first token can be checked as soon as it is there.
	published, err := s.publish()
	if err != nil {
		return err
	}
	c.APIReady, err = c.controlPlane.run(ctx, first.Name+"-init", s.init(first),
		dependsOn(slices.Concat(s.beforeInit(first, prepared), args.APIRecords, published)...))
	if err != nil {
		return err
	}
	// The delete of this step changes the bucket, so it runs although the machine is deleted.
	if _, err := c.OnControlPlane(ctx, "etcd-backup", s.backup(first), pulumi.DeletedWith(nil)); err != nil {
		return err
	}
	if err := c.joinAll(ctx, s, first, prepared); err != nil {
		return err
	}
	if c.pki.tokenKeys.Rotated {
		if _, err := c.OnControlPlane(ctx, TokenKeysStep, c.pki.tokenKeys.step(s), dependsOn(c.Upgraded)); err != nil {
			return err
		}
	}
	if cfg.Maintenance.Reboots {
		// No node leaves before all have joined.
		if _, err := c.OnControlPlane(ctx, "reboots", reboots{s}.install(first), dependsOn(c.Joined...)); err != nil {
			return err
		}
	}
	if err := c.kubernetes(ctx, s); err != nil {
		return err
	}
	return ctx.RegisterResourceOutputs(c, pulumi.Map{"kubeconfig": c.Kubeconfig})
}

// kubernetes creates the provider of the objects in the cluster.
func (c *Cluster) kubernetes(ctx *pulumi.Context, s steps) error {
	name := s.cfg.Cluster.Name
	var err error
	c.Provider, err = kubernetes.NewProvider(ctx, name, &kubernetes.ProviderArgs{
		Kubeconfig: c.Kubeconfig,
		// Without it, a kubeconfig that is unknown in a preview would replace every object in the cluster.
		ClusterIdentifier: pulumi.String(name),
		// An interrupted run, or a destroy that stopped at a release gate, leaves objects that are not in the state.
		// The next up adopts them. An object that gets another name in the program needs an alias: deleting the old
		// resource would delete the object that the new one has adopted.
		UpsertExistingObjects: pulumi.Bool(true),
		// Without them another value in a Secret or ConfigMap would delete the object, with all keys that others wrote
		// into it, and create it again.
		EnableSecretMutable:    pulumi.Bool(true),
		EnableConfigMapMutable: pulumi.Bool(true),
	}, pulumi.Parent(c), dependsOn(s.beforeObjects(c)...))
	if err != nil {
		return fmt.Errorf("kubernetes provider: %w", err)
	}
	return nil
}

// keys creates the providers and, with two of them, the PKI.
func (c *Cluster) keys(ctx *pulumi.Context, name string, keys TokenKeys) error {
	var err error
	if c.commands, err = command.NewProvider(ctx, "command", &command.ProviderArgs{}, pulumi.Parent(c)); err != nil {
		return fmt.Errorf("command provider: %w", err)
	}
	tlsProvider, err := tls.NewProvider(ctx, "cluster-tls", &tls.ProviderArgs{}, pulumi.Parent(c))
	if err != nil {
		return fmt.Errorf("tls provider: %w", err)
	}
	randomProvider, err := random.NewProvider(ctx, "cluster-random", &random.ProviderArgs{}, pulumi.Parent(c))
	if err != nil {
		return fmt.Errorf("random provider: %w", err)
	}
	c.pki, err = newPKI(ctx, name, keys, keyProviders{tlsProvider, randomProvider}, c)
	return err
}

// prepareAll creates the steps of all hosts that need no cluster, and returns the last one of each host.
func (c *Cluster) prepareAll(ctx *pulumi.Context, s steps) (map[string]pulumi.Resource, error) {
	prepared := map[string]pulumi.Resource{}
	for _, h := range s.args.Hosts {
		var err error
		if prepared[h.Name], err = c.prepare(ctx, s, h, c.host(h, s.args.SSHPrivateKey)); err != nil {
			return nil, err
		}
	}
	return prepared, nil
}

// prepare creates the steps of a host that need no cluster.
func (c *Cluster) prepare(ctx *pulumi.Context, s steps, h Host, on host) (pulumi.Resource, error) {
	ready, err := on.booting().run(ctx, h.Name+"-ready", s.ready(h), pulumi.DependsOn(h.DependsOn))
	if err != nil {
		return nil, err
	}
	step, err := s.prepare(h)
	if err != nil {
		return nil, err
	}
	return on.run(ctx, h.Name+"-prepare", step, dependsOn(ready))
}

// joinAfter is the control plane that a host joins, and the steps before. prepared is one of them.
type joinAfter struct {
	controlPlane Host
	prepared     pulumi.Resource
	steps        []pulumi.Resource
}

// join creates the steps that add a host to the cluster, and returns the last one.
func (c *Cluster) join(ctx *pulumi.Context, s steps, h Host, after joinAfter) (pulumi.Resource, error) {
	node := s.node(h, after.controlPlane)
	if h.Role == config.ControlPlane {
		return c.OnControlPlane(ctx, h.Name+"-node", node, dependsOn(after.steps...))
	}
	if s.several() {
		balancer, err := c.host(h, s.args.SSHPrivateKey).run(ctx, h.Name+"-balancer", members{s}.balancer(h),
			dependsOn(after.prepared))
		if err != nil {
			return nil, err
		}
		after.steps = append(after.steps, balancer)
	}
	joined, err := c.host(h, s.args.SSHPrivateKey).run(ctx, h.Name+"-join", s.join(h, after.controlPlane),
		dependsOn(after.steps...))
	if err != nil {
		return nil, err
	}
	return c.OnControlPlane(ctx, h.Name+"-node", node, dependsOn(joined))
}

// OnControlPlane runs a step on the control plane once the API answers. KUBECONFIG is not set; scripts use
// /etc/kubernetes/admin.conf.
func (c *Cluster) OnControlPlane(ctx *pulumi.Context, name string, step Step,
	opts ...pulumi.ResourceOption) (*remote.Command, error) {
	return c.controlPlane.run(ctx, name, step, append([]pulumi.ResourceOption{dependsOn(c.APIReady)}, opts...)...)
}

// NodesReady waits until every node of the configuration is Ready. Without opts it waits for the hosts to join. Pass
// a dependency on the network plugin, without which no node becomes Ready.
func (c *Cluster) NodesReady(ctx *pulumi.Context, opts ...pulumi.ResourceOption) (*remote.Command, error) {
	return c.OnControlPlane(ctx, "nodes-ready", Step{
		Name: "nodes-ready", Minutes: 15,
		Run: Script{Name: "nodes-ready", Env: map[string]pulumi.StringInput{
			// Sorted, because the order of the list in the configuration has no meaning.
			"NODES":         pulumi.String(strings.Join(slices.Sorted(slices.Values(c.nodeNames)), " ")),
			"CONTROL_PLANE": c.controlPlane.id,
		}},
	}, append([]pulumi.ResourceOption{pulumi.DependsOn(c.Joined)}, opts...)...)
}

func dependsOn(resources ...pulumi.Resource) pulumi.ResourceOption {
	return pulumi.DependsOn(resources)
}
