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

// readAccount lets a role see what the stacks of clusters have in the account. Objects in buckets and values of
// parameters are not among it, but for the parameters of AWS itself, the public documents of clusters as issuers, and
// the folder that buckets are listed by.
func (d *deployer) readAccount() policy.Document {
	reads := collect(func(c calls) []string { return c.reads })
	return policy.New(
		policy.Allow("Read", slices.DeleteFunc(reads, func(a string) bool { return a == "ssm:GetParameter" }),
			everything, nil),
		policy.Allow("PublicParameters", []string{"ssm:GetParameter"},
			[]string{fmt.Sprintf("arn:%s:ssm:*::parameter/aws/service/*", d.aws.Partition())}, nil),
		policy.Allow("PublicDocuments", []string{"s3:GetObject", "s3:GetObjectTagging"}, []string{
			fmt.Sprintf("arn:%s:s3:::*-identity-*/%s", d.aws.Partition(), config.DiscoveryPath),
			fmt.Sprintf("arn:%s:s3:::*-identity-*/%s", d.aws.Partition(), config.KeySetPath),
		}, nil),
	)
}

// changeCluster lets a role make, change and remove what a cluster has. What exists already has to carry the tag of the
// cluster, where the service tells IAM of tags; names are bound to the name of the cluster where it does not.
func (d *deployer) changeCluster(environment string) map[string]policy.Document {
	creates := collect(func(c calls) []string { return c.creates })
	changes := collect(func(c calls) []string { return c.changes })
	return map[string]policy.Document{
		"tagged":  policy.New(d.tagged(environment, creates, changes)...),
		"network": policy.New(d.network(environment, creates, changes)...),
		"identities": policy.New(d.identities(environment, changes), d.passRoles(environment),
			d.attachments(environment), d.serviceAccounts(environment)),
		"buckets": policy.New(d.buckets(environment, changes)),
		"names":   policy.New(d.names(environment, creates, changes)...),
	}
}

// isOfIssuer reports whether an action is on an identity provider. The cluster's may have any name.
func isOfIssuer(action string) bool { return strings.Contains(action, "OpenIDConnectProvider") }

