package infra

// The calls that each program makes with the role of a node, one request for each resource that AWS authorizes. They
// were read in the programs' sources and in the policies that the projects publish:
//   - aws-ebs-csi-driver v1.64.0: pkg/cloud/cloud.go, pkg/driver/controller.go (tags),
//     docs/AmazonEBSCSIDriverPolicyV2.json
//   - aws-load-balancer-controller v3.5.0: pkg/aws/services, pkg/deploy/elbv2, pkg/deploy/ec2,
//     docs/install/iam_policy.json
//   - cloud-provider-aws v1.36.1 with the controllers cloud-node and cloud-node-lifecycle only: docs/prerequisites.md
//   - Loki 3: storage on S3
//   - cluster/scripts/etcd-snapshot.sh, cluster/scripts/ecr-credentials.sh, addons/scripts/rabbitmq-backup.sh
//
// cert-manager solves HTTP-01 only and calls nothing in AWS.

// The cluster of these tests is "dev" in the VPC "vpc-id". external_test.go names its buckets.
const (
	backupBucket = "arn:aws:s3:::dev-backups-0a1b2c3"
	logBucket    = "arn:aws:s3:::dev-logs-0a1b2c3"
	databaseRole = "arn:aws:iam::123456789012:role/dev-postgresql-backup"
	ebsTag       = "kubernetes.io/cluster/dev"
	elbTag       = "elbv2.k8s.aws/cluster"
	vpcTag       = "kubeadm-aws/vpc"
)

type tags = map[string]string

// describes returns requests that name no resource.
func describes(actions ...string) []request {
	requests := make([]request, len(actions))
	for i, a := range actions {
		requests[i] = request{action: a}
	}
	return requests
}

// onEach returns one request for each action on a resource with the same tags.
func onEach(on string, of tags, actions ...string) []request {
	requests := make([]request, len(actions))
	for i, a := range actions {
		requests[i] = request{action: a, on: on, tags: of}
	}
	return requests
}

// creates returns the requests of a call that creates a resource with tags. AWS authorizes both the creation and the
// tagging.
func creates(action, tagging, on string, adds tags) []request {
	name := action[len(serviceOf(action))+1:]
	return []request{
		{action: action, on: on, adds: adds},
		{action: tagging, on: on, adds: adds, context: tags{serviceOf(action) + ":CreateAction": name}},
	}
}

func serviceOf(action string) string { return request{action: action}.service() }

var (
	volumeTags = tags{ebsTag: "owned", "ebs.csi.aws.com/cluster-name": "dev", "ebs.csi.aws.com/cluster": "true",
		vpcTag: "vpc-id"}
	oldVolumeTags = tags{ebsTag: "owned", "ebs.csi.aws.com/cluster-name": "dev", "ebs.csi.aws.com/cluster": "true"}
	nodeTags      = tags{ebsTag: "owned", "Name": "dev-worker-1"}
	balancerTags  = tags{elbTag: "dev", "ingress.k8s.aws/stack": "platform", vpcTag: "vpc-id"}
	oldBalancer   = tags{elbTag: "dev", "ingress.k8s.aws/stack": "platform"}
	byEC2         = tags{"kms:ViaService": "ec2.eu-central-1.amazonaws.com"}
)

// volumeCalls returns the calls of the EBS CSI driver on volumes with these tags.
func volumeCalls(of tags) []request {
	calls := describes("ec2:DescribeAvailabilityZones", "ec2:DescribeInstances", "ec2:DescribeInstanceTypes",
		"ec2:DescribeSnapshots",
		"ec2:DescribeTags", "ec2:DescribeVolumes", "ec2:DescribeVolumesModifications", "ec2:DescribeVolumeStatus")
	calls = append(calls, creates("ec2:CreateVolume", "ec2:CreateTags", "volume", volumeTags)...)
	calls = append(calls, creates("ec2:CopyVolumes", "ec2:CreateTags", "volume", volumeTags)...)
	calls = append(calls, creates("ec2:CreateSnapshot", "ec2:CreateTags", "snapshot", volumeTags)...)
	calls = append(calls, onEach("volume", of, "ec2:AttachVolume", "ec2:DetachVolume", "ec2:DeleteVolume",
		"ec2:ModifyVolume",
		"ec2:CopyVolumes", "ec2:CreateSnapshot")...)
	calls = append(calls, onEach("instance", nodeTags, "ec2:AttachVolume", "ec2:DetachVolume")...)
	calls = append(calls, onEach("snapshot", of, "ec2:CreateVolume", "ec2:DeleteSnapshot")...)
	for _, tagging := range []string{"ec2:CreateTags", "ec2:DeleteTags"} { // a VolumeAttributesClass with tags
		calls = append(calls, request{action: tagging, on: "volume", tags: of, adds: tags{"team": "data"}})
	}
	for _, use := range []string{"kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"} {
		calls = append(calls, request{action: use, on: "key", context: byEC2})
	}
	return calls
}

