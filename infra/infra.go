// Package infra creates the AWS resources of a cluster, one file per subject. It does not depend on Kubernetes,
// except for tags.
package infra

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Infra holds the facts about the AWS resources that packages cluster and addons need.
type Infra struct {
	pulumi.ResourceState

	Provider *aws.Provider
	VPCID    pulumi.StringOutput
	// SubnetIDs are those of the public subnets, in the order of the configured zones.
	SubnetIDs pulumi.StringArray
	// Nodes are in the order of the configuration.
	Nodes []Node
	// SSHPrivateKey is the user key in OpenSSH format. It is secret.
	SSHPrivateKey pulumi.StringOutput
	// APIName is the name of the API inside the VPC, api.<cluster>.internal.
	APIName string
	// APIPublicEndpoint is the host by which administrators reach the API: api.<domain>, or the Elastic IP. The
	// Elastic IP is used without a domain, and for a zone that the stack creates, because its delegation may happen
	// at any later time.
	APIPublicEndpoint pulumi.StringOutput
	// APISANs are the names and addresses that the API certificate must contain in addition to the defaults.
	APISANs pulumi.StringArray
	// BackupBucket is the name of the bucket for etcd snapshots.
	BackupBucket pulumi.StringOutput
	// DatabaseBackupRole is the ARN of the role for PostgreSQL's backups, or nil if there are none.
	DatabaseBackupRole pulumi.StringInput
	// LogBucket is the name of Loki's bucket, or nil if logging is off.
	LogBucket pulumi.StringPtrInput
	// CertificateARN is the validated ACM certificate, or nil without a domain.
	CertificateARN pulumi.StringPtrInput
	// ZoneID is the public hosted zone, or nil without a domain.
	ZoneID pulumi.StringPtrInput
	// LoadBalancerGroup is the security group of the shared load balancer (80 and 443 from anywhere). BackendGroup is
	// the group that its targets accept. Both belong to Pulumi, so that controllers need not create them.
	LoadBalancerGroup pulumi.StringOutput
	BackendGroup      pulumi.StringOutput
	// Issuer lets AWS trust tokens of the cluster, or is nil without workload identity.
	Issuer *Issuer
	// Repositories maps a repository name to its URL.
	Repositories pulumi.StringMap
	// APIRecords are the DNS records of the API's names. Resources that call the API depend on them; connections to a
	// host do not.
	APIRecords []pulumi.Resource
	// DependsOn are the resources that the controllers in the cluster need until they are deleted: policies,
	// routes, nodes.
	DependsOn []pulumi.Resource

	deployer *deployer
}

// New asks AWS whether the account can hold the resources that do not exist yet. It creates nothing; Build does.
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

// Before are the resources of other packages that machines wait for.
type Before struct {
	// Identity exists before the machines and until they are deleted.
	Identity []pulumi.Resource
	// Serving creates the resource that machines of control planes wait for. It gets the control planes without their
	// machines, and the private key for SSH. It may be nil, and return nil.
	Serving func(controlPlanes []Node, key pulumi.StringInput) (pulumi.Resource, error)
}

// Build registers all AWS resources of a cluster and returns without waiting for them. Outputs are known once their
// resources exist.
func (in *Infra) Build(before Before) error {
	if err := in.build(before); err != nil {
		return fmt.Errorf("infra: %w", err)
	}
	return nil
}

func (in *Infra) build(before Before) error {
	s := in.deployer
	network := phase(s, newNetwork, none{})
	firewall := phase(s, newFirewall, network)
	storage := phase(s, newStorage, none{})
	identity := phase(s, newIdentity, identityArgs{network, storage})
	issuer := phase(s, newIssuer, identityArgs{network, storage})
	keys := phase(s, newKeys, none{})
	registry := phase(s, newRegistry, none{})
	sweep := phase(s, newSweep, sweepArgs{network, firewall})
	instances := phase(s, newInstances, instancesArgs{network, firewall, identity, keys, sweep, before})
	dns := phase(s, newDNS, dnsArgs{network, instances})
	if s.err != nil {
		return s.err
	}

	in.Provider = s.provider
	in.VPCID = network.VPC.ID().ToStringOutput()
	for _, subnet := range network.Subnets {
		in.SubnetIDs = append(in.SubnetIDs, subnet.ID())
	}
	in.Nodes = instances.Nodes
	in.SSHPrivateKey = keys.User.PrivateKeyOpenssh
	in.APIName = s.cfg.APIName()
	in.APIPublicEndpoint, in.APISANs = apiNames(s.cfg, instances)
	in.APIRecords = dns.Records
	in.BackupBucket, in.LogBucket, in.DatabaseBackupRole = storage.Backups.Bucket, storage.logBucket(),
		identity.DatabaseBackupRole
	in.CertificateARN, in.ZoneID = dns.CertificateARN, dns.ZoneID
	in.LoadBalancerGroup = firewall.LoadBalancer.ID().ToStringOutput()
	in.BackendGroup = firewall.Backend.ID().ToStringOutput()
	in.Repositories = registry.URLs
	in.DependsOn = slices.Clone(dns.Records)
	if in.Issuer = issuer; issuer != nil {
		in.DependsOn = slices.Concat(in.DependsOn, issuer.dependsOn, issuer.Policies)
	}
	for _, n := range in.Nodes {
		in.DependsOn = append(append(in.DependsOn, n.Instance), n.DependsOn...)
	}
	return s.ctx.RegisterResourceOutputs(in, pulumi.Map{
		"vpcId":       in.VPCID,
		"apiEndpoint": in.APIPublicEndpoint,
	})
}

// apiNames returns the host by which administrators reach the API, and all names and addresses that its certificate
// must contain.
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
	for _, n := range instances.controlPlanes() {
		sans = append(sans, n.PublicIP, n.PrivateIP)
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
	// DependsOn are the resources without which the node cannot be reached or cannot work, in addition to those that its
	// instance depends on: the Elastic IP and the policies of a control plane.
	DependsOn []pulumi.Resource
}
