// Package addons installs what runs on top of the cluster, one file per add-on. Install holds the order.
//
// A dependency here means "this must outlive that". Install follows the dependencies forwards, destroy backwards.
// Add-ons without a reason to wait for each other have no dependency and start together.
//
//	nodes, AWS permissions, routes
//	  Calico, cloud controller manager        nodes become Ready; dropped on destroy with their nodes
//	    nodes-ready                           everything that runs on nodes waits for it
//	      EBS CSI driver, snapshot controller deletes volumes and snapshots
//	        gate: volumes                     deletes snapshots and claims of users, waits until the volumes are deleted
//	          Prometheus, Grafana, Loki, Valkey, RabbitmqCluster, PostgreSQL
//	      Load Balancer Controller, class     deletes load balancers
//	        gate: load balancers              deletes Ingresses of users, waits until the load balancers are deleted
//	          Ingresses of the platform, DNS records, ACME issuer
//	      operators of RabbitMQ, PostgreSQL   remove the finalizers of their custom resources
//	        gate: custom resources of users   runs before the gate of volumes, because volumes follow
//	          RabbitmqCluster, Cluster
//	      Argo CD                             deletes what Applications deployed
//	        gate: Applications                runs before all other gates: Applications deploy all of these
//	          root Application
//	      cert-manager, metrics-server, Argo Rollouts, handler of spot interruptions
//
// Custom resource definitions of the Prometheus operator are installed first and separately, because half of the charts
// contain monitors. Those of VolumeSnapshots come before the driver, whose sidecar exits without them. Namespaces need
// only the API, and are lost with it.
//
// The objects below a gate are the program's own objects of its kind: RabbitmqCluster, Cluster, Ingresses, root
// Application. Their gate removes them, whether their controller runs or not (see builder.deletedByGate).
package addons

import (
	"embed"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
)

// Scripts holds the scripts of this package's steps. The control plane must have them: see cluster.Args.
//
//go:embed scripts/*.sh
var Scripts embed.FS

// Args are the facts about the cluster and the account that add-ons need.
type Args struct {
	Config  *config.Config
	Cluster *cluster.Cluster
	VPCID   pulumi.StringInput
	// SubnetIDs are the subnets of the shared load balancer.
	SubnetIDs      pulumi.StringArrayInput
	CertificateARN pulumi.StringPtrInput
	ZoneID         pulumi.StringPtrInput
	// LoadBalancerGroup and BackendGroup are the ids of the shared load balancer's security groups.
	LoadBalancerGroup pulumi.StringInput
	BackendGroup      pulumi.StringInput
	BackupBucket      pulumi.StringInput
	LogBucket         pulumi.StringPtrInput
	// DatabaseBackupRole is the ARN of the role for PostgreSQL's backups, or nil if there are none.
	DatabaseBackupRole pulumi.StringInput
	// Database is what the state shows of PostgreSQL.
	Database Database
	// Roles are the ARNs of the IAM roles of service accounts, by namespace/name. A controller without one uses the
	// role of the control plane.
	Roles pulumi.StringMap
	// DependsOn are resources that must exist until every controller is deleted.
	DependsOn []pulumi.Resource
	// AWSProvider is used for the DNS records that point to the load balancer.
	AWSProvider *aws.Provider
}

// Platform is the component of everything on top of the cluster.
type Platform struct {
	pulumi.ResourceState

	// NodesReady exists once every node is Ready.
	NodesReady pulumi.Resource
	// URLs are the addresses of the platform's services, by name. It is empty without a domain.
	URLs map[string]string
	// Passwords are the passwords of the platform's services, by name. They are secret.
	Passwords map[string]pulumi.StringOutput
	// DatabaseArchive is the folder of PostgreSQL's backups. It is nil without backups.
	DatabaseArchive pulumi.StringInput
}

// Install installs the enabled add-ons into the cluster.
func Install(ctx *pulumi.Context, args Args) (*Platform, error) {
	root := &Platform{URLs: map[string]string{}, Passwords: map[string]pulumi.StringOutput{}}
	providers := []pulumi.ProviderResource{args.Cluster.Provider}
	if args.AWSProvider != nil {
		providers = append(providers, args.AWSProvider)
	}
	if err := ctx.RegisterComponentResource("kubeadm-aws:addons:Platform", "platform", root,
		pulumi.Providers(providers...)); err != nil {
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

// install installs the add-ons in the order of the package comment. The functions of disabled add-ons return nil.
func (b *builder) install() {
	network := calico{b}.install()
	cloud := cloudController{b}.install()
	b.root.NodesReady = b.nodesReady(network, cloud)

	clusterDNS{b}.budget()
	monitors := monitoring{b}.definitions()
	metricsServer{b}.install()
	interruptions{b}.install()
	volumes := ebs{b}.install()
	certificates := certManager{b}.install(monitors)
	balancers := loadBalancer{b}.install()
	certManager{b}.clusterIssuer(certificates, balancers)
	dataServices{b}.install(monitors, volumes)
	grafana := monitoring{b}.install(monitors, volumes)
	logging{b}.install(monitors, volumes)
	identity := podIdentity{b}.install()
	argocd := argoCD{b}.install(monitors,
		append(b.customResourceGates, balancers, volumes.gate, certificates, identity)...)
	rollouts{b}.install(monitors)
	ingresses{b}.install(balancers, argocd, grafana)
	admission{b}.install()
}