// balancerCalls returns the calls of the Load Balancer Controller on resources with these tags, for application
// ("app") or network ("net") load balancers.
func balancerCalls(kind string, of tags) []request {
	balancer, listener, rule := "loadbalancer/"+kind+"/", "listener/"+kind, "listener-rule/"+kind
	adding := func(action, parent, made string) []request {
		requests := creates("elasticloadbalancing:"+action, "elasticloadbalancing:AddTags", made, balancerTags)
		requests[0].on, requests[0].tags = parent, of
		return requests
	}
	calls := creates("elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:AddTags", balancer, balancerTags)
	calls = append(calls, creates("elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:AddTags", "targetgroup",
		balancerTags)...)
	calls = append(calls, adding("CreateListener", balancer, listener)...)
	calls = append(calls, adding("CreateRule", listener, rule)...)
	for on, actions := range map[string][]string{
		balancer: {"AddTags", "DeleteLoadBalancer", "ModifyLoadBalancerAttributes", "ModifyCapacityReservation", "RemoveTags",
			"SetIpAddressType", "SetSecurityGroups", "SetSubnets"},
		listener: {"AddListenerCertificates", "AddTags", "DeleteListener", "ModifyListener", "ModifyListenerAttributes",
			"RemoveListenerCertificates", "RemoveTags"},
		rule: {"AddTags", "DeleteRule", "ModifyRule", "RemoveTags", "SetRulePriorities"},
		"targetgroup": {"AddTags", "DeleteTargetGroup", "DeregisterTargets", "ModifyTargetGroup",
			"ModifyTargetGroupAttributes",
			"RegisterTargets", "RemoveTags"},
	} {
		calls = append(calls, onEach(on, of, elbActions(actions...)...)...)
	}
	if kind == "app" {
		calls = append(calls, onEach(balancer, of, elbActions("ModifyIpPools")...)...)
	}
	return calls
}

// controllerCalls returns the controller's calls that belong to no particular load balancer.
func controllerCalls() []request {
	calls := describes("acm:ListCertificates", "ec2:DescribeAccountAttributes", "ec2:DescribeAddresses",
		"ec2:DescribeAvailabilityZones", "ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeIpamPools",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
		"ec2:DescribeTags", "ec2:DescribeVpcPeeringConnections", "ec2:DescribeVpcs")
	calls = append(calls, describes(elbActions("DescribeCapacityReservation", "DescribeListenerAttributes",
		"DescribeListenerCertificates", "DescribeListeners", "DescribeLoadBalancerAttributes", "DescribeLoadBalancers",
		"DescribeRules",
		"DescribeSSLPolicies", "DescribeTags", "DescribeTargetGroupAttributes", "DescribeTargetGroups",
		"DescribeTargetHealth",
		"DescribeTrustStores")...)...)
	calls = append(calls,
		request{action: "acm:DescribeCertificate", on: "certificate"},
		request{action: "ec2:GetSecurityGroupsForVpc", on: "vpc"},
		request{
			action: "iam:CreateServiceLinkedRole", on: "role",
			context: tags{"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"},
			arn:     "arn:aws:iam::123456789012:role/aws-service-role/elasticloadbalancing.amazonaws.com/AWSServiceRoleForElasticLoadBalancing",
		},
		request{action: "ec2:CreateSecurityGroup", on: "vpc", tags: nodeTags},
	)
	calls = append(calls, creates("ec2:CreateSecurityGroup", "ec2:CreateTags", "security-group", balancerTags)...)
	calls = append(calls, onEach("security-group", balancerTags, "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags",
		"ec2:DeleteSecurityGroup", "ec2:DeleteTags", "ec2:RevokeSecurityGroupIngress")...)
	return append(calls, onEach("security-group", nodeTags, "ec2:AuthorizeSecurityGroupIngress",
		"ec2:RevokeSecurityGroupIngress")...)
}

// objects returns requests on objects of a bucket.
func objects(arn string, actions ...string) []request {
	requests := onEach("object", nil, actions...)
	for i := range requests {
		requests[i].arn = arn
	}
	return requests
}

