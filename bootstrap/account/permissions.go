package account

import (
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/config"
	"kubeadm-aws/infra/policy"
)

var everything = []string{"*"}

// ofService picks the actions of one service.
func ofService(service string, actions []string) []string {
	return slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return !strings.HasPrefix(a, service+":") })
}

// permissions are what the roles of one environment may do.
type permissions struct {
	*deployer
	environment string
}

// cluster is the name of the cluster of the environment.
func (p permissions) cluster() string { return p.settings.Cluster(p.environment) }

// readAccount lets a role see what the stacks of clusters have in the account. Objects in buckets and values of
// parameters are not among it, but for the parameters of AWS itself, the public documents of clusters as issuers, and
// the folder that buckets are listed by.
func (d *deployer) readAccount() policy.Document {
	reads := collect(func(c calls) []string { return c.reads })
	return policy.New(
		policy.Allow("Read", slices.DeleteFunc(slices.Clone(reads),
			func(a string) bool { return strings.HasPrefix(a, "ssm:") }), everything, nil),
		policy.Allow("PublicParameters", ofService("ssm", reads),
			[]string{fmt.Sprintf("arn:%s:ssm:*::parameter/aws/service/*", d.aws.Partition())}, nil),
		policy.Allow("PublicDocuments", []string{"s3:GetObject", "s3:GetObjectTagging"}, []string{
			fmt.Sprintf("arn:%s:s3:::*-identity-*/%s", d.aws.Partition(), config.DiscoveryPath),
			fmt.Sprintf("arn:%s:s3:::*-identity-*/%s", d.aws.Partition(), config.KeySetPath),
		}, nil),
	)
}

// changeCluster lets a role make, change and remove what a cluster has. What exists already has to carry the tag of the
// cluster, where the service tells IAM of tags; names are bound to the name of the cluster where it does not.
func (p permissions) changeCluster() map[string]policy.Document {
	creates := collect(func(c calls) []string { return c.creates })
	changes := collect(func(c calls) []string { return c.changes })
	return map[string]policy.Document{
		"tagged":  policy.New(p.tagged(creates, changes)...),
		"network": policy.New(p.network(creates, changes)...),
		"identities": policy.New(p.identities(changes), p.passRoles(),
			p.attachments(), p.serviceAccounts(), p.spotRole()),
		"buckets": policy.New(p.buckets(changes)),
		"names":   policy.New(p.names(creates, changes)...),
	}
}

// isOfIssuer reports whether an action is on an identity provider. The cluster's may have any name.
func isOfIssuer(action string) bool { return strings.Contains(action, "OpenIDConnectProvider") }

// tagged is the part for what carries the tag of the cluster: machines, networks, certificates and the cluster as an
// issuer of tokens.
func (p permissions) tagged(creates, changes []string) []policy.Statement {
	cluster := p.cluster()
	makes := []string{"acm:AddTagsToCertificate", "ec2:CreateImage", "ec2:CreateTags", "iam:TagOpenIDConnectProvider"}
	for _, action := range creates {
		if isOfIssuer(action) {
			makes = append(makes, action)
		}
	}
	changes = slices.DeleteFunc(slices.Clone(changes), func(a string) bool {
		return !strings.HasPrefix(a, "ec2:") && !strings.HasPrefix(a, "acm:") && !isOfIssuer(a)
	})
	return []policy.Statement{
		policy.Allow("TagNew", makes, everything, policy.Equals("aws:RequestTag/"+config.TagCluster, cluster)),
		policy.Allow("Change", changes, everything, policy.Equals("aws:ResourceTag/"+config.TagCluster, cluster)),
	}
}

// sweepGroups remove a security group with its rules.
var sweepGroups = []string{"ec2:DeleteSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"}

