package account

import (
	"maps"
	"slices"
)

// calls are the IAM actions behind one resource type or function of the stacks of clusters.
type calls struct {
	// reads are made to show a resource. IAM gives most of them no resource to be bound to.
	reads []string
	// creates are made where nothing exists yet that could carry the cluster's tag.
	creates []string
	// changes are made to what exists.
	changes []string
}

// tagging is how the provider tags something of EC2 after it was made.
var tagging = []string{"ec2:CreateTags", "ec2:DeleteTags"}

// clusterCalls are the calls that the AWS provider makes for each resource type and function of the stacks of clusters:
// to create, read, update, delete and refresh it. The role of an environment may make these and no others.
// TestTheTableHasEveryType compares the types with those that the program uses. Nothing has compared the calls with AWS
// itself yet.
var clusterCalls = map[string]calls{
	"aws:ec2/vpc:Vpc": {
		reads: []string{
			"ec2:DescribeVpcs", "ec2:DescribeVpcAttribute", "ec2:DescribeNetworkAcls", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups",
		},
		creates: []string{"ec2:CreateVpc"}, changes: []string{"ec2:ModifyVpcAttribute", "ec2:DeleteVpc"},
	},
	"aws:ec2/subnet:Subnet": {
		reads: []string{"ec2:DescribeSubnets", "ec2:DescribeNetworkInterfaces"}, creates: []string{"ec2:CreateSubnet"},
		changes: []string{"ec2:ModifySubnetAttribute", "ec2:DeleteSubnet"},
	},
	"aws:ec2/internetGateway:InternetGateway": {
		reads: []string{"ec2:DescribeInternetGateways"}, creates: []string{"ec2:CreateInternetGateway"},
		changes: []string{"ec2:AttachInternetGateway", "ec2:DetachInternetGateway", "ec2:DeleteInternetGateway"},
	},
	"aws:ec2/routeTable:RouteTable": {
		reads: []string{"ec2:DescribeRouteTables"}, creates: []string{"ec2:CreateRouteTable"},
		changes: []string{"ec2:DeleteRouteTable", "ec2:DisassociateRouteTable"},
	},
	"aws:ec2/route:Route": {reads: []string{"ec2:DescribeRouteTables"}, changes: []string{"ec2:CreateRoute", "ec2:ReplaceRoute", "ec2:DeleteRoute"}},
	"aws:ec2/routeTableAssociation:RouteTableAssociation": {
		reads:   []string{"ec2:DescribeRouteTables"},
		changes: []string{"ec2:AssociateRouteTable", "ec2:ReplaceRouteTableAssociation", "ec2:DisassociateRouteTable"},
	},
	"aws:ec2/vpcEndpoint:VpcEndpoint": {
		reads: []string{"ec2:DescribeVpcEndpoints", "ec2:DescribePrefixLists"}, creates: []string{"ec2:CreateVpcEndpoint"},
		changes: []string{"ec2:ModifyVpcEndpoint", "ec2:DeleteVpcEndpoints"},
	},
	"aws:ec2/securityGroup:SecurityGroup": {
		reads: []string{"ec2:DescribeSecurityGroups", "ec2:DescribeNetworkInterfaces"}, creates: []string{"ec2:CreateSecurityGroup"},
		changes: []string{"ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress", "ec2:DeleteSecurityGroup"},
	},
	"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
		reads:   []string{"ec2:DescribeSecurityGroupRules"},
		changes: []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroupIngress"},
	},
	"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": {
		reads:   []string{"ec2:DescribeSecurityGroupRules"},
		changes: []string{"ec2:AuthorizeSecurityGroupEgress", "ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroupEgress"},
	},
	"aws:ec2/keyPair:KeyPair": {
		reads: []string{"ec2:DescribeKeyPairs"}, creates: []string{"ec2:ImportKeyPair"}, changes: []string{"ec2:DeleteKeyPair"},
	},
	"aws:ec2/instance:Instance": {
		reads: []string{
			"ec2:DescribeImages", "ec2:DescribeInstanceAttribute", "ec2:DescribeInstanceCreditSpecifications", "ec2:DescribeInstances",
			"ec2:DescribeInstanceStatus", "ec2:DescribeInstanceTypes", "ec2:DescribeSpotInstanceRequests", "ec2:DescribeTags",
			"ec2:DescribeVolumes", "ec2:DescribeVolumesModifications",
		},
		creates: []string{"ec2:RunInstances"},
		changes: append([]string{
			"ec2:AssociateIamInstanceProfile", "ec2:ModifyInstanceAttribute", "ec2:ModifyInstanceCreditSpecification",
			"ec2:ModifyInstanceMetadataOptions", "ec2:ModifyVolume", "ec2:MonitorInstances", "ec2:ReplaceIamInstanceProfileAssociation",
			"ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances", "ec2:UnmonitorInstances", "iam:PassRole",
		}, tagging...),
	},
	"aws:ec2/eip:Eip": {
		reads: []string{"ec2:DescribeAddresses", "ec2:DescribeAddressesAttribute"}, creates: []string{"ec2:AllocateAddress"},
		changes: []string{"ec2:ReleaseAddress"},
	},
	// The provider names the instance. EC2 then asks also for the right to its network interface, which has no tags.
	"aws:ec2/eipAssociation:EipAssociation": {
		reads: []string{"ec2:DescribeAddresses"}, creates: []string{"ec2:AssociateAddress", "ec2:DisassociateAddress"},
	},

	"aws:iam/role:Role": {
		reads: []string{
			"iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:ListRoleTags",
		},
		changes: []string{
			"iam:CreateRole", "iam:DeleteRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
			"iam:UpdateRoleDescription",
		},
	},
	"aws:iam/rolePolicy:RolePolicy": {reads: []string{"iam:GetRolePolicy"}, changes: []string{"iam:DeleteRolePolicy", "iam:PutRolePolicy"}},
	"aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
		reads: []string{"iam:ListAttachedRolePolicies"}, changes: []string{"iam:AttachRolePolicy", "iam:DetachRolePolicy"},
	},
	"aws:iam/instanceProfile:InstanceProfile": {
		reads: []string{"iam:GetInstanceProfile"},
		changes: []string{
			"iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:RemoveRoleFromInstanceProfile",
			"iam:TagInstanceProfile", "iam:UntagInstanceProfile",
		},
	},
	// The provider of the cluster as an issuer. That of GitHub has no tag of a cluster.
	"aws:iam/openIdConnectProvider:OpenIdConnectProvider": {
		reads:   []string{"iam:GetOpenIDConnectProvider"},
		creates: []string{"iam:CreateOpenIDConnectProvider"},
		changes: []string{"iam:DeleteOpenIDConnectProvider", "iam:TagOpenIDConnectProvider", "iam:UntagOpenIDConnectProvider"},
	},

	"aws:s3/bucketV2:BucketV2": {
		reads: []string{
			"s3:GetAccelerateConfiguration", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLocation", "s3:GetBucketLogging",
			"s3:GetBucketObjectLockConfiguration", "s3:GetBucketPolicy", "s3:GetBucketRequestPayment", "s3:GetBucketTagging",
			"s3:GetBucketVersioning", "s3:GetBucketWebsite", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
			"s3:GetReplicationConfiguration", "s3:ListBucket",
		},
		// A bucket that is not kept is emptied first.
		changes: []string{
			"s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListBucketVersions", "s3:PutBucketTagging",
		},
	},
	"aws:s3/bucketVersioningV2:BucketVersioningV2": {reads: []string{"s3:GetBucketVersioning"}, changes: []string{"s3:PutBucketVersioning"}},
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {
		reads: []string{"s3:GetBucketPublicAccessBlock"}, changes: []string{"s3:PutBucketPublicAccessBlock"},
	},
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": {
		reads: []string{"s3:GetEncryptionConfiguration"}, changes: []string{"s3:PutEncryptionConfiguration"},
	},
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2": {
		reads: []string{"s3:GetLifecycleConfiguration"}, changes: []string{"s3:PutLifecycleConfiguration"},
	},
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls": {
		reads: []string{"s3:GetBucketOwnershipControls"}, changes: []string{"s3:PutBucketOwnershipControls"},
	},
	// The provider reads back what it stored.
	"aws:s3/bucketObjectv2:BucketObjectv2": {
		reads: []string{"s3:ListBucket"},
		changes: []string{
			"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectTagging", "s3:ListBucketVersions", "s3:PutObject",
			"s3:PutObjectTagging",
		},
	},
	"aws:s3/bucketPolicy:BucketPolicy": {reads: []string{"s3:GetBucketPolicy"}, changes: []string{"s3:DeleteBucketPolicy", "s3:PutBucketPolicy"}},

	"aws:route53/zone:Zone": {
		reads:   []string{"ec2:DescribeVpcs", "route53:GetChange", "route53:GetDNSSEC", "route53:GetHostedZone", "route53:ListTagsForResource"},
		creates: []string{"route53:CreateHostedZone"},
		changes: []string{
			"route53:AssociateVPCWithHostedZone", "route53:ChangeTagsForResource", "route53:DeleteHostedZone",
			"route53:DisassociateVPCFromHostedZone", "route53:UpdateHostedZoneComment",
		},
	},
	"aws:route53/record:Record": {
		reads:   []string{"route53:GetChange", "route53:GetHostedZone", "route53:ListResourceRecordSets"},
		changes: []string{"route53:ChangeResourceRecordSets"},
	},
	"aws:acm/certificate:Certificate": {
		reads: []string{"acm:DescribeCertificate", "acm:ListTagsForCertificate"}, creates: []string{"acm:RequestCertificate"},
		changes: []string{"acm:AddTagsToCertificate", "acm:DeleteCertificate", "acm:RemoveTagsFromCertificate", "acm:UpdateCertificateOptions"},
	},
	"aws:acm/certificateValidation:CertificateValidation": {reads: []string{"acm:DescribeCertificate"}},

	"aws:index/getCallerIdentity:getCallerIdentity":                  {}, // needs no right
	"aws:index/getAvailabilityZones:getAvailabilityZones":            {reads: []string{"ec2:DescribeAvailabilityZones"}},
	"aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings":      {reads: []string{"ec2:DescribeInstanceTypeOfferings"}},
	"aws:ec2/getInstanceType:getInstanceType":                        {reads: []string{"ec2:DescribeInstanceTypes"}},
	"aws:ec2/getInstances:getInstances":                              {reads: []string{"ec2:DescribeInstances"}},
	"aws:ec2/getInstance:getInstance":                                {reads: []string{"ec2:DescribeInstances", "ec2:DescribeInstanceAttribute"}},
	"aws:ec2/getSubnet:getSubnet":                                    {reads: []string{"ec2:DescribeSubnets"}},
	"aws:ec2/getVpcs:getVpcs":                                        {reads: []string{"ec2:DescribeVpcs"}},
	"aws:ec2/getEips:getEips":                                        {reads: []string{"ec2:DescribeAddresses"}},
	"aws:ebs/getEbsVolumes:getEbsVolumes":                            {reads: []string{"ec2:DescribeVolumes"}},
	"aws:s3/getAccountPublicAccessBlock:getAccountPublicAccessBlock": {reads: []string{"s3:GetAccountPublicAccessBlock"}},
	"aws:servicequotas/getServiceQuota:getServiceQuota":              {reads: []string{"servicequotas:GetServiceQuota"}},
	"aws:ec2/getAmi:getAmi":                                          {reads: []string{"ec2:DescribeImages"}},
	"aws:route53/getRecords:getRecords":                              {reads: []string{"route53:ListResourceRecordSets"}},
	"aws:ssm/getParameter:getParameter":                              {reads: []string{"ssm:GetParameter"}},
	"aws:route53/getZone:getZone": {
		reads: []string{"route53:GetHostedZone", "route53:ListHostedZones", "route53:ListTagsForResource"},
	},

	"aws:ecr/repository:Repository": {
		reads: []string{"ecr:DescribeRepositories", "ecr:ListTagsForResource"},
		changes: []string{
			"ecr:CreateRepository", "ecr:DeleteRepository", "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability",
			"ecr:TagResource", "ecr:UntagResource",
		},
	},
	"aws:ecr/lifecyclePolicy:LifecyclePolicy": {
		reads: []string{"ecr:GetLifecyclePolicy"}, changes: []string{"ecr:PutLifecyclePolicy", "ecr:DeleteLifecyclePolicy"},
	},
}

