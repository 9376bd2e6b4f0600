// Package addons installs what runs on top of the cluster, one file per add-on. Install holds the order.
package addons

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
)

// Args are the facts that add-ons need.
type Args struct {
	Config         *config.Config
	Cluster        *cluster.Cluster
	VPCID          pulumi.StringInput
	CertificateARN pulumi.StringPtrInput
	ZoneID         pulumi.StringPtrInput
	// LoadBalancerGroup and BackendGroup are security group ids for the shared load balancer.
	LoadBalancerGroup pulumi.StringInput
	BackendGroup      pulumi.StringInput
	BackupBucket      pulumi.StringInput
	LogBucket         pulumi.StringPtrInput
	// MustOutliveAddons has to stay until every controller is gone.
	MustOutliveAddons []pulumi.Resource
	// AWSProvider is used for the DNS records that point to the load balancer.
	AWSProvider *aws.Provider
}
