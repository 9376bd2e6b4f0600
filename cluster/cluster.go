// Package cluster makes one kubeadm cluster on given hosts over SSH. It knows hosts, not AWS.
package cluster

import (
	"errors"
	"fmt"
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
	// Address is where SSH goes; PrivateIP is the address inside the cluster.
	Address   pulumi.StringInput
	PrivateIP pulumi.StringInput
	// ProviderID is aws:///<zone>/<instance id>.
	ProviderID pulumi.StringInput
	Zone       string
	User       string
	// HostKey is pinned in every connection; authorized_keys format.
	HostKey pulumi.StringInput
	// Machine is the resource that the host lives and dies with.
	Machine pulumi.Resource
	// DependsOn are what must be there before the host can be reached, or reach out.
	DependsOn []pulumi.Resource
}

// Args are the inputs of Build.
type Args struct {
	Config        *config.Config
	Hosts         []Host
	SSHPrivateKey pulumi.StringInput
	// Endpoint is the API's name inside; PublicEndpoint is the host that the kubeconfig points to.
	Endpoint       string
	PublicEndpoint pulumi.StringInput
	// CertSANs are further names and addresses of the API certificate.
	CertSANs     pulumi.StringArray
	BackupBucket pulumi.StringInput
	// APIRecords make Endpoint and PublicEndpoint resolve; hosts can be prepared without them.
	APIRecords []pulumi.Resource
}

// Cluster is a cluster whose API answers once APIReady exists, and whose hosts have all joined once Joined exist.
type Cluster struct {
	pulumi.ResourceState

	// Kubeconfig is the administrator's; secret. It is known before any host answers.
	Kubeconfig pulumi.StringOutput
	Provider   *kubernetes.Provider
	APIReady   pulumi.Resource
	// Machine is the control plane's: with it dies all that is in the cluster.
	Machine pulumi.Resource
	// MachineID is the provider id of that machine. A step that has to run again on another machine has it among its settings.
	MachineID pulumi.StringInput
	// Joined holds the last step of every host.
	Joined []pulumi.Resource

	pki          *pki
	commands     *command.Provider
	controlPlane host
	nodeNames    []string
}

// New makes the keys and authorities of a cluster. Build makes the rest, once there are machines. The two are apart because
// machines depend on Identity.
func New(ctx *pulumi.Context, name string) (*Cluster, error) {
	c := &Cluster{}
	if err := ctx.RegisterComponentResource("kubeadm-aws:cluster:Cluster", name, c); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return c, c.keys(ctx, name)
}

// Identity returns what a running control plane is recognised by. The machines depend on it, so that destroy removes it after
// them: an `up` after an interrupted destroy then finds the keys of every machine that still runs.
func (c *Cluster) Identity() []pulumi.Resource { return c.pki.identity() }

// Build makes the cluster on its hosts. All hosts are prepared at once; workers join when the control plane is initialised,
// without regard to each other.
func (c *Cluster) Build(ctx *pulumi.Context, args Args) error {
	cfg := args.Config
	rel, err := config.ReleaseOf(cfg.Cluster.KubernetesVersion)
	if err != nil {
		return err
	}
	first, err := controlPlaneOf(args.Hosts)
	if err != nil {
		return err
	}
	name := cfg.Cluster.Name
	c.Machine, c.MachineID = first.Machine, first.ProviderID
	c.Kubeconfig = kubeconfig(name, args.PublicEndpoint, c.pki.cluster, "admin", c.pki.admin)
	s := steps{cfg: cfg, release: rel, pki: c.pki, args: args}

	c.controlPlane = newHost(first, args.SSHPrivateKey, c.commands, c)
	prepared, err := c.prepare(ctx, s, first, c.controlPlane)
	if err != nil {
		return err
	}
	c.APIReady, err = c.controlPlane.run(ctx, first.Name+"-init", s.init(first),
		dependsOn(append([]pulumi.Resource{prepared}, args.APIRecords...)...))
	if err != nil {
		return err
	}
	// Other steps are over when their machine goes. The end of this one acts on the bucket.
	if _, err := c.OnControlPlane(ctx, "etcd-backup", s.backup(first), pulumi.DeletedWith(nil)); err != nil {
		return err
	}
	for _, h := range args.Hosts {
		c.nodeNames = append(c.nodeNames, h.Name)
		last, err := c.join(ctx, s, h, first)
		if err != nil {
			return err
		}
		c.Joined = append(c.Joined, last)
	}
	c.Provider, err = kubernetes.NewProvider(ctx, name, &kubernetes.ProviderArgs{
		Kubeconfig: c.Kubeconfig,
		// Otherwise a kubeconfig that is not known in a preview would replace everything in the cluster.
		ClusterIdentifier: pulumi.String(name),
		// A run that was killed, or a destroy that stopped at a release gate, leaves objects that the state does not know.
		// The next up takes them over. An object that gets another name in the program needs an alias, because deleting the
		// old one would delete what the new one has taken over.
		UpsertExistingObjects: pulumi.Bool(true),
	}, pulumi.Parent(c), dependsOn(c.APIReady))
	if err != nil {
		return fmt.Errorf("kubernetes provider: %w", err)
	}
	return ctx.RegisterResourceOutputs(c, pulumi.Map{"kubeconfig": c.Kubeconfig})
}

