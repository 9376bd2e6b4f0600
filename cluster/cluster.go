// Package cluster makes one kubeadm cluster on given hosts over SSH. It knows hosts, not AWS.
package cluster

import (
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
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
	Needs   []pulumi.Resource
}

// Args are the inputs of New.
type Args struct {
	Config        *config.Config
	Hosts         []Host
	SSHPrivateKey pulumi.StringInput
	// Endpoint is the API's name inside; PublicEndpoint is the host that the kubeconfig points to.
	Endpoint       string
	PublicEndpoint pulumi.StringInput
	CertSANs       pulumi.StringArray
	BackupBucket   pulumi.StringInput
}

// Cluster is a cluster whose API answers once APIReady exists, and whose hosts have all joined once Joined exist.
type Cluster struct {
	pulumi.ResourceState

	// Kubeconfig is the administrator's; secret.
	Kubeconfig pulumi.StringOutput
	Provider   *kubernetes.Provider
	APIReady   pulumi.Resource
	// Joined holds the last step of every host.
	Joined []pulumi.Resource
}