// network is the part of EC2 that has no tag yet, and of what controllers made.
func (p permissions) network(creates, changes []string) []policy.Statement {
	cluster := p.cluster()
	// Controllers make volumes, groups and load balancers. They carry the tag of Kubernetes, and those of old clusters
	// only that.
	ofControllers := policy.Equals("aws:ResourceTag/kubernetes.io/cluster/"+cluster, "owned")
	ofBalancers := policy.Equals("aws:ResourceTag/elbv2.k8s.aws/cluster", cluster)
	return []policy.Statement{
		policy.Allow("Create", ofService("ec2", creates), everything, nil),
		policy.Allow("SweepVolumes", append([]string{"ec2:DeleteVolume"}, sweepGroups...), everything, ofControllers),
		policy.Allow("SweepBalancers", append(ofService("elasticloadbalancing", changes), "ec2:DeleteSecurityGroup"),
			everything, ofBalancers),
		// The rule of a group whose tag says nothing, such as the default group, does not exist for the program. The group of
		// a new endpoint or instance has to be one that exists.
		policy.Allow("UseRules", []string{"ec2:ModifySecurityGroupRules", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"},
			[]string{p.arn("ec2", "*", "security-group-rule/*")}, nil),
	}
}

// ofNoCluster lets a role that changes clusters do what no tag and no name binds to one of them.
func (d *deployer) ofNoCluster() policy.Document {
	return policy.New(
		// GuardDuty leaves its endpoint and its group in the network, and gives them no tag of the cluster.
		policy.Allow("SweepGuardDuty", append([]string{"ec2:DeleteVpcEndpoints"}, sweepGroups...), everything,
			policy.Equals("aws:ResourceTag/GuardDutyManaged", "true")),
		// EC2 encrypts disks with the key that the account has chosen, with the rights of the caller. Without these, a
		// machine whose key is a customer's ends right after its start.
		policy.Allow("EncryptDisks", []string{"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"},
			[]string{d.arn("kms", "*", "key/*")}, map[string]policy.Operands{"StringLike": {"kms:ViaService": {"ec2.*"}}}),
	)
}

// openAccess lets a role that only reads let its own machine in to the nodes: `access open` and `access close`. Without
// it no comparison from a machine of GitHub could see what is in the cluster. IAM cannot say for which address; the
// driver does.
func (p permissions) openAccess() policy.Document {
	cluster := p.cluster()
	group, rule := []string{p.arn("ec2", "*", "security-group/*")}, []string{p.arn("ec2", "*", "security-group-rule/*")}
	owned := policy.Equals("aws:ResourceTag/"+config.TagCluster, cluster)
	return policy.New(
		policy.Allow("Groups", []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"}, group, owned),
		policy.Allow("Rules", []string{"ec2:AuthorizeSecurityGroupIngress"}, rule, nil),
		policy.Allow("Tag", []string{"ec2:CreateTags"}, rule, policy.Equals("aws:RequestTag/"+config.TagCluster, cluster)),
		policy.Allow("Untag", []string{"ec2:DeleteTags"}, rule, owned),
	)
}

// identities is the part for roles and instance profiles, which are bound by their names. A role that is deleted loses
// also the policies that others attached.
func (p permissions) identities(changes []string) policy.Statement {
	cluster := p.cluster()
	actions := slices.DeleteFunc(ofService("iam", changes), func(a string) bool {
		return isOfIssuer(a) || a == "iam:PassRole" || a == "iam:AttachRolePolicy"
	})
	return policy.Allow("Identities", actions,
		[]string{p.arn("iam", "", "role/"+cluster+"-*"), p.arn("iam", "", "instance-profile/"+cluster+"-*")}, nil)
}

// passRoles lets a role give a machine a role of the cluster.
func (p permissions) passRoles() policy.Statement {
	return policy.Allow("PassRoles", []string{"iam:PassRole"},
		[]string{p.arn("iam", "", "role/"+p.cluster()+"-*")},
		policy.Equals("iam:PassedToService", "ec2."+p.aws.PrincipalSuffix()))
}

// attachments are of the one policy of AWS that the nodes have.
func (p permissions) attachments() policy.Statement {
	return policy.Allow("Attachments", []string{"iam:AttachRolePolicy"},
		[]string{p.arn("iam", "", "role/"+p.cluster()+"-*")},
		map[string]policy.Operands{"ArnEquals": {"iam:PolicyARN": {
			fmt.Sprintf("arn:%s:iam::aws:policy/AmazonSSMManagedInstanceCore", p.aws.Partition()),
		}}})
}

// serviceAccounts is the part for policies that the settings of a cluster name. It allows no more than Identities,
// which lets the same roles have any inline policy.
func (p permissions) serviceAccounts() policy.Statement {
	return policy.Allow("ServiceAccounts", []string{"iam:AttachRolePolicy"},
		[]string{p.arn("iam", "", "role/"+p.cluster()+"-sa-*")}, nil)
}

// spotRole lets the first spot instance of an account be started: EC2 then makes the service-linked role for them.
func (p permissions) spotRole() policy.Statement {
	// The name is the same in every partition.
	return policy.Allow("SpotRole", []string{"iam:CreateServiceLinkedRole"},
		[]string{p.arn("iam", "", "role/aws-service-role/spot.amazonaws.com/*")}, nil)
}

// buckets is the part for S3: buckets have the name of the cluster and a random end.
func (p permissions) buckets(changes []string) policy.Statement {
	bucket := fmt.Sprintf("arn:%s:s3:::%s-*", p.aws.Partition(), p.cluster())
	return policy.Allow("Buckets", ofService("s3", changes), []string{bucket, bucket + "/*"}, nil)
}

// names is the part for DNS, new certificates and the repositories of the cluster's own registry. A hosted zone gives
// conditions no tags, so records of every zone of the account may be changed.
func (p permissions) names(creates, changes []string) []policy.Statement {
	cluster := p.cluster()
	zones := []string{
		fmt.Sprintf("arn:%s:route53:::hostedzone/*", p.aws.Partition()), p.arn("ec2", "*", "vpc/*"),
	}
	return []policy.Statement{
		policy.Allow("CreateNames", append(ofService("route53", creates), ofService("acm", creates)...), everything, nil),
		policy.Allow("Zones", ofService("route53", changes), zones, nil),
		policy.Allow("Repositories", ofService("ecr", changes), []string{p.arn("ecr", "*", "repository/"+cluster+"/*")}, nil),
	}
}

// stateObjects are the objects in which Pulumi keeps the state of one stack: the state itself, its tags, locks, history
// and backups.
func stateObjects(bucket, folder, stack string) []string {
	const project = "kubeadm-aws"
	at := bucket + "/" + folder + ".pulumi/"
	return []string{
		at + "stacks/" + project + "/" + stack + ".*",
		at + "locks/organization/" + project + "/" + stack + "/*",
		at + "history/" + project + "/" + stack + "/*",
		at + "backups/" + project + "/" + stack + "/*",
		at + "meta.yaml", at + "Pulumi.yaml",
	}
}

// writeState lets a role keep the state of a stack, its copy without secrets, and the secrets in it.
func (p permissions) writeState(bucket, key string) policy.Document {
	objects := append(stateObjects(bucket, "", p.environment), stateObjects(bucket, redactedFolder+"/", p.environment)...)
	return policy.New(
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("State", []string{"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}, objects, nil),
		p.useKey(key, "kms:Decrypt", "kms:Encrypt"),
	)
}

// readState lets a role read the state of a stack with its secrets.
func (p permissions) readState(bucket, key string) policy.Document {
	return policy.New(
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("State", []string{"s3:GetObject"}, stateObjects(bucket, "", p.environment), nil),
		p.useKey(key, "kms:Decrypt"),
	)
}

// useKey allows the key for one stack: the name of the stack is a part of what is encrypted.
func (p permissions) useKey(key string, actions ...string) policy.Statement {
	return policy.Allow("Key", actions, []string{key}, policy.Equals("kms:EncryptionContext:stack", p.environment))
}

// readRedacted lets a role read the copy without secrets, and denies it everything that could show a secret of a state.
func (p permissions) readRedacted(bucket, key string) policy.Document {
	secret := []string{bucket + "/.pulumi/*"}
	return policy.New(
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("Redacted", []string{"s3:GetObject"}, stateObjects(bucket, redactedFolder+"/", p.environment), nil),
		policy.Statement{Sid: "NoState", Effect: "Deny", Action: []string{"s3:GetObject*", "s3:PutObject*", "s3:DeleteObject*"}, Resource: secret},
		policy.Statement{Sid: "NoKey", Effect: "Deny", Action: []string{"kms:*"}, Resource: []string{key}},
	)
}

// pushImages lets a role push to the image registry and look at what was pushed; it can delete nothing.
func pushImages(repositories []string) policy.Document {
	return policy.New(
		policy.Allow("Login", []string{"ecr:GetAuthorizationToken"}, everything, nil),
		policy.Allow("Push", []string{
			"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImageScanFindings", "ecr:DescribeImages",
			"ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
		}, repositories, nil),
	)
}
