package aws

// Resource types that other rows or other packages refer to.
const (
	VPCType             = "aws:ec2/vpc:Vpc"
	SubnetType          = "aws:ec2/subnet:Subnet"
	gatewayType         = "aws:ec2/internetGateway:InternetGateway"
	routeTableType      = "aws:ec2/routeTable:RouteTable"
	routeType           = "aws:ec2/route:Route"
	routeTableAssocType = "aws:ec2/routeTableAssociation:RouteTableAssociation"
	endpointType        = "aws:ec2/vpcEndpoint:VpcEndpoint"
	GroupType           = "aws:ec2/securityGroup:SecurityGroup"
	IngressRuleType     = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	egressRuleType      = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
	KeyPairType         = "aws:ec2/keyPair:KeyPair"
	InstanceType        = "aws:ec2/instance:Instance"
	EIPType             = "aws:ec2/eip:Eip"
	EIPAssociationType  = "aws:ec2/eipAssociation:EipAssociation"
	roleType            = "aws:iam/role:Role"
	ProfileType         = "aws:iam/instanceProfile:InstanceProfile"
	attachmentType      = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
	BucketType          = "aws:s3/bucketV2:BucketV2"
	zoneType            = "aws:route53/zone:Zone"
	recordType          = "aws:route53/record:Record"
	certificateType     = "aws:acm/certificate:Certificate"
	repositoryType      = "aws:ecr/repository:Repository"
	keyType             = "aws:kms/key:Key"
	// Controllers in the cluster create objects of these types. Pulumi does not.
	VolumeType       = "aws:ebs/volume:Volume"
	LoadBalancerType = "aws:lb/loadBalancer:LoadBalancer"
	TargetGroupType  = "aws:lb/targetGroup:TargetGroup"
	// Pulumi, users and the backup timer store objects in buckets. The id of an object of Pulumi is its key. The id of any
	// other object is the bucket and the key.
	BucketObjectType = "aws:s3/bucketObjectv2:BucketObjectv2"
	publicBlockType  = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
	issuerType       = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
)

