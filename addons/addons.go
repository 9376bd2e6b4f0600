// Package addons installs what runs on top of the cluster, one file per add-on. Install holds the order.
//
// A dependency here says "this must outlive that", so that install and destroy are the same order, read in two
// directions. Nothing depends on anything for tidiness: what can start together does.
//
//	nodes, AWS permissions, routes
//	  Calico, cloud controller manager        nodes become Ready; dropped on destroy, they die with their nodes
//	    nodes-ready                           the gate to everything that runs on nodes
//	      EBS CSI driver, snapshot controller deletes volumes and snapshots
//	        gate: volumes                     deletes snapshots and claims of users, waits until the volumes are gone
//	          Prometheus, Grafana, Loki, Valkey, RabbitmqCluster, PostgreSQL
//	      Load Balancer Controller, class     deletes load balancers
//	        gate: load balancers              deletes Ingresses of users, waits until the load balancers are gone
//	          Ingresses of the platform, DNS records, ACME issuer
//	      operators of RabbitMQ, PostgreSQL   remove the finalizers of their custom resources
//	        gate: custom resources of users   after whom come volumes, so it stands before the gate of volumes
//	          RabbitmqCluster, Cluster
//	      Argo CD                             deletes what Applications deployed
//	        gate: Applications                before all other gates, because Applications deploy all of the above
//	          root Application
//	      cert-manager, metrics-server, Argo Rollouts
//
// Custom resource definitions of the Prometheus operator come first of all and by themselves, because half of the
// charts bring monitors. Those of VolumeSnapshots come before the driver, whose sidecar ends without them. Namespaces need the API alone, and die with it.
//
// Below a gate stand the program's own objects of its kind: RabbitmqCluster, Cluster, Ingresses, root Application. They
// go with their gate, which removes them whether their controller lives or not (see builder.behind).
package addons

import (
	"fmt"

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
	// DatabaseBackupRole is the ARN of the role of PostgreSQL's backups; nil when there are none.
	DatabaseBackupRole pulumi.StringInput
	// DependsOn has to stay until every controller is gone.
	DependsOn []pulumi.Resource
	// AWSProvider is used for the DNS records that point to the load balancer.
	AWSProvider *aws.Provider
}

// Platform is everything on top of the cluster.
type Platform struct {
	pulumi.ResourceState

	// NodesReady exists once every node is Ready.
	NodesReady pulumi.Resource
	// URLs are the addresses of what the platform serves, by name. Empty without a domain.
	URLs map[string]string
	// Passwords are the passwords of what the platform runs, by name. They are secrets.
	Passwords map[string]pulumi.StringOutput
}

// Install puts the add-ons onto the cluster.
func Install(ctx *pulumi.Context, args Args) (*Platform, error) {
	root := &Platform{URLs: map[string]string{}, Passwords: map[string]pulumi.StringOutput{}}
	providers := []pulumi.ProviderResource{args.Cluster.Provider}
	if args.AWSProvider != nil {
		providers = append(providers, args.AWSProvider)
	}
	if err := ctx.RegisterComponentResource("kubeadm-aws:addons:Platform", "platform", root, pulumi.Providers(providers...)); err != nil {
		return nil, fmt.Errorf("platform: %w", err)
	}
	b := &builder{ctx: ctx, args: args, cfg: args.Config, root: root}
	b.providers()
	b.install()
	if b.err != nil {
		return nil, b.err
	}
	return root, ctx.RegisterResourceOutputs(root, pulumi.Map{"urls": pulumi.ToStringMap(root.URLs)})
}

// install goes through the add-ons in the order of the comment above. What is switched off is nil.
func (b *builder) install() {
	calico := b.calico()
	cloud := b.cloudController()
	b.root.NodesReady = b.nodesReady(calico, cloud)

	b.dnsBudget()
	monitors := b.monitorDefinitions()
	b.metricsServer()
	volumes := b.ebs()
	certManager := b.certManager(monitors)
	balancers := b.loadBalancerController()
	b.clusterIssuer(certManager, balancers)
	b.data(monitors, volumes)
	monitoring := b.monitoring(monitors, volumes)
	b.logging(monitors, volumes)
	argocd := b.argocd(monitors, append(b.customResourceGates, balancers, volumes.gate)...)
	b.rollouts(monitors)
	b.ingress(balancers, argocd, monitoring)
}
