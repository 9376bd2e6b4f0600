package stack

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons"
	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
	"kubeadm-aws/infra"
)

// export exports what a person or a pipeline needs after `up`. Secrets are marked, so `pulumi stack output` hides
// them.
func export(ctx *pulumi.Context, cfg *config.Config, aws *infra.Infra, kube *cluster.Cluster,
	platform *addons.Platform) {
	nodes, ssh := pulumi.Map{}, pulumi.StringMap{}
	for _, n := range aws.Nodes {
		nodes[n.Name] = pulumi.StringMap{
			"role":      pulumi.String(n.Role),
			"publicIp":  n.PublicIP,
			"privateIp": n.PrivateIP,
			"zone":      pulumi.String(n.Zone),
		}
		ssh[n.Name] = pulumi.Sprintf("ssh -i id_%s %s@%s", cfg.Cluster.Name, n.User, n.PublicIP)
	}
	ctx.Export("cluster", pulumi.String(cfg.Cluster.Name))
	ctx.Export("kubernetes", pulumi.String(cfg.Cluster.KubernetesVersion))
	ctx.Export("apiUrl", pulumi.Sprintf("https://%s:6443", aws.APIPublicEndpoint))
	ctx.Export("nodes", nodes)
	ctx.Export("ssh", ssh)
	ctx.Export("sshPrivateKey", pulumi.ToSecret(aws.SSHPrivateKey))
	ctx.Export("kubeconfig", pulumi.ToSecret(kube.Kubeconfig))
	ctx.Export("backupBucket", aws.BackupBucket)
	ctx.Export("vpcId", aws.VPCID)
	if aws.Issuer != nil {
		ctx.Export("identity", pulumi.Map{"issuer": aws.Issuer.URL, "bucket": aws.Issuer.Bucket.Bucket,
			"roles": aws.Issuer.Roles})
	}
	if len(aws.Repositories) > 0 {
		ctx.Export("repositories", aws.Repositories)
	}
	if platform.DatabaseArchive != nil {
		ctx.Export("postgresqlArchive", platform.DatabaseArchive)
	}
	if aws.CertificateARN != nil {
		ctx.Export("certificateArn", aws.CertificateARN)
	}
	if len(platform.URLs) > 0 {
		ctx.Export("urls", pulumi.ToStringMap(platform.URLs))
	}
	for name, password := range platform.Passwords {
		ctx.Export(name+"Password", pulumi.ToSecret(password))
	}
	ctx.Export("next", pulumi.ToStringArray([]string{
		"pulumi stack output kubeconfig --show-secrets > kubeconfig && kubectl --kubeconfig kubeconfig get nodes",
		fmt.Sprintf("pulumi stack output sshPrivateKey --show-secrets > id_%s && chmod 600 id_%s", cfg.Cluster.Name,
			cfg.Cluster.Name),
		fmt.Sprintf("go run ./cmd/kubeadm-aws verify --stack %s --cloud aws", ctx.Stack()),
	}))
}