// keys makes the providers, and the PKI with two of them.
func (c *Cluster) keys(ctx *pulumi.Context, name string) error {
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
	c.pki, err = newPKI(ctx, name, tlsProvider, randomProvider, c)
	return err
}

// prepare makes the steps of a host that need no cluster.
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

// join brings a host into the cluster and returns its last step.
func (c *Cluster) join(ctx *pulumi.Context, s steps, h, controlPlane Host) (pulumi.Resource, error) {
	if h.Role == config.ControlPlane {
		return c.OnControlPlane(ctx, h.Name+"-node", s.node(h, controlPlane))
	}
	on := newHost(h, s.args.SSHPrivateKey, c.commands, c)
	prepared, err := c.prepare(ctx, s, h, on)
	if err != nil {
		return nil, err
	}
	joined, err := on.run(ctx, h.Name+"-join", s.join(h, controlPlane), dependsOn(prepared, c.APIReady))
	if err != nil {
		return nil, err
	}
	return c.OnControlPlane(ctx, h.Name+"-node", s.node(h, controlPlane), dependsOn(joined))
}

// OnControlPlane runs a step on the control plane once the API answers. KUBECONFIG is not set; scripts use
// /etc/kubernetes/admin.conf.
func (c *Cluster) OnControlPlane(ctx *pulumi.Context, name string, step Step, opts ...pulumi.ResourceOption) (*remote.Command, error) {
	return c.controlPlane.run(ctx, name, step, append([]pulumi.ResourceOption{dependsOn(c.APIReady)}, opts...)...)
}

// NodesReady waits until every node of the configuration is Ready. Without opts it waits for the hosts to join; give
// it the network plugin to depend on, without which no node becomes Ready.
func (c *Cluster) NodesReady(ctx *pulumi.Context, opts ...pulumi.ResourceOption) (*remote.Command, error) {
	return c.OnControlPlane(ctx, "nodes-ready", Step{
		Name: "nodes-ready", Minutes: 15,
		Run: Script{Text: nodesReadyScript, Env: map[string]pulumi.StringInput{
			// Sorted, because the order of the list in the configuration means nothing.
			"NODES":         pulumi.String(strings.Join(slices.Sorted(slices.Values(c.nodeNames)), " ")),
			"CONTROL_PLANE": c.controlPlane.id,
		}},
	}, append([]pulumi.ResourceOption{pulumi.DependsOn(c.Joined)}, opts...)...)
}

func controlPlaneOf(hosts []Host) (Host, error) {
	var found []Host
	for _, h := range hosts {
		if h.Role == config.ControlPlane {
			found = append(found, h)
		}
	}
	if len(found) != 1 {
		return Host{}, errors.New("a cluster needs exactly one control plane; more than one is not supported yet")
	}
	return found[0], nil
}

func dependsOn(resources ...pulumi.Resource) pulumi.ResourceOption {
	return pulumi.DependsOn(resources)
}