// resourceTypes has one row for each type that the model supports.
var resourceTypes = map[string]resourceType{
	VPCType: {
		id: "vpc-", required: []string{"cidrBlock"}, replace: []string{"cidrBlock", "instanceTenancy"},
		check: checkVPC,
		outputs: map[string]any{
			"arn":                    "arn:aws:ec2:{region}:{account}:vpc/{id}",
			"defaultSecurityGroupId": "sg-{hex}", "defaultRouteTableId": "rtb-{hex}", "mainRouteTableId": "rtb-{hex}",
			"defaultNetworkAclId": "acl-{hex}", "dhcpOptionsId": "dopt-{hex}", "ownerId": "{account}",
		},
	},
	SubnetType: {
		id: "subnet-", required: []string{"vpcId"}, refs: []ref{{field: "vpcId", to: VPCType}},
		replace: []string{"vpcId", "cidrBlock", "availabilityZone"}, check: checkSubnet,
		outputs: map[string]any{"arn": "arn:aws:ec2:{region}:{account}:subnet/{id}", "ownerId": "{account}"},
	},
	gatewayType: {
		id: "igw-", refs: []ref{{field: "vpcId", to: VPCType}}, check: checkGateway,
		deletable: noPublicAddresses,
		outputs:   map[string]any{"arn": "arn:aws:ec2:{region}:{account}:internet-gateway/{id}", "ownerId": "{account}"},
	},
	routeTableType: {
		id: "rtb-", required: []string{"vpcId"}, refs: []ref{{field: "vpcId", to: VPCType}}, replace: []string{"vpcId"},
		outputs: map[string]any{"arn": "arn:aws:ec2:{region}:{account}:route-table/{id}", "ownerId": "{account}"},
	},
	routeType: {
		id: "r-{routeTableId}{destination}", required: []string{"routeTableId"}, untagged: true,
		refs: []ref{
			{field: "routeTableId", to: routeTableType, hold: follows},
			{field: "gatewayId", to: gatewayType, hold: loose},
		},
		unique:  []string{"routeTableId", "destinationCidrBlock", "destinationIpv6CidrBlock"},
		replace: []string{"routeTableId", "destinationCidrBlock", "destinationIpv6CidrBlock"}, check: checkRoute,
		outputs: map[string]any{"origin": constant("CreateRoute"), "state": constant("active")},
	},
	routeTableAssocType: {
		id: "rtbassoc-", required: []string{"routeTableId"}, untagged: true,
		refs: []ref{{field: "routeTableId", to: routeTableType}, {field: "subnetId", to: SubnetType, hold: follows}},
		// A subnet has one route table.
		unique: []string{"subnetId"}, replace: []string{"subnetId", "gatewayId"}, check: checkRouteTableAssociation,
	},
	endpointType: {
		id: "vpce-", required: []string{"vpcId", "serviceName"},
		refs: []ref{
			{field: "vpcId", to: VPCType}, {field: "routeTableIds", to: routeTableType, hold: loose},
			{field: "subnetIds", to: SubnetType}, {field: "securityGroupIds", to: GroupType},
		},
		replace: []string{"vpcId", "serviceName", "vpcEndpointType"}, check: checkEndpoint,
		outputs: map[string]any{
			"arn": "arn:aws:ec2:{region}:{account}:vpc-endpoint/{id}", "state": constant("available"), "prefixListId": "pl-{hex}",
			"ownerId": "{account}",
		},
	},
	GroupType: {
		id: "sg-", autoname: "name", refs: []ref{{field: "vpcId", to: VPCType}}, unique: []string{"vpcId", "name"},
		replace: []string{"name", "namePrefix", "description", "vpcId"}, check: checkGroup, deletable: groupUnreferenced,
		outputs: map[string]any{"arn": "arn:aws:ec2:{region}:{account}:security-group/{id}", "ownerId": "{account}"},
	},
	IngressRuleType: groupRule,
	egressRuleType:  groupRule,
	KeyPairType: {
		id: "{keyName}", autoname: "keyName", required: []string{"publicKey"}, unique: []string{"keyName"},
		replace: []string{"keyName", "publicKey"}, check: checkKeyPair,
		outputs: map[string]any{
			"arn": "arn:aws:ec2:{region}:{account}:key-pair/{keyName}", "keyPairId": "key-{hex}", "keyType": constant("ed25519"),
			"fingerprint": fingerprintOfKeyPair,
		},
	},
	InstanceType: {
		id: "i-",
		refs: []ref{
			{field: "subnetId", to: SubnetType}, {field: "vpcSecurityGroupIds", to: GroupType},
			// AWS deletes both while the instance runs.
			{field: "keyName", to: KeyPairType, hold: loose},
			{field: "iamInstanceProfile", to: ProfileType, by: "name", hold: loose},
		},
		replace: []string{
			"ami", "availabilityZone", "subnetId", "keyName", "privateIp", "associatePublicIpAddress", "placementGroup",
			"rootBlockDevice.encrypted", "rootBlockDevice.kmsKeyId", "ebsBlockDevices", "cpuOptions", "tenancy", "hibernation",
			marketOptions,
		},
		check: checkInstance, created: drawHostKey, deleted: endInstance,
		outputs: map[string]any{
			"arn": "arn:aws:ec2:{region}:{account}:instance/{id}", "instanceState": constant("running"),
			"primaryNetworkInterfaceId": "eni-{hex}",
			"privateIp":                 drawPrivateIP, "publicIp": drawPublicIP, "availabilityZone": zoneOfInstance,
			"privateDns": privateDNS, "publicDns": constant(""), "passwordData": constant(""),
		},
	},
	EIPType: {
		id: "eipalloc-", check: checkEIP,
		refs:    []ref{{field: "instance", to: InstanceType, hold: loose}},
		replace: []string{"domain", "networkBorderGroup", "publicIpv4Pool"},
		outputs: map[string]any{
			"arn": "arn:aws:ec2:{region}:{account}:elastic-ip/{id}", "allocationId": "{id}", "publicIp": drawElasticIP,
			"publicDns": constant(""), "privateIp": constant(""), "associationId": constant(""),
		},
	},
	EIPAssociationType: {
		id: "eipassoc-", untagged: true,
		refs: []ref{
			// AWS does not release an address that is associated.
			{field: "allocationId", to: EIPType}, {field: "instanceId", to: InstanceType, hold: follows},
		},
		unique: []string{"allocationId"}, replace: []string{"*"},
		outputs: map[string]any{"publicIp": addressOfAssociation, "networkInterfaceId": constant(""),
			"privateIpAddress": constant("")},
	},
	VolumeType: {
		id: "vol-", required: []string{"availabilityZone"}, replace: []string{"availabilityZone", "encrypted", "kmsKeyId", "snapshotId"},
		outputs: map[string]any{"arn": "arn:aws:ec2:{region}:{account}:volume/{id}"},
	},

	roleType: {
		id: "{name}", autoname: "name", required: []string{"assumeRolePolicy"}, unique: []string{"name"},
		replace: []string{"name", "namePrefix", "path"}, check: checkRole, deletable: roleUnattached,
		outputs: map[string]any{
			"arn": "arn:aws:iam::{account}:role/{name}", "uniqueId": "AROA{hex}", "createDate": constant("2026-01-01T00:00:00Z"),
		},
	},
	"aws:iam/rolePolicy:RolePolicy": {
		id: "{role}:{name}", autoname: "name", required: []string{"policy", "role"}, untagged: true,
		refs:   []ref{{field: "role", to: roleType, by: "name", hold: loose}},
		unique: []string{"role", "name"}, replace: []string{"name", "namePrefix", "role"}, check: checkInlinePolicy,
	},
	attachmentType: {
		id: "{role}-{policyArn}", required: []string{"policyArn", "role"}, untagged: true,
		refs:   []ref{{field: "role", to: roleType, by: "name", hold: loose}},
		unique: []string{"role", "policyArn"}, replace: []string{"*"}, check: checkAttachment,
	},
	"aws:iam/policy:Policy": {
		id: "arn:aws:iam::{account}:policy/{name}", autoname: "name", required: []string{"policy"},
		unique: []string{"name"}, replace: []string{"name", "namePrefix", "path", "description"},
		check: checkManagedPolicy, deletable: policyUnattached, outputs: map[string]any{"arn": "{id}"},
	},
	ProfileType: {
		id: "{name}", autoname: "name", unique: []string{"name"}, replace: []string{"name", "namePrefix", "path"},
		refs: []ref{{field: "role", to: roleType, by: "name", hold: loose}}, check: checkProfile,
		outputs: map[string]any{
			"arn": "arn:aws:iam::{account}:instance-profile/{name}", "uniqueId": "AIPA{hex}",
			"createDate": constant("2026-01-01T00:00:00Z"),
		},
	},

	issuerType: {
		id: "arn:aws:iam::{account}:oidc-provider/{issuer}", required: []string{"clientIdLists", "url"}, unique: []string{"url"}, replace: []string{"url"},
		check: checkIssuer, outputs: map[string]any{"arn": "{id}"},
	},

	keyType: {
		id: "", replace: []string{"customKeyStoreId", "keyUsage"}, deletable: keyWithoutAlias,
		outputs: map[string]any{"arn": "arn:aws:kms:{region}:{account}:key/{id}", "keyId": "{id}"},
	},
	"aws:kms/alias:Alias": {
		id: "{name}", autoname: "name", required: []string{"targetKeyId"}, untagged: true, unique: []string{"name"},
		replace: []string{"name"},
		refs:    []ref{{field: "targetKeyId", to: keyType, hold: loose}}, check: checkAlias,
		outputs: map[string]any{"arn": "arn:aws:kms:{region}:{account}:{name}", "targetKeyArn": "arn:aws:kms:{region}:{account}:key/{targetKeyId}"},
	},

	BucketType: bucket,
	"aws:s3/bucketVersioningV2:BucketVersioningV2": bucketPart("versioningConfiguration"),
	publicBlockType: bucketPart(),
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": bucketPart("rules"),
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2":                       bucketPart("rules"),
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls":                                     bucketPart("rule"),
	"aws:s3/bucketPolicy:BucketPolicy":                                                           bucketPolicy,
	BucketObjectType: {
		id: "{key}", required: []string{"bucket", "key"}, replace: []string{"bucket", "key"}, untagged: true,
		// forceDestroy of the bucket deletes the object too.
		refs:    []ref{{field: "bucket", to: BucketType, hold: follows}},
		outputs: map[string]any{"arn": "arn:aws:s3:::{bucket}/{key}", "versionId": "{hex}", "etag": "{hex}"},
	},

	zoneType: {
		id: "Z", required: []string{"name"}, replace: []string{"name", "delegationSetId"}, check: checkZone,
		deletable: zoneEmpty, deleted: zoneRecordsGone,
		outputs: map[string]any{
			"arn": "arn:aws:route53:::hostedzone/{id}", "zoneId": "{id}", "nameServers": nameServers,
			"primaryNameServer": constant("ns-1.awsdns-01.com"),
		},
	},
	recordType: {
		id: "{zoneId}_{name}_{type}", required: []string{"name", "type", "zoneId"}, untagged: true,
		// The program must delete its records itself: a zone with records in it stays.
		refs:    []ref{{field: "zoneId", to: zoneType, hold: loose}},
		replace: []string{"zoneId", "name", "type", "setIdentifier"}, check: checkRecord,
		outputs: map[string]any{"fqdn": recordName},
	},
	certificateType: {
		id: "arn:aws:acm:{region}:{account}:certificate/{hex}", replace: []string{"domainName", "subjectAlternativeNames", "validationMethod", "keyAlgorithm"},
		check: checkCertificate, deletable: certificateUnused,
		outputs: map[string]any{
			"arn": "{id}", "domainValidationOptions": validationOptions, "status": constant("PENDING_VALIDATION"),
			"type":     constant("AMAZON_ISSUED"),
			"notAfter": constant(""), "notBefore": constant(""),
		},
	},
	"aws:acm/certificateValidation:CertificateValidation": {
		id: "{certificateArn}", required: []string{"certificateArn"}, untagged: true, replace: []string{"*"},
		refs: []ref{{field: "certificateArn", to: certificateType, hold: follows}}, check: checkValidation,
	},

	repositoryType: {
		id: "{name}", autoname: "name", unique: []string{"name"}, replace: []string{"name", "encryptionConfigurations"},
		check: checkRepository, deletable: repositoryEmpty,
		outputs: map[string]any{
			"arn": "arn:aws:ecr:{region}:{account}:repository/{name}", "registryId": "{account}",
			"repositoryUrl": "{account}.dkr.ecr.{region}.amazonaws.com/{name}",
		},
	},
	"aws:ecr/lifecyclePolicy:LifecyclePolicy": {
		id: "{repository}", required: []string{"policy", "repository"}, untagged: true, replace: []string{"repository", "policy"},
		refs: []ref{{field: "repository", to: repositoryType, hold: follows}}, check: checkJSON("policy"),
		outputs: map[string]any{"registryId": "{account}"},
	},

	"aws:ecr/repositoryPolicy:RepositoryPolicy": {
		id: "{repository}", required: []string{"policy", "repository"}, untagged: true, replace: []string{"repository"},
		refs: []ref{{field: "repository", to: repositoryType, hold: follows}}, check: checkPolicyDocument("policy"),
		outputs: map[string]any{"registryId": "{account}"},
	},

	LoadBalancerType: {
		id: "lb-", refs: []ref{
			{field: "subnets", to: SubnetType}, {field: "securityGroups", to: GroupType},
			{field: "certificateArns", to: certificateType},
		},
	},
	TargetGroupType: {
		id: "tg-", refs: []ref{{field: "vpcId", to: VPCType, hold: loose},
			{field: "loadBalancer", to: LoadBalancerType, hold: loose}},
	},
}

