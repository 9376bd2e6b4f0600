// Package infra makes the AWS resources of a cluster, one file per subject. It knows nothing of Kubernetes beyond tags.
package infra

import (
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
	// APIPublicEndpoint is the host that administrators reach the API by: api.<domain>, or the Elastic IP without a domain.
	APIPublicEndpoint pulumi.StringOutput
	// APISANs are the names and addresses that the API certificate must hold beside the defaults.
	APISANs pulumi.StringArray
	// BackupBucket is the name of the bucket for etcd snapshots.
	BackupBucket pulumi.StringOutput
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
	// MustOutliveAddons is what the controllers in the cluster need until they are gone: policies, routes, nodes.
	MustOutliveAddons []pulumi.Resource
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
	// Needs are the resources without which the node cannot be reached or cannot reach out: routes, rules, its address.
	Needs []pulumi.Resource
}