// calls returns all calls by the policy that has to allow them.
func calls() map[string][]request {
	list := func(bucket string) request { return request{action: "s3:ListBucket", on: "bucket", arn: bucket} }
	repository := "repository"
	balancers := controllerCalls()
	for _, kind := range []string{"app", "net"} {
		balancers = append(append(balancers, balancerCalls(kind, balancerTags)...), balancerCalls(kind, oldBalancer)...)
	}
	return map[string][]request{
		"cloud-controller": describes("ec2:DescribeAvailabilityZones", "ec2:DescribeInstances",
			"ec2:DescribeInstanceTopology",
			"ec2:DescribeRegions", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
			"ec2:DescribeVpcs"),
		"images": append(describes("ecr:GetAuthorizationToken"), onEach(repository, nil,
			"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")...),
		// The last one is made by addons/scripts/rabbitmq-backup.sh.
		"backups": append(objects(backupBucket+"/dev/etcd/latest", "s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject",
			"s3:PutObjectTagging"),
			list(backupBucket), objects(backupBucket+"/dev/rabbitmq/definitions.json", "s3:PutObject")[0]),
		// addons/scripts/backup-credentials.sh
		"postgresql-backup": {{action: "sts:AssumeRole", on: "role", arn: databaseRole}},
		"logs": append(objects(logBucket+"/fake/1", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
			list(logBucket)),
		"volumes":        append(volumeCalls(volumeTags), volumeCalls(oldVolumeTags)...),
		"load-balancers": balancers,
	}
}

// forbidden returns calls that an attacker on a control plane might make.
func forbidden() []request {
	other := tags{"kubernetes.io/cluster/other": "owned", elbTag: "other"}
	namesake := tags{ebsTag: "owned", elbTag: "dev", vpcTag: "vpc-of-the-namesake"}
	var calls []request
	for _, of := range []tags{other, namesake, nil} {
		calls = append(calls, onEach("volume", of, "ec2:AttachVolume", "ec2:DetachVolume", "ec2:DeleteVolume",
			"ec2:ModifyVolume",
			"ec2:CreateSnapshot", "ec2:CreateTags", "ec2:DeleteTags")...)
		calls = append(calls, onEach("snapshot", of, "ec2:CreateVolume", "ec2:DeleteSnapshot")...)
		calls = append(calls, onEach("security-group", of, "ec2:DeleteSecurityGroup")...)
		for on, actions := range map[string][]string{
			"loadbalancer/app/": {"CreateListener", "AddTags", "DeleteLoadBalancer", "ModifyLoadBalancerAttributes",
				"SetSecurityGroups"},
			"loadbalancer/net/": {"CreateListener", "AddTags", "DeleteLoadBalancer"},
			"listener/app":      {"AddListenerCertificates", "AddTags", "CreateRule", "DeleteListener", "ModifyListener"},
			"listener-rule/app": {"AddTags", "DeleteRule", "ModifyRule"},
			"targetgroup":       {"AddTags", "DeleteTargetGroup", "RegisterTargets"},
		} {
			calls = append(calls, onEach(on, of, elbActions(actions...)...)...)
		}
	}
	calls = append(calls, onEach("instance", other, "ec2:AttachVolume")...)
	calls = append(calls, onEach("volume", other, "ec2:CopyVolumes")...)
	calls = append(calls, onEach("security-group", other, "ec2:AuthorizeSecurityGroupIngress",
		"ec2:RevokeSecurityGroupIngress")...)
	for _, claim := range []tags{volumeTags, balancerTags} { // to take over a resource of another cluster
		calls = append(calls,
			request{action: "ec2:CreateTags", on: "volume", tags: other, adds: claim},
			request{action: "ec2:CreateTags", on: "snapshot", tags: other, adds: claim},
			request{action: "ec2:CreateTags", on: "security-group", tags: other, adds: claim},
			request{action: "ec2:CreateTags", on: "instance", tags: other, adds: claim},
			request{action: "elasticloadbalancing:AddTags", on: "loadbalancer/app/", tags: other, adds: claim},
			request{action: "elasticloadbalancing:AddTags", on: "listener/app", tags: other, adds: claim},
			request{action: "elasticloadbalancing:CreateListener", on: "loadbalancer/app/", tags: other, adds: claim},
		)
	}
	calls = append(calls, // a volume of the cluster that is moved out of it
		request{action: "ec2:DeleteTags", on: "volume", tags: volumeTags, adds: tags{ebsTag: "owned"}},
		request{action: "ec2:CreateTags", on: "volume", tags: volumeTags, adds: tags{vpcTag: "vpc-of-the-namesake"}},
		request{action: "kms:Decrypt", on: "key"},
		request{action: "kms:CreateGrant", on: "key", context: tags{"kms:ViaService": "s3.eu-central-1.amazonaws.com"}},
		request{action: "iam:CreateServiceLinkedRole", on: "role", context: tags{"iam:AWSServiceName": "spot.amazonaws.com"}},
		request{action: "iam:PassRole", on: "role"},
		request{action: "ec2:RunInstances", on: "instance"},
		request{action: "ec2:CreateVolume", on: "volume", adds: other},
	)
	calls = append(calls, objects(backupBucket+"/dev/etcd/latest", "s3:DeleteObject", "s3:DeleteObjectVersion")...)
	calls = append(calls, objects(backupBucket+"/dev/rabbitmq/definitions.json", "s3:GetObject", "s3:DeleteObject",
		"s3:DeleteObjectVersion")...)
	calls = append(calls, objects(backupBucket+"/other/rabbitmq/definitions.json", "s3:PutObject")...)
	calls = append(calls, objects(backupBucket+"/other/etcd/latest", "s3:GetObject", "s3:PutObject")...)
	return append(calls, objects("arn:aws:s3:::of-another/1", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")...)
}
