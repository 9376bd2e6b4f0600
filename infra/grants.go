package infra

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// grant is one inline policy of a role, named after the controller or program that lives by it.
type grant struct {
	name     string
	document pulumi.StringInput
}

func fixed(name string, p policy) grant { return grant{name, pulumi.String(p.JSON())} }

// onBucket is a grant whose policy names a bucket, so it is known when the bucket is.
func onBucket(name string, bucket pulumi.StringOutput, of func(arn string) policy) grant {
	return grant{name, bucket.ApplyT(func(arn string) string { return of(arn).JSON() }).(pulumi.StringOutput)}
}

// controlPlaneGrants are the policies of the controllers that run on the control plane, only of those that are switched on.
func (s *site) controlPlaneGrants(storage *Storage) []grant {
	addons := s.cfg.Addons
	grants := []grant{
		fixed("cloud-controller", s.cloudController()),
		fixed("images", s.pullImages()),
		onBucket("backups", storage.Backups.Arn, backups),
	}
	if addons.EBSCSI.On() {
		grants = append(grants, fixed("volumes", s.volumes()))
	}
	if addons.LoadBalancer.On() {
		grants = append(grants, fixed("load-balancers", s.loadBalancers()))
	}
	if storage.Logs != nil {
		grants = append(grants, onBucket("logs", storage.Logs.Arn, logs))
	}
	return grants
}

func (s *site) workerGrants() []grant { return []grant{fixed("images", s.pullImages())} }

var all = []string{"*"}

// cloudController is for node and node-lifecycle control only; Services belong to the Load Balancer Controller and the
// overlay needs no routes.
func (s *site) cloudController() policy {
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

func (s *site) pullImages() policy {
	return document(
		allow("Login", []string{"ecr:GetAuthorizationToken"}, all, nil),
		allow("Pull", []string{
			"ecr:BatchCheckLayerAvailability",
			"ecr:BatchGetImage",
			"ecr:GetDownloadUrlForLayer",
		}, []string{s.arn("ecr", s.cfg.Region, s.accountID, "repository/*")}, nil),
	)
}

// backups allows no delete: whoever takes over the control plane cannot delete the snapshots. A tag says which of them a newer
// one has replaced; the bucket's lifecycle removes those.
func backups(bucket string) policy {
	return document(
		allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		allow("Snapshots", []string{"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject", "s3:PutObjectTagging"}, []string{bucket + "/*"}, nil),
	)
}

// logs is for Loki, which deletes what is past its retention.
func logs(bucket string) policy {
	return document(
		allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		allow("Chunks", []string{"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}, []string{bucket + "/*"}, nil),
	)
}

// volumes is for the EBS CSI driver. The driver puts the cluster's tag on every volume it creates, so that is all it may touch.
func (s *site) volumes() policy {
	volume := []string{s.arn("ec2", s.cfg.Region, s.accountID, "volume/*")}
	ours := equals("aws:ResourceTag/"+s.clusterTag(), "owned")
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
		allow("Create", []string{"ec2:CreateVolume"}, volume, equals("aws:RequestTag/"+s.clusterTag(), "owned")),
		allow("TagNew", []string{"ec2:CreateTags"}, volume, equals("ec2:CreateAction", "CreateVolume")),
		allow("Change", []string{"ec2:DeleteVolume", "ec2:ModifyVolume"}, volume, ours),
		allow("Attach", []string{"ec2:AttachVolume", "ec2:DetachVolume"},
			append([]string{s.arn("ec2", s.cfg.Region, s.accountID, "instance/*")}, volume...), ours),
	)
}

// loadBalancers is for the AWS Load Balancer Controller: application and network load balancers with instance targets. What it
// makes carries its own tag with the name of the cluster. Left out of the project's policy: WAF, Shield, Cognito, certificates in IAM.
func (s *site) loadBalancers() policy {
	const tag = "elbv2.k8s.aws/cluster"
	var (
		name     = s.cfg.Cluster.Name
		ec2      = func(kind string) string { return s.arn("ec2", s.cfg.Region, s.accountID, kind+"/*") }
		elb      = s.arn("elasticloadbalancing", s.cfg.Region, s.accountID, "*")
		group    = []string{ec2("security-group")}
		made     = equals("aws:ResourceTag/"+tag, name)
		making   = equals("aws:RequestTag/"+tag, name)
		ofNodes  = equals("aws:ResourceTag/"+s.clusterTag(), "owned")
		creating = func(action string) map[string]operands {
			return map[string]operands{"StringEquals": {"ec2:CreateAction": {action}, "aws:RequestTag/" + tag: {name}}}
		}
	)
	return document(
		allow("Describe", []string{
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
		}, all, nil),
		// An account that never had a load balancer lacks the role that AWS runs them by.
		allow("ServiceRole", []string{"iam:CreateServiceLinkedRole"},
			[]string{s.arn("iam", "", s.accountID, "role/aws-service-role/elasticloadbalancing."+s.dnsSuffix()+"/*")},
			equals("iam:AWSServiceName", "elasticloadbalancing."+s.dnsSuffix())),
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
		allow("Create", elbActions("CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup"), []string{elb}, making),
		allow("TagNew", elbActions("AddTags"), []string{elb}, map[string]operands{"StringEquals": {
			"elasticloadbalancing:CreateAction": {"CreateListener", "CreateLoadBalancer", "CreateRule", "CreateTargetGroup"},
			"aws:RequestTag/" + tag:             {name},
		}}),
		allow("Change", elbActions(
			"AddListenerCertificates", "AddTags", "DeleteListener", "DeleteLoadBalancer", "DeleteRule", "DeleteTargetGroup",
			"DeregisterTargets", "ModifyListener", "ModifyListenerAttributes", "ModifyLoadBalancerAttributes", "ModifyRule",
			"ModifyTargetGroup", "ModifyTargetGroupAttributes", "RegisterTargets", "RemoveListenerCertificates", "RemoveTags",
			"SetIpAddressType", "SetRulePriorities", "SetSecurityGroups", "SetSubnets",
		), []string{elb}, made),
	)
}

func elbActions(names ...string) []string {
	actions := make([]string, len(names))
	for i, n := range names {
		actions[i] = "elasticloadbalancing:" + n
	}
	return actions
}