var groupRule = resourceType{
	id: "sgr-", required: []string{"ipProtocol", "securityGroupId"},
	refs: []ref{
		{field: "securityGroupId", to: GroupType, hold: follows},
		// groupUnreferenced refuses to delete a group that a rule of another group names. The reference itself is loose,
		// because a rule that names its own group is deleted with it.
		{field: "referencedSecurityGroupId", to: GroupType, hold: loose},
	},
	unique: []string{
		"securityGroupId", "ipProtocol", "fromPort", "toPort", "cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId",
	},
	replace: []string{"securityGroupId"}, check: checkGroupRule,
	outputs: map[string]any{"arn": "arn:aws:ec2:{region}:{account}:security-group-rule/{id}", "securityGroupRuleId": "{id}"},
}

var bucket = resourceType{
	id: "{bucket}", autoname: "bucket", replace: []string{"bucket", "bucketPrefix", "objectLockEnabled"},
	check: checkBucket, deletable: bucketEmpty, deleted: bucketObjectsGone,
	outputs: map[string]any{
		"arn": "arn:aws:s3:::{bucket}", "bucketDomainName": "{bucket}.s3.amazonaws.com",
		"bucketRegionalDomainName": "{bucket}.s3.{region}.amazonaws.com", "region": "{region}", "hostedZoneId": constant("Z21DNDUVLTQW6Q"),
	},
}

var bucketPolicy = resourceType{
	id: "{bucket}", required: []string{"bucket", "policy"}, refs: []ref{{field: "bucket", to: BucketType, hold: follows}},
	replace: []string{"bucket"}, untagged: true, check: checkBucketPolicy,
}

// bucketPart returns the row of a bucket's setting that is a resource of its own. It is deleted with the bucket.
func bucketPart(required ...string) resourceType {
	return resourceType{
		id: "{bucket}", required: append([]string{"bucket"}, required...), untagged: true, replace: []string{"bucket"},
		refs: []ref{{field: "bucket", to: BucketType, hold: follows}},
	}
}

// constant returns an output that is the same for every object.
func constant(v any) func(*call) any { return func(*call) any { return v } }