// tagged is the part for what carries the tag of the cluster: machines, networks, certificates and the cluster as an
// issuer of tokens.
func (d *deployer) tagged(environment string, creates, changes []string) []policy.Statement {
	cluster := d.settings.Cluster(environment)
	makes := []string{"acm:AddTagsToCertificate", "ec2:CreateTags", "iam:TagOpenIDConnectProvider"}
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

// network is the part of EC2 that has no tag yet, and of what controllers made.
func (d *deployer) network(environment string, creates, changes []string) []policy.Statement {
	cluster := d.settings.Cluster(environment)
	// Controllers make volumes, groups and load balancers. They carry the tag of Kubernetes, and those of old clusters
	// only that.
	ofControllers := policy.Equals("aws:ResourceTag/kubernetes.io/cluster/"+cluster, "owned")
	ofBalancers := policy.Equals("aws:ResourceTag/elbv2.k8s.aws/cluster", cluster)
	return []policy.Statement{
		policy.Allow("Create", ofService("ec2", creates), everything, nil),
		policy.Allow("SweepVolumes", []string{"ec2:DeleteVolume", "ec2:DeleteSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"},
			everything, ofControllers),
		policy.Allow("SweepBalancers", append(ofService("elasticloadbalancing", changes), "ec2:DeleteSecurityGroup"),
			everything, ofBalancers),
		// The rule of a group whose tag says nothing, such as the default group, does not exist for the program. The group of
		// a new endpoint or instance has to be one that exists.
		policy.Allow("UseRules", []string{"ec2:ModifySecurityGroupRules", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"},
			[]string{d.arn("ec2", "*", "security-group-rule/*")}, nil),
	}
}

// openAccess lets a role that only reads let its own machine in to the nodes: `access open` and `access close`. Without
// it no comparison from a machine of GitHub could see what is in the cluster. IAM cannot say for which address; the
// driver does.
func (d *deployer) openAccess(environment string) policy.Document {
	cluster := d.settings.Cluster(environment)
	group, rule := []string{d.arn("ec2", "*", "security-group/*")}, []string{d.arn("ec2", "*", "security-group-rule/*")}
	owned := policy.Equals("aws:ResourceTag/"+config.TagCluster, cluster)
	return policy.New(
		policy.Allow("Groups", []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"}, group, owned),
		policy.Allow("Rules", []string{"ec2:AuthorizeSecurityGroupIngress"}, rule, nil),
		policy.Allow("Tag", []string{"ec2:CreateTags"}, rule, policy.Equals("aws:RequestTag/"+config.TagCluster, cluster)),
		policy.Allow("Untag", []string{"ec2:DeleteTags"}, rule, owned),
	)
}

// identities is the part for roles and instance profiles, which are bound by their names.
func (d *deployer) identities(environment string, changes []string) policy.Statement {
	cluster := d.settings.Cluster(environment)
	actions := slices.DeleteFunc(ofService("iam", changes), func(a string) bool {
		return isOfIssuer(a) || a == "iam:PassRole" || a == "iam:AttachRolePolicy" || a == "iam:DetachRolePolicy"
	})
	return policy.Allow("Identities", actions,
		[]string{d.arn("iam", "", "role/"+cluster+"-*"), d.arn("iam", "", "instance-profile/"+cluster+"-*")}, nil)
}

// passRoles lets a role give a machine a role of the cluster.
func (d *deployer) passRoles(environment string) policy.Statement {
	return policy.Allow("PassRoles", []string{"iam:PassRole"},
		[]string{d.arn("iam", "", "role/"+d.settings.Cluster(environment)+"-*")},
		policy.Equals("iam:PassedToService", "ec2."+d.aws.PrincipalSuffix()))
}

// attachments are of the one policy of AWS that the nodes have.
func (d *deployer) attachments(environment string) policy.Statement {
	return policy.Allow("Attachments", []string{"iam:AttachRolePolicy", "iam:DetachRolePolicy"},
		[]string{d.arn("iam", "", "role/"+d.settings.Cluster(environment)+"-*")},
		map[string]policy.Operands{"ArnEquals": {"iam:PolicyARN": {
			fmt.Sprintf("arn:%s:iam::aws:policy/AmazonSSMManagedInstanceCore", d.aws.Partition()),
		}}})
}

// serviceAccounts is the part for policies that the settings of a cluster name. It allows no more than Identities,
// which lets the same roles have any inline policy.
func (d *deployer) serviceAccounts(environment string) policy.Statement {
	return policy.Allow("ServiceAccounts", []string{"iam:AttachRolePolicy", "iam:DetachRolePolicy"},
		[]string{d.arn("iam", "", "role/"+d.settings.Cluster(environment)+"-sa-*")}, nil)
}

// buckets is the part for S3: buckets have the name of the cluster and a random end.
func (d *deployer) buckets(environment string, changes []string) policy.Statement {
	bucket := fmt.Sprintf("arn:%s:s3:::%s-*", d.aws.Partition(), d.settings.Cluster(environment))
	return policy.Allow("Buckets", ofService("s3", changes), []string{bucket, bucket + "/*"}, nil)
}

// names is the part for DNS, new certificates and the repositories of the cluster's own registry. A hosted zone gives
// conditions no tags, so records of every zone of the account may be changed.
func (d *deployer) names(environment string, creates, changes []string) []policy.Statement {
	cluster := d.settings.Cluster(environment)
	zones := []string{
		fmt.Sprintf("arn:%s:route53:::hostedzone/*", d.aws.Partition()), d.arn("ec2", "*", "vpc/*"),
	}
	return []policy.Statement{
		policy.Allow("CreateNames", append(ofService("route53", creates), ofService("acm", creates)...), everything, nil),
		policy.Allow("Zones", ofService("route53", changes), zones, nil),
		policy.Allow("Repositories", ofService("ecr", changes), []string{d.arn("ecr", "*", "repository/"+cluster+"/*")}, nil),
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
func (d *deployer) writeState(bucket, key, environment string) policy.Document {
	objects := append(stateObjects(bucket, "", environment), stateObjects(bucket, redactedFolder+"/", environment)...)
	return policy.New(
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("State", []string{"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}, objects, nil),
		d.useKey(key, environment, "kms:Decrypt", "kms:Encrypt"),
	)
}

// readState lets a role read the state of a stack with its secrets.
func (d *deployer) readState(bucket, key, environment string) policy.Document {
	return policy.New(
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("State", []string{"s3:GetObject"}, stateObjects(bucket, "", environment), nil),
		d.useKey(key, environment, "kms:Decrypt"),
	)
}

// useKey allows the key for one stack: the name of the stack is a part of what is encrypted.
func (d *deployer) useKey(key, environment string, actions ...string) policy.Statement {
	return policy.Allow("Key", actions, []string{key}, policy.Equals("kms:EncryptionContext:stack", environment))
}

// readRedacted lets a role read the copy without secrets, and denies it everything that could show a secret of a state.
func (d *deployer) readRedacted(bucket, key, environment string) policy.Document {
	secret := []string{bucket + "/.pulumi/*"}
	return policy.New(
		policy.Allow("List", []string{"s3:ListBucket"}, []string{bucket}, nil),
		policy.Allow("Redacted", []string{"s3:GetObject"}, stateObjects(bucket, redactedFolder+"/", environment), nil),
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
