package infra

import (
	"regexp"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
	"kubeadm-aws/infra/policy"
)

// rolePolicy is one inline policy of a role, named after the controller or program that uses it.
type rolePolicy struct {
	name     string
	document pulumi.StringInput
}

func fixed(name string, p policy.Document) rolePolicy {
	return rolePolicy{name, pulumi.String(p.JSON())}
}

// naming is a policy whose document contains a text that AWS decides, such as the ARN of a bucket or the id of the
// VPC.
func naming(name string, text pulumi.StringOutput, of func(text string) policy.Document) rolePolicy {
	return rolePolicy{name, text.ApplyT(func(text string) string { return of(text).JSON() }).(pulumi.StringOutput)}
}

// nodePolicies are the policies of the roles of nodes and controllers. Each policy has a method.
type nodePolicies struct{ *deployer }

// controlPlane returns the policies of the control plane's role. Without workload identity it also has those of the
// controllers.
func (p nodePolicies) controlPlane(storage *Storage, network *Network) []rolePolicy {
	policies := []rolePolicy{
		fixed("cloud-controller", p.cloudController()),
		fixed("images", p.pullImages()),
		naming("backups", storage.Backups.Arn, p.backups),
	}
	if !p.cfg.Identity.Enabled {
		for _, c := range p.controllers(storage, network) {
			policies = append(policies, c.policy)
		}
	}
	return policies
}

// controllerPolicy is what a controller may do, and the service account of its pods.
type controllerPolicy struct {
	account config.ServiceAccount
	policy  rolePolicy
}

// controllers returns the policies of the enabled controllers.
func (p nodePolicies) controllers(storage *Storage, network *Network) []controllerPolicy {
	vpc := network.VPC.ID().ToStringOutput()
	var policies []controllerPolicy
	if p.cfg.Addons.EBSCSI.On() {
		policies = append(policies, controllerPolicy{config.EBSDriverAccount, naming("volumes", vpc, p.volumes)})
	}
	if p.cfg.Addons.LoadBalancer.On() {
		policies = append(policies,
			controllerPolicy{config.LoadBalancerAccount, naming("load-balancers", vpc, p.loadBalancers)})
	}
	if storage.Logs != nil {
		policies = append(policies, controllerPolicy{config.LokiAccount, naming("logs", storage.Logs.Arn, logs)})
	}
	return policies
}

func (p nodePolicies) worker() []rolePolicy {
	return []rolePolicy{fixed("images", p.pullImages())}
}

var all = []string{"*"}

// cloudController is for node and node-lifecycle control only. The Load Balancer Controller handles Services, and the
// overlay needs no routes.
func (p nodePolicies) cloudController() policy.Document {
	return policy.New(policy.Allow("Describe", []string{
		"ec2:DescribeAvailabilityZones",
		"ec2:DescribeInstances",
		"ec2:DescribeInstanceTopology",
		"ec2:DescribeRegions",
		"ec2:DescribeRouteTables",
		"ec2:DescribeSecurityGroups",
		"ec2:DescribeSubnets",
		"ec2:DescribeVpcs",
	}, all, nil))
}

// ecrHost matches the host of a registry in ECR. The groups are its account and its region.
var ecrHost = regexp.MustCompile(`^([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.`)

// pullImages is for the registry of the cluster's account and region, and for that of the applications, which may be in
// another account or region.
func (p nodePolicies) pullImages() policy.Document {
	repositories := []string{p.arn("ecr", p.cfg.Region, p.accountID, "repository/*")}
	if host := ecrHost.FindStringSubmatch(p.cfg.Addons.ArgoCD.Registry); host != nil {
		repositories = append(repositories, p.arn("ecr", host[2], host[1], "repository/*"))
	}
	slices.Sort(repositories)
	return policy.New(
		policy.Allow("Login", []string{"ecr:GetAuthorizationToken"}, all, nil),
		policy.Allow("Pull", []string{
			"ecr:BatchCheckLayerAvailability",
			"ecr:BatchGetImage",
			"ecr:GetDownloadUrlForLayer",
		}, slices.Compact(repositories), nil),
	)
}

// backups does not allow deletes: an attacker on the control plane cannot delete the snapshots. A tag marks snapshots
// that a newer one has replaced, and the bucket's lifecycle rules remove those.
func (p nodePolicies) backups(bucket string) policy.Document {
	statements := []policy.Statement{
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("Snapshots", []string{"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"},
			[]string{bucket + "/" + p.cfg.Cluster.Name + "/etcd/*"}, nil),
	}
	if p.cfg.Addons.RabbitMQ.On() {
		statements = append(statements, policy.Allow("RabbitMQ", []string{"s3:PutObject"},
			[]string{bucket + "/" + p.cfg.Cluster.Name + "/rabbitmq/*"}, nil))
	}
	return policy.New(statements...)
}