// sweepCalls are those of the program in sweep/, which runs while a stack is destroyed and looks for what an
// interrupted run left.
var sweepCalls = calls{
	reads: []string{
		"acm:ListCertificates", "acm:ListTagsForCertificate", "ec2:DescribeAddresses", "ec2:DescribeEgressOnlyInternetGateways",
		"ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeNatGateways", "ec2:DescribeNetworkAcls",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroupRules",
		"ec2:DescribeSecurityGroups", "ec2:DescribeSnapshots", "ec2:DescribeSubnets", "ec2:DescribeVolumes", "ec2:DescribeVpcEndpoints",
		"ec2:DescribeVpcPeeringConnections", "ec2:DescribeVpcs", "ec2:DescribeVpnGateways", "ecr:DescribeRepositories", "ecr:ListTagsForResource",
		"elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTags",
		"elasticloadbalancing:DescribeTargetGroups", "iam:ListOpenIDConnectProviders", "route53:GetHostedZone", "route53:ListHostedZonesByName",
		"route53:ListResourceRecordSets", "route53:ListTagsForResource",
	},
	changes: []string{
		"ec2:DeleteSecurityGroup", "ec2:DeleteVolume", "ec2:DeleteVpcEndpoints", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
		"elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteTargetGroup",
		"route53:ChangeResourceRecordSets",
	},
	// A load balancer leaves interfaces behind that carry no tag.
	creates: []string{"ec2:DeleteNetworkInterface"},
}

// imageCalls are those of the sweep when it makes machine images. CreateImage asks for the right to the builder, which
// has the tag of the cluster, and to the image and the snapshots, which get it.
var imageCalls = calls{
	reads:   []string{"ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeSnapshots", "ssm:GetParameters"},
	creates: []string{"ec2:RunInstances"},
	changes: []string{
		"ec2:CreateImage", "ec2:DeleteSnapshot", "ec2:DeregisterImage", "ec2:ModifyVolume", "ec2:StopInstances",
		"ec2:TerminateInstances",
	},
}

// collect lists the actions of all types that pick returns, sorted and without repeats.
func collect(pick func(calls) []string) []string {
	found := map[string]bool{}
	for _, c := range append(slices.Collect(maps.Values(clusterCalls)), sweepCalls, imageCalls) {
		for _, action := range pick(c) {
			found[action] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
