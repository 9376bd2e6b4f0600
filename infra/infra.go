// Package infra makes the AWS resources of a cluster, one file per subject. It knows nothing of Kubernetes beyond tags.
package infra

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Infra is what the next layers need to know of the AWS resources.
type Infra struct {
	pulumi.ResourceState

	Provider *aws.Provider
	VPCID    pulumi.StringOutput
	// Nodes are in the order of the configuration.
	Nodes []Node
	// SSHPrivateKey is the user key in OpenSSH format; secret.
	SSHPrivateKey pulumi.StringOutput
	// APIName is the name of the API inside the VPC, api.<cluster>.internal.
	APIName string
	// APIPublicEndpoint is the host that administrators reach the API by: api.<domain>, or the Elastic IP where there is no domain
	// or its zone is new, because nobody can say when the new zone is delegated.
	APIPublicEndpoint pulumi.StringOutput
	// APISANs are the names and addresses that the API certificate must hold beside the defaults.
	APISANs pulumi.StringArray
	// BackupBucket is the name of the bucket for etcd snapshots.
	BackupBucket pulumi.StringOutput
	// DatabaseBackupRole is the ARN of the role of PostgreSQL's backups; nil when there are none.
	DatabaseBackupRole pulumi.StringInput
	// LogBucket is the name of Loki's bucket; nil when logging is off.
	LogBucket pulumi.StringPtrInput
	// CertificateARN is the validated ACM certificate; nil without a domain.
	CertificateARN pulumi.StringPtrInput
	// ZoneID is the public hosted zone; nil without a domain.
	ZoneID pulumi.StringPtrInput
	// LoadBalancerGroup is the security group of the shared load balancer (80 and 443 from anywhere);
	// BackendGroup is the one its targets trust. Both belong to Pulumi, so that no controller has to make them.
	LoadBalancerGroup pulumi.StringOutput
	BackendGroup      pulumi.StringOutput
	// Repositories maps a repository name to its URL.
	Repositories pulumi.StringMap
	// APIRecords make the names of the API resolve. Whatever asks for the API waits for them; reaching a host does not.
	APIRecords []pulumi.Resource
	// MustOutliveAddons is what the controllers in the cluster need until they are gone: policies, routes, nodes.
	MustOutliveAddons []pulumi.Resource

	deployer *deployer
}

// New asks AWS whether the account can hold what does not exist yet. It makes nothing; Build does.
func New(ctx *pulumi.Context, cfg *config.Config, exists Exists) (*Infra, error) {
	in := &Infra{}
	err := ctx.RegisterComponentResource("kubeadm-aws:infra:Infra", cfg.Cluster.Name, in)
	if err == nil {
		in.deployer, err = newDeployer(ctx, cfg, exists, in)
	}
	if err != nil {
		return nil, fmt.Errorf("infra: %w", err)
	}
	return in, nil
}

// Build makes everything AWS has to give to a cluster and returns as soon as it is declared; outputs are known when it exists.
// The instances depend on clusterIdentity: it exists before them and until they are deleted.
func (in *Infra) Build(clusterIdentity []pulumi.Resource) error {
	if err := in.build(clusterIdentity); err != nil {
		return fmt.Errorf("infra: %w", err)
	}
	return nil
}

func (in *Infra) build(clusterIdentity []pulumi.Resource) error {
	s := in.deployer
	network := phase(s, newNetwork, none{})
	firewall := phase(s, newFirewall, network)
	storage := phase(s, newStorage, none{})
	identity := phase(s, newIdentity, identityArgs{network, storage})
	keys := phase(s, newKeys, none{})
	registry := phase(s, newRegistry, none{})
	sweep := phase(s, newSweep, sweepArgs{network, firewall})
	instances := phase(s, newInstances, instancesArgs{network, firewall, identity, keys, sweep, clusterIdentity})
	dns := phase(s, newDNS, dnsArgs{network, instances})
	if s.err != nil {
		return s.err
	}

	in.Provider = s.provider
	in.VPCID = network.VPC.ID().ToStringOutput()
	in.Nodes = instances.Nodes
	in.SSHPrivateKey = keys.User.PrivateKeyOpenssh
	in.APIName = s.cfg.APIName()
	in.APIPublicEndpoint, in.APISANs = apiNames(s.cfg, instances)
	in.APIRecords = dns.Records
	in.BackupBucket, in.LogBucket, in.DatabaseBackupRole = storage.Backups.Bucket, storage.logBucket(), identity.DatabaseBackupRole
	in.CertificateARN, in.ZoneID = dns.CertificateARN, dns.ZoneID
	in.LoadBalancerGroup = firewall.LoadBalancer.ID().ToStringOutput()
	in.BackendGroup = firewall.Backend.ID().ToStringOutput()
	in.Repositories = registry.URLs
	in.MustOutliveAddons = slices.Clone(dns.Records)
	for _, n := range in.Nodes {
		in.MustOutliveAddons = append(append(in.MustOutliveAddons, n.Instance), n.Needs...)
	}
	return s.ctx.RegisterResourceOutputs(in, pulumi.Map{
		"vpcId":       in.VPCID,
		"apiEndpoint": in.APIPublicEndpoint,
	})
}

// apiNames are the host that administrators reach the API by, and all the names and addresses its certificate must hold.
func apiNames(cfg *config.Config, instances *Instances) (pulumi.StringOutput, pulumi.StringArray) {
	sans := pulumi.StringArray{pulumi.String(cfg.APIName())}
	endpoint := instances.Addresses[cfg.ControlPlane().Name].PublicIp
	if cfg.DNS.Domain != "" {
		public := pulumi.String("api." + cfg.DNS.Domain)
		sans = append(sans, public)
		if !cfg.DNS.CreateZone {
			endpoint = public.ToStringOutput()
		}
	}
	for _, n := range instances.Nodes {
		if n.Role == config.ControlPlane {
			sans = append(sans, n.PublicIP, n.PrivateIP)
		}
	}
	return endpoint, sans
}

// Node is one EC2 instance.
type Node struct {
	config.Node
	Zone       string
	User       string
	PublicIP   pulumi.StringOutput
	PrivateIP  pulumi.StringOutput
	ProviderID pulumi.StringOutput
	// HostKey is the SSH host key in authorized_keys format, known before the host first boots.
	HostKey  pulumi.StringOutput
	Instance pulumi.Resource
	// Needs are the resources without which the node cannot be reached, or do its work, beside those that its instance
	// depends on: the Elastic IP and the policies of a control plane.
	Needs []pulumi.Resource
}