// logs is for Loki, which deletes data after its retention.
func logs(bucket string) policy.Document {
	return policy.New(
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("Chunks", []string{"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}, []string{bucket + "/*"}, nil),
	)
}

// inVPC adds to a condition that an existing resource belongs to this cluster's VPC. Volumes and load balancers
// created before the tag was introduced have none, and remain allowed.
func inVPC(condition map[string]policy.Operands, vpc string) map[string]policy.Operands {
	condition["StringEqualsIfExists"] = policy.Operands{"aws:ResourceTag/" + config.TagVPC: {vpc}}
	return condition
}

// volumes is for the EBS CSI driver: volumes, their snapshots, restores and clones. The driver tags every volume and
// snapshot that it creates with the cluster's tag, so the policy allows only those.
func (p nodePolicies) volumes(vpc string) policy.Document {
	ec2 := func(kind string) string { return p.arn("ec2", p.cfg.Region, p.accountID, kind+"/*") }
	var (
		volume   = []string{ec2("volume")}
		snapshot = []string{p.arn("ec2", p.cfg.Region, "", "snapshot/*")} // the ARN of a snapshot contains no account
		making   = policy.Equals("aws:RequestTag/"+p.clusterTag(), "owned")
		ours     = inVPC(policy.Equals("aws:ResourceTag/"+p.clusterTag(), "owned"), vpc)
	)
	return policy.New(
		policy.Allow("Describe", []string{
			"ec2:DescribeAvailabilityZones",
			"ec2:DescribeInstances",
			"ec2:DescribeInstanceTypes",
			"ec2:DescribeSnapshots",
			"ec2:DescribeTags",
			"ec2:DescribeVolumes",
			"ec2:DescribeVolumesModifications",
			"ec2:DescribeVolumeStatus",
		}, all, nil),
		policy.Allow("Create", []string{"ec2:CopyVolumes", "ec2:CreateVolume"}, volume, making),
		policy.Allow("Clone", []string{"ec2:CopyVolumes"}, volume, policy.Equals("ec2:ResourceTag/"+p.clusterTag(), "owned")),
		policy.Allow("Snapshot", []string{"ec2:CreateSnapshot"}, snapshot, making),
		policy.Allow("Use", []string{"ec2:AttachVolume", "ec2:CreateSnapshot", "ec2:DeleteVolume", "ec2:DetachVolume",
			"ec2:ModifyVolume"},
			append([]string{ec2("instance")}, volume...), ours),
		policy.Allow("Restore", []string{"ec2:CreateVolume", "ec2:DeleteSnapshot"}, snapshot, ours),
		policy.Allow("TagNew", []string{"ec2:CreateTags"}, append(snapshot[:1:1], volume...), map[string]policy.Operands{
			"StringEquals": {"ec2:CreateAction": {"CopyVolumes", "CreateSnapshot", "CreateVolume"}},
		}),
		// A VolumeAttributesClass may change tags, but not the tags that assign the volume to the cluster.
		policy.Allow("TagLater", []string{"ec2:CreateTags", "ec2:DeleteTags"}, volume, map[string]policy.Operands{
			"StringEquals":                 {"aws:ResourceTag/" + p.clusterTag(): {"owned"}},
			"StringEqualsIfExists":         {"aws:ResourceTag/" + config.TagVPC: {vpc}},
			"Null":                         {"aws:TagKeys": {"false"}},
			"ForAllValues:StringNotEquals": {"aws:TagKeys": {config.TagVPC, p.clusterTag()}},
		}),
		// If the account encrypts volumes with a customer-managed key, EC2 uses that key on behalf of the driver.
		// Without this permission a new volume disappears right after its creation.
		policy.Allow("Key", []string{"kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"},
			[]string{p.arn("kms", p.cfg.Region, p.accountID, "key/*")},
			map[string]policy.Operands{"StringEquals": {"kms:ViaService": p.ec2Names()}}),
	)
}

// loadBalancerReads are the read actions of the AWS Load Balancer Controller.
var loadBalancerReads = []string{
	"acm:DescribeCertificate",
	"acm:ListCertificates",
	"ec2:DescribeAccountAttributes",
	"ec2:DescribeAddresses",
	"ec2:DescribeAvailabilityZones",
	"ec2:DescribeInstances",
	"ec2:DescribeInternetGateways",
	"ec2:DescribeIpamPools",
	"ec2:DescribeNetworkInterfaces",
	"ec2:DescribeRouteTables",
	"ec2:DescribeSecurityGroups",
	"ec2:DescribeSubnets",
	"ec2:DescribeTags",
	"ec2:DescribeVpcPeeringConnections",
	"ec2:DescribeVpcs",
	"ec2:GetSecurityGroupsForVpc",
	"elasticloadbalancing:DescribeCapacityReservation",
	"elasticloadbalancing:DescribeListenerAttributes",
	"elasticloadbalancing:DescribeListenerCertificates",
	"elasticloadbalancing:DescribeListeners",
	"elasticloadbalancing:DescribeLoadBalancerAttributes",
	"elasticloadbalancing:DescribeLoadBalancers",
	"elasticloadbalancing:DescribeRules",
	"elasticloadbalancing:DescribeSSLPolicies",
	"elasticloadbalancing:DescribeTags",
	"elasticloadbalancing:DescribeTargetGroupAttributes",
	"elasticloadbalancing:DescribeTargetGroups",
	"elasticloadbalancing:DescribeTargetHealth",
	"elasticloadbalancing:DescribeTrustStores",
}

// loadBalancers is for the AWS Load Balancer Controller: application and network load balancers with instance
// targets. The controller tags its resources with its own tag and the name of the cluster. Permissions of the
// project's policy that are left out: WAF, Shield, Cognito, certificates in IAM.
// SetRulePriorities is the only action for which the service passes no tags to conditions, so it is allowed on every
// rule of the account and region. The controller calls it whenever an Ingress of the shared group is added or
// removed.
func (p nodePolicies) loadBalancers(vpc string) policy.Document {
	const tag = "elbv2.k8s.aws/cluster"
	var (
		name     = p.cfg.Cluster.Name
		ec2      = func(kind string) string { return p.arn("ec2", p.cfg.Region, p.accountID, kind+"/*") }
		elb      = func(kind string) string { return p.arn("elasticloadbalancing", p.cfg.Region, p.accountID, kind) }
		group    = []string{ec2("security-group")}
		made     = inVPC(policy.Equals("aws:ResourceTag/"+tag, name), vpc)
		making   = policy.Equals("aws:RequestTag/"+tag, name)
		ofNodes  = policy.Equals("aws:ResourceTag/"+p.clusterTag(), "owned")
		creating = func(action string) map[string]policy.Operands {
			return map[string]policy.Operands{"StringEquals": {"ec2:CreateAction": {action}, "aws:RequestTag/" + tag: {name}}}
		}
	)
	return policy.New(
		policy.Allow("Describe", loadBalancerReads, all, nil),
		// An account that never had a load balancer lacks the service-linked role that AWS uses for them.
		policy.Allow("ServiceRole", []string{"iam:CreateServiceLinkedRole"},
			[]string{p.arn("iam", "", p.accountID, "role/aws-service-role/elasticloadbalancing.amazonaws.com/*")},
			// The name is the same in every partition.
			policy.Equals("iam:AWSServiceName", "elasticloadbalancing.amazonaws.com")),
		policy.Allow("CreateGroup", []string{"ec2:CreateSecurityGroup"}, group, making),
		policy.Allow("CreateGroupInVpc", []string{"ec2:CreateSecurityGroup"}, []string{ec2("vpc")}, ofNodes),
		policy.Allow("TagNewGroup", []string{"ec2:CreateTags"}, group, creating("CreateSecurityGroup")),
		policy.Allow("ChangeGroup", []string{
			"ec2:AuthorizeSecurityGroupIngress",
			"ec2:CreateTags",
			"ec2:DeleteSecurityGroup",
			"ec2:DeleteTags",
			"ec2:RevokeSecurityGroupIngress",
		}, group, made),
		policy.Allow("OpenNodes", []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"},
			group, ofNodes),
		policy.Allow("Create", elbActions("CreateLoadBalancer", "CreateTargetGroup"),
			[]string{elb("loadbalancer/*"), elb("targetgroup/*")}, making),
		// Only in a load balancer of the cluster: the tags are those of the load balancer or listener that gets the
		// new part.
		policy.Allow("Add", elbActions("CreateListener", "CreateRule"),
			[]string{elb("loadbalancer/*"), elb("listener/*")}, made),
		policy.Allow("TagNew", elbActions("AddTags"), []string{elb("*")}, map[string]policy.Operands{"StringEquals": {
			"elasticloadbalancing:CreateAction": {"CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup"},
			"aws:RequestTag/" + tag:             {name},
		}}),
		policy.Allow("Change", elbActions(
			"AddListenerCertificates", "AddTags", "DeleteListener", "DeleteLoadBalancer", "DeleteRule", "DeleteTargetGroup",
			"DeregisterTargets", "ModifyCapacityReservation", "ModifyIpPools", "ModifyListener", "ModifyListenerAttributes",
			"ModifyLoadBalancerAttributes", "ModifyRule", "ModifyTargetGroup", "ModifyTargetGroupAttributes", "RegisterTargets",
			"RemoveListenerCertificates", "RemoveTags", "SetIpAddressType", "SetSecurityGroups", "SetSubnets",
		), []string{elb("*")}, made),
		policy.Allow("Reorder", elbActions("SetRulePriorities"), []string{elb("listener-rule/*")}, nil),
	)
}

func elbActions(names ...string) []string {
	actions := make([]string, len(names))
	for i, n := range names {
		actions[i] = "elasticloadbalancing:" + n
	}
	return actions
}

// ec2Names are the names under which EC2 may use a key. In the European Sovereign Cloud, host names and service
// principals have different endings, and the key's condition accepts both.
func (p nodePolicies) ec2Names() []string {
	names := []string{"ec2." + p.cfg.Region + "." + p.cfg.PrincipalSuffix()}
	if p.cfg.DNSSuffix() != p.cfg.PrincipalSuffix() {
		names = append(names, "ec2."+p.cfg.Region+"."+p.cfg.DNSSuffix())
	}
	return names
}
