package infra

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// rolePolicy is one inline policy of a role, named after the controller or program that uses it.
type rolePolicy struct {
	name     string
	document pulumi.StringInput
}

func fixed(name string, p policy) rolePolicy { return rolePolicy{name, pulumi.String(p.JSON())} }

// naming is a policy whose document contains a text that AWS decides, such as the ARN of a bucket or the id of the
// VPC.
func naming(name string, text pulumi.StringOutput, of func(text string) policy) rolePolicy {
	return rolePolicy{name, text.ApplyT(func(text string) string { return of(text).JSON() }).(pulumi.StringOutput)}
}

// controlPlanePolicies returns the policies of the enabled controllers that run on the control plane.
func (s *deployer) controlPlanePolicies(storage *Storage, network *Network) []rolePolicy {
	vpc := network.VPC.ID().ToStringOutput()
	addons := s.cfg.Addons
	policies := []rolePolicy{
		fixed("cloud-controller", s.cloudController()),
		fixed("images", s.pullImages()),
		naming("backups", storage.Backups.Arn, s.backups),
	}
	if addons.EBSCSI.On() {
		policies = append(policies, naming("volumes", vpc, s.volumes))
	}
	if addons.LoadBalancer.On() {
		policies = append(policies, naming("load-balancers", vpc, s.loadBalancers))
	}
	if storage.Logs != nil {
		policies = append(policies, naming("logs", storage.Logs.Arn, logs))
	}
	return policies
}

func (s *deployer) workerPolicies() []rolePolicy {
	return []rolePolicy{fixed("images", s.pullImages())}
}

var all = []string{"*"}

// cloudController is for node and node-lifecycle control only. The Load Balancer Controller handles Services, and the
// overlay needs no routes.
func (s *deployer) cloudController() policy {
	return document(allow("Describe", []string{
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

func (s *deployer) pullImages() policy {
	return document(
		allow("Login", []string{"ecr:GetAuthorizationToken"}, all, nil),
		allow("Pull", []string{
			"ecr:BatchCheckLayerAvailability",
			"ecr:BatchGetImage",
			"ecr:GetDownloadUrlForLayer",
		}, []string{s.arn("ecr", s.cfg.Region, s.accountID, "repository/*")}, nil),
	)
}

// backups does not allow deletes: an attacker on the control plane cannot delete the snapshots. A tag marks snapshots
// that a newer one has replaced, and the bucket's lifecycle rules remove those.
func (s *deployer) backups(bucket string) policy {
	statements := []statement{
		allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		allow("Snapshots", []string{"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"},
			[]string{bucket + "/" + s.cfg.Cluster.Name + "/etcd/*"}, nil),
	}
	if s.cfg.Addons.RabbitMQ.On() {
		statements = append(statements, allow("RabbitMQ", []string{"s3:PutObject"},
			[]string{bucket + "/" + s.cfg.Cluster.Name + "/rabbitmq/*"}, nil))
	}
	return document(statements...)
}

// logs is for Loki, which deletes data after its retention.
func logs(bucket string) policy {
	return document(
		allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		allow("Chunks", []string{"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}, []string{bucket + "/*"}, nil),
	)
}

// inVPC adds to a condition that an existing resource belongs to this cluster's VPC. Volumes and load balancers
// created before the tag was introduced have none, and remain allowed.
func inVPC(condition map[string]operands, vpc string) map[string]operands {
	condition["StringEqualsIfExists"] = operands{"aws:ResourceTag/" + config.TagVPC: {vpc}}
	return condition
}

// volumes is for the EBS CSI driver: volumes, their snapshots, restores and clones. The driver tags every volume and
// snapshot that it creates with the cluster's tag, so the policy allows only those.
func (s *deployer) volumes(vpc string) policy {
	ec2 := func(kind string) string { return s.arn("ec2", s.cfg.Region, s.accountID, kind+"/*") }
	var (
		volume   = []string{ec2("volume")}
		snapshot = []string{s.arn("ec2", s.cfg.Region, "", "snapshot/*")} // the ARN of a snapshot contains no account
		making   = equals("aws:RequestTag/"+s.clusterTag(), "owned")
		ours     = inVPC(equals("aws:ResourceTag/"+s.clusterTag(), "owned"), vpc)
	)
	return document(
		allow("Describe", []string{
			"ec2:DescribeAvailabilityZones",
			"ec2:DescribeInstances",
			"ec2:DescribeInstanceTypes",
			"ec2:DescribeSnapshots",
			"ec2:DescribeTags",
			"ec2:DescribeVolumes",
			"ec2:DescribeVolumesModifications",
			"ec2:DescribeVolumeStatus",
		}, all, nil),
		allow("Create", []string{"ec2:CopyVolumes", "ec2:CreateVolume"}, volume, making),
		allow("Clone", []string{"ec2:CopyVolumes"}, volume, equals("ec2:ResourceTag/"+s.clusterTag(), "owned")),
		allow("Snapshot", []string{"ec2:CreateSnapshot"}, snapshot, making),
		allow("Use", []string{"ec2:AttachVolume", "ec2:CreateSnapshot", "ec2:DeleteVolume", "ec2:DetachVolume",
			"ec2:ModifyVolume"},
			append([]string{ec2("instance")}, volume...), ours),
		allow("Restore", []string{"ec2:CreateVolume", "ec2:DeleteSnapshot"}, snapshot, ours),
		allow("TagNew", []string{"ec2:CreateTags"}, append(snapshot[:1:1], volume...), map[string]operands{
			"StringEquals": {"ec2:CreateAction": {"CopyVolumes", "CreateSnapshot", "CreateVolume"}},
		}),
		// A VolumeAttributesClass may change tags, but not the tags that assign the volume to the cluster.
		allow("TagLater", []string{"ec2:CreateTags", "ec2:DeleteTags"}, volume, map[string]operands{
			"StringEquals":                 {"aws:ResourceTag/" + s.clusterTag(): {"owned"}},
			"StringEqualsIfExists":         {"aws:ResourceTag/" + config.TagVPC: {vpc}},
			"Null":                         {"aws:TagKeys": {"false"}},
			"ForAllValues:StringNotEquals": {"aws:TagKeys": {config.TagVPC, s.clusterTag()}},
		}),
		// If the account encrypts volumes with a customer-managed key, EC2 uses that key on behalf of the driver.
		// Without this permission a new volume disappears right after its creation.
		allow("Key", []string{"kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"},
			[]string{s.arn("kms", s.cfg.Region, s.accountID, "key/*")},
			map[string]operands{"StringEquals": {"kms:ViaService": s.ec2Names()}}),
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
func (s *deployer) loadBalancers(vpc string) policy {
	const tag = "elbv2.k8s.aws/cluster"
	var (
		name     = s.cfg.Cluster.Name
		ec2      = func(kind string) string { return s.arn("ec2", s.cfg.Region, s.accountID, kind+"/*") }
		elb      = func(kind string) string { return s.arn("elasticloadbalancing", s.cfg.Region, s.accountID, kind) }
		group    = []string{ec2("security-group")}
		made     = inVPC(equals("aws:ResourceTag/"+tag, name), vpc)
		making   = equals("aws:RequestTag/"+tag, name)
		ofNodes  = equals("aws:ResourceTag/"+s.clusterTag(), "owned")
		creating = func(action string) map[string]operands {
			return map[string]operands{"StringEquals": {"ec2:CreateAction": {action}, "aws:RequestTag/" + tag: {name}}}
		}
	)
	return document(
		allow("Describe", loadBalancerReads, all, nil),
		// An account that never had a load balancer lacks the service-linked role that AWS uses for them.
		allow("ServiceRole", []string{"iam:CreateServiceLinkedRole"},
			[]string{s.arn("iam", "", s.accountID, "role/aws-service-role/elasticloadbalancing.amazonaws.com/*")},
			equals("iam:AWSServiceName", "elasticloadbalancing.amazonaws.com")), // the name is the same in every partition
		allow("CreateGroup", []string{"ec2:CreateSecurityGroup"}, group, making),
		allow("CreateGroupInVpc", []string{"ec2:CreateSecurityGroup"}, []string{ec2("vpc")}, ofNodes),
		allow("TagNewGroup", []string{"ec2:CreateTags"}, group, creating("CreateSecurityGroup")),
		allow("ChangeGroup", []string{
			"ec2:AuthorizeSecurityGroupIngress",
			"ec2:CreateTags",
			"ec2:DeleteSecurityGroup",
			"ec2:DeleteTags",
			"ec2:RevokeSecurityGroupIngress",
		}, group, made),
		allow("OpenNodes", []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"}, group, ofNodes),
		allow("Create", elbActions("CreateLoadBalancer", "CreateTargetGroup"),
			[]string{elb("loadbalancer/*"), elb("targetgroup/*")}, making),
		// Only in a load balancer of the cluster: the tags are those of the load balancer or listener that gets the
		// new part.
		allow("Add", elbActions("CreateListener", "CreateRule"), []string{elb("loadbalancer/*"), elb("listener/*")}, made),
		allow("TagNew", elbActions("AddTags"), []string{elb("*")}, map[string]operands{"StringEquals": {
			"elasticloadbalancing:CreateAction": {"CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup"},
			"aws:RequestTag/" + tag:             {name},
		}}),
		allow("Change", elbActions(
			"AddListenerCertificates", "AddTags", "DeleteListener", "DeleteLoadBalancer", "DeleteRule", "DeleteTargetGroup",
			"DeregisterTargets", "ModifyCapacityReservation", "ModifyIpPools", "ModifyListener", "ModifyListenerAttributes",
			"ModifyLoadBalancerAttributes", "ModifyRule", "ModifyTargetGroup", "ModifyTargetGroupAttributes", "RegisterTargets",
			"RemoveListenerCertificates", "RemoveTags", "SetIpAddressType", "SetSecurityGroups", "SetSubnets",
		), []string{elb("*")}, made),
		allow("Reorder", elbActions("SetRulePriorities"), []string{elb("listener-rule/*")}, nil),
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
func (s *deployer) ec2Names() []string {
	names := []string{"ec2." + s.cfg.Region + "." + s.cfg.PrincipalSuffix()}
	if s.cfg.DNSSuffix() != s.cfg.PrincipalSuffix() {
		names = append(names, "ec2."+s.cfg.Region+"."+s.cfg.DNSSuffix())
	}
	return names
}
