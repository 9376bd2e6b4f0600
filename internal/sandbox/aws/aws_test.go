package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
)

const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"%s","Resource":"*"}]}`

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}]}`

// A row of the table must be usable: its references point to rows, and the inputs in its id are required.
func TestTableIsConsistent(t *testing.T) {
	for typ, row := range resourceTypes {
		for _, r := range row.refs {
			for _, to := range strings.Split(r.to, "|") {
				if _, ok := resourceTypes[to]; !ok {
					t.Errorf("%s: %s refers to %s, which is not in the table", typ, r.field, to)
				}
			}
		}
		for part := range strings.SplitSeq(row.id, "{") {
			key, _, found := strings.Cut(part, "}")
			if found && !slices.Contains([]string{"id", "region", "account", "hex", "key", "destination", "issuer"}, key) &&
				key != row.autoname && !slices.Contains(row.required, key) {
				t.Errorf("%s: the id is made of %s, which is neither required nor generated", typ, key)
			}
		}
	}
}

func TestRequiredInputs(t *testing.T) {
	c := newClient(t)
	for typ, row := range resourceTypes {
		if len(row.required) == 0 {
			continue
		}
		_, err := c.Try(typ, "x", props.Map{})
		sandboxtest.WantError(t, err, row.required[0])
	}
}

func TestWhatAWSRefuses(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	other := c.Make(VPCType, "other", props.Map{"cidrBlock": "10.9.0.0/16"})
	elsewhere := c.Make(GroupType, "elsewhere", props.Map{"vpcId": other.ID})
	second := c.Make(GroupType, "second", props.Map{"vpcId": n.VPC.ID,
		"tags": map[string]any{"kubernetes.io/cluster/dev": "owned"}})
	instance := func(change props.Map) props.Map {
		in := props.Map{
			"ami": "ami-0123456789abcdef0", "instanceType": "t3.large", "subnetId": n.Subnet.ID,
			"vpcSecurityGroupIds": []any{n.Group.ID},
			"tags":                map[string]any{"kubernetes.io/cluster/dev": "owned"},
		}
		for k, v := range change {
			in[k] = v
		}
		return in
	}
	rule := func(change props.Map) props.Map {
		in := props.Map{"securityGroupId": n.Group.ID, "ipProtocol": "tcp", "fromPort": 1, "toPort": 2,
			"cidrIpv4": "10.0.0.0/8"}
		for k, v := range change {
			in[k] = v
		}
		return in
	}
	zone := c.Make(zoneType, "zone", props.Map{"name": "example.com"})
	role := c.Make(roleType, "role", props.Map{"assumeRolePolicy": trust, "name": "role"})
	issuer := func(url string) props.Map { return props.Map{"url": url, "clientIdLists": []any{"sts.amazonaws.com"}} }
	c.Make(issuerType, "taken", issuer("https://taken.example.com"))
	bucket := c.Make(BucketType, "documents", props.Map{})
	for _, test := range []struct {
		name, typ string
		in        props.Map
		want      string
	}{
		{"VPC too big", VPCType, props.Map{"cidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"},
		{"VPC with host bits", VPCType, props.Map{"cidrBlock": "10.0.0.1/16"}, "host bits"},
		{"subnet outside", SubnetType, props.Map{"vpcId": n.VPC.ID, "cidrBlock": "10.1.0.0/24"}, "InvalidSubnet.Range"},
		{"subnet overlaps", SubnetType, props.Map{"vpcId": n.VPC.ID, "cidrBlock": "10.0.1.128/25"}, "InvalidSubnet.Conflict"},
		{"zone of another region", SubnetType, props.Map{"vpcId": n.VPC.ID, "cidrBlock": "10.0.2.0/24",
			"availabilityZone": "us-east-1a"}, "availability zone"},
		{"VPC that is not there", SubnetType, props.Map{"vpcId": "vpc-1", "cidrBlock": "10.0.2.0/24"},
			`"vpc-1" does not exist`},
		{"second gateway", gatewayType, props.Map{"vpcId": n.VPC.ID}, "internet gateway already"},
		{"same route", routeType, props.Map{"routeTableId": n.Table.ID, "gatewayId": n.Gateway.ID,
			"destinationCidrBlock": "0.0.0.0/0"}, "EntityAlreadyExists"},
		{"second table of a subnet", routeTableAssocType, props.Map{"routeTableId": n.Table.ID, "subnetId": n.Subnet.ID},
			"EntityAlreadyExists"},
		{"endpoint of another region", "aws:ec2/vpcEndpoint:VpcEndpoint",
			props.Map{"vpcId": n.VPC.ID, "serviceName": "com.amazonaws.us-east-1.s3"}, "InvalidServiceName"},
		{"group name", GroupType, props.Map{"vpcId": n.VPC.ID, "name": "sg-mine"}, "may not begin with sg-"},
		{"group description", GroupType, props.Map{"vpcId": n.VPC.ID, "description": "who's there?"}, "invalid characters"},
		{"rule without source", IngressRuleType, rule(props.Map{"cidrIpv4": nil}), "exactly one source"},
		{"rule with two", IngressRuleType, rule(props.Map{"referencedSecurityGroupId": n.Group.ID}), "exactly one source"},
		{"ports swapped", IngressRuleType, rule(props.Map{"fromPort": 3}), "invalid port range"},
		{"all protocols with ports", IngressRuleType, rule(props.Map{"ipProtocol": "-1"}), "takes no ports"},
		{"rule CIDR", IngressRuleType, rule(props.Map{"cidrIpv4": "10.0.0.1/8"}), "host bits"},
		{"rule of a group that is not there", IngressRuleType,
			rule(props.Map{"cidrIpv4": nil, "referencedSecurityGroupId": "sg-1"}), "sg-1"},
		{"duplicate rule", IngressRuleType, props.Map{"securityGroupId": n.Group.ID, "ipProtocol": "tcp", "fromPort": 22,
			"toPort": 22, "cidrIpv4": "192.0.2.0/24"}, "EntityAlreadyExists"},
		{"ECDSA key pair", KeyPairType, props.Map{"publicKey": "ecdsa-sha2-nistp256 AAAA"}, "InvalidKey.Format"},
		{"AMI", InstanceType, instance(props.Map{"ami": "ubuntu"}), "InvalidAMIID"},
		{"instance type", InstanceType, instance(props.Map{"instanceType": "large"}), "not an instance type"},
		{"processor of an image for x86", InstanceType, instance(props.Map{"instanceType": "t4g.large"}),
			"The architecture 'arm64' of the specified instance type does not match the architecture 'x86_64'"},
		{"processor of an image for ARM", InstanceType, instance(props.Map{"ami": imageID("/latest/arm64")}),
			"The architecture 'x86_64' of the specified instance type"},
		{"group of another VPC", InstanceType, instance(props.Map{"vpcSecurityGroupIds": []any{elsewhere.ID}}),
			"different networks"},
		{"two tagged groups", InstanceType, instance(props.Map{"vpcSecurityGroupIds": []any{n.Group.ID, second.ID}}),
			"exactly one security group"},
		{"no profile", InstanceType, instance(props.Map{"iamInstanceProfile": "missing"}), "does not exist"},
		{"tags in metadata", InstanceType, instance(
			props.Map{"metadataOptions": map[string]any{"instanceMetadataTags": "enabled"}}), "instance metadata tags"},
		{"user data", InstanceType, instance(props.Map{"userData": strings.Repeat("x", 17<<10)}), "limited to"},
		{"role name", roleType, props.Map{"assumeRolePolicy": trust, "name": strings.Repeat("x", 65)}, "1 to 64 characters"},
		{"same role", roleType, props.Map{"assumeRolePolicy": trust, "name": "role"}, "EntityAlreadyExists"},
		{"trust-is-no-JSON", roleType, props.Map{"assumeRolePolicy": "{"}, "MalformedPolicyDocument"},
		{"trust-without-principal", roleType, props.Map{"assumeRolePolicy": fmt.Sprintf(policy, "sts:AssumeRole")},
			"no Principal"},
		{"policy-without-version", "aws:iam/rolePolicy:RolePolicy",
			props.Map{"role": role.ID, "policy": `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
			"must have Version"},
		{"policy-without-effect", "aws:iam/rolePolicy:RolePolicy",
			props.Map{"role": role.ID, "policy": `{"Version":"2012-10-17","Statement":[{"Action":"*","Resource":"*"}]}`},
			"no Effect"},
		{"policy-action", "aws:iam/rolePolicy:RolePolicy",
			props.Map{"role": role.ID, "policy": fmt.Sprintf(policy, "describe things")}, "is not an action"},
		{"policy-without-resource", "aws:iam/rolePolicy:RolePolicy",
			props.Map{"role": role.ID, "policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*"}]}`},
			"no Resource"},
		{"policy-too-long", "aws:iam/rolePolicy:RolePolicy",
			props.Map{"role": role.ID, "policy": fmt.Sprintf(policy, "s3:"+strings.Repeat("x", 11000))}, "10240"},
		{"policy that AWS does not have", "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
			props.Map{"role": role.ID, "policyArn": "arn:aws:iam::aws:policy/Everything"}, "NoSuchEntity"},
		{"issuer without TLS", issuerType, issuer("http://oidc.example.com"), "ValidationError"},
		{"issuer with a port", issuerType, issuer("https://oidc.example.com:8443"), "without port"},
		{"issuer with a query", issuerType, issuer("https://oidc.example.com?a=b"), "query"},
		{"second provider of a URL", issuerType, issuer("https://taken.example.com"), "EntityAlreadyExists"},
		{"public policy of a new bucket", "aws:s3/bucketPolicy:BucketPolicy",
			props.Map{"bucket": bucket.ID, "policy": everybody}, "AccessDenied"},
		{"bucket name", BucketType, props.Map{"bucket": "My_Bucket"}, "InvalidBucketName"},
		{"zone name", zoneType, props.Map{"name": "no domain"}, "InvalidDomainName"},
		{"private zone of no VPC", zoneType, props.Map{"name": "x.internal", "vpcs": []any{map[string]any{"vpcId": "vpc-1"}}},
			"InvalidVPCId"},
		{"A record", recordType, props.Map{"zoneId": zone.ID, "name": "api", "type": "A", "ttl": 60,
			"records": []any{"api.example.com"}}, "not an IPv4 address"},
		{"record without ttl", recordType, props.Map{"zoneId": zone.ID, "name": "api", "type": "A",
			"records": []any{"192.0.2.1"}}, "ttl"},
		{"certificate name", certificateType, props.Map{"domainName": "not a name"}, "ValidationException"},
		{"repository name", repositoryType, props.Map{"name": "Celery"}, "InvalidParameterException"},
		{"lifecycle policy", "aws:ecr/lifecyclePolicy:LifecyclePolicy", props.Map{"repository": "x", "policy": "{"},
			"does not exist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := c.Try(test.typ, strings.ReplaceAll(test.name, " ", "-"), test.in)
			sandboxtest.WantError(t, err, test.want)
		})
	}
}

// everybody is a bucket policy that S3 counts as public.
const everybody = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Principal":"*",` +
	`"Resource":"arn:aws:s3:::documents/a"}]}`

// A public policy is accepted only if neither the bucket nor the account blocks it.
// TestPoliciesOfAWS attaches policies that AWS has, in two partitions.
func TestPoliciesOfAWS(t *testing.T) {
	c := newClient(t)
	role := c.Make(roleType, "role", props.Map{"assumeRolePolicy": trust})
	for _, arn := range []string{
		"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
		"arn:aws-cn:iam::aws:policy/AmazonSSMManagedInstanceCore", "arn:aws:iam::123456789012:policy/team/api",
	} {
		if _, err := c.Try(attachmentType, arn, props.Map{"role": role.ID, "policyArn": arn}); err != nil {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

func TestPublicBucketPolicies(t *testing.T) {
	for _, block := range []struct {
		bucket, account bool
		want            string
	}{{false, false, ""}, {true, false, "AccessDenied"}, {false, true, "AccessDenied"}} {
		c := newClient(t)
		c.provider.Limits.BlocksPublicPolicies = block.account
		bucket := c.Make(BucketType, "documents", props.Map{})
		c.Make(publicBlockType, "documents", props.Map{"bucket": bucket.ID, "blockPublicPolicy": block.bucket})
		in := props.Map{"bucket": bucket.ID, "policy": everybody}
		_, err := c.Try("aws:s3/bucketPolicy:BucketPolicy", "documents", in)
		if block.want == "" && err != nil {
			t.Errorf("%+v: %v", block, err)
		} else if block.want != "" {
			sandboxtest.WantError(t, err, block.want)
		}
	}
}

func TestElasticIPQuota(t *testing.T) {
	c := newClient(t)
	for i := range elasticIPs {
		c.Make(EIPType, fmt.Sprint("ip-", i), props.Map{"domain": "vpc"})
	}
	_, err := c.Try(EIPType, "one more", props.Map{"domain": "vpc"})
	sandboxtest.WantError(t, err, "AddressLimitExceeded")
}

// An object in use cannot be deleted, and the error names its user. In the right order everything can be deleted.
func TestDeleteRules(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	backend := c.Make(GroupType, "backend", props.Map{"vpcId": n.VPC.ID})
	refers := c.Make(IngressRuleType, "from backend", props.Map{
		"securityGroupId": n.Group.ID, "ipProtocol": "tcp", "fromPort": 30000, "toPort": 32767,
		"referencedSecurityGroupId": backend.ID,
	})
	role := c.Make(roleType, "role", props.Map{"assumeRolePolicy": trust})
	inline := c.Make("aws:iam/rolePolicy:RolePolicy", "inline",
		props.Map{"role": role.ID, "policy": fmt.Sprintf(policy, "ec2:Describe*")})
	profile := c.Make(ProfileType, "profile", props.Map{"role": role.ID})
	host := c.Instance(n, "host", props.Map{"iamInstanceProfile": profile.ID})
	eip := c.Make(EIPType, "ip", props.Map{"domain": "vpc"})
	associated := c.Make(EIPAssociationType, "ip", props.Map{"allocationId": eip.ID, "instanceId": host.ID})
	bucket := c.Make(BucketType, "backups", props.Map{})
	versioning := c.Make("aws:s3/bucketVersioningV2:BucketVersioningV2", "backups",
		props.Map{"bucket": bucket.ID, "versioningConfiguration": map[string]any{"status": "Enabled"}})
	zone := c.Make(zoneType, "zone", props.Map{"name": "dev.internal", "vpcs": []any{map[string]any{"vpcId": n.VPC.ID}}})
	record := c.Make(recordType, "api", props.Map{"zoneId": zone.ID, "name": "api.dev.internal", "type": "A", "ttl": 60,
		"records": []any{"10.0.1.10"}})
	repository := c.Make(repositoryType, "images", props.Map{"name": "images"})
	if err := c.console.PutObject(bucket.ID, "etcd/1.db"); err != nil {
		t.Fatal(err)
	}
	if err := c.console.PushImage("images"); err != nil {
		t.Fatal(err)
	}

	for _, refused := range []struct {
		*sandboxtest.Resource
		want string
	}{
		{n.VPC, "DependencyViolation"}, {n.Subnet, "DependencyViolation"}, {n.Gateway, "mapped public address"},
		{n.Table, "DependencyViolation"},
		{n.Group, host.ID}, {backend, refers.ID}, {eip, "DependencyViolation"}, {role, "DeleteConflict"},
		{bucket, "BucketNotEmpty"}, {zone, "HostedZoneNotEmpty"}, {repository, "RepositoryNotEmpty"},
	} {
		sandboxtest.WantError(t, c.Delete(refused.Resource), refused.want)
		if c.Gone(refused.Resource) {
			t.Errorf("%s went although it was refused", refused.Type)
		}
	}

	if _, err := c.Update(bucket, props.Map{"bucket": bucket.ID, "forceDestroy": true}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Update(repository, props.Map{"name": "images", "forceDelete": true}, false); err != nil {
		t.Fatal(err)
	}
	for _, th := range []*sandboxtest.Resource{
		associated, eip, host, profile, inline, role, bucket, record, zone, repository, refers, backend,
		n.Route, n.Gateway, n.Association, n.Table, n.SSH, n.Out, n.Group, n.Subnet, n.VPC,
	} {
		if err := c.Delete(th); err != nil {
			t.Fatal(err)
		}
		if !c.Gone(th) {
			t.Errorf("%s is still there", th.Type)
		}
	}
	if !c.Gone(versioning) {
		t.Error("a bucket's versioning must go with the bucket")
	}
	if err := c.Delete(versioning); err != nil {
		t.Errorf("deleting what is gone already: %v", err)
	}
	if left := c.leftovers(); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestReplaceOrUpdate(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	base := func(change props.Map) props.Map {
		in := props.Map{
			"ami": "ami-0123456789abcdef0", "instanceType": "t3.large", "subnetId": n.Subnet.ID,
			"vpcSecurityGroupIds": []any{n.Group.ID},
			"rootBlockDevice":     map[string]any{"encrypted": true, "volumeSize": 20.0}, "userData": "#cloud-config",
			"tags": map[string]any{"Name": "host", "kubernetes.io/cluster/dev": "owned"},
		}
		for k, v := range change {
			in[k] = v
		}
		return in
	}
	host := c.Make(InstanceType, "host", base(nil))
	for _, test := range []struct {
		name            string
		change          props.Map
		changed, forced []string
	}{
		{"nothing", nil, nil, nil},
		{"image", props.Map{"ami": "ami-0123456789abcdef1"}, []string{"ami"}, []string{"ami"}},
		{"size", props.Map{"instanceType": "t3.xlarge"}, []string{"instanceType"}, nil},
		{"spot", props.Map{marketOptions: map[string]any{"marketType": "spot"}}, []string{marketOptions},
			[]string{marketOptions}},
		{"disk grows", props.Map{"rootBlockDevice": map[string]any{"encrypted": true, "volumeSize": 30.0}},
			[]string{"rootBlockDevice"}, nil},
		{"disk encryption", props.Map{"rootBlockDevice": map[string]any{"encrypted": false, "volumeSize": 20.0}},
			[]string{"rootBlockDevice"}, []string{"rootBlockDevice"}},
		{"user data", props.Map{"userData": "#other"}, []string{"userData"}, nil},
		{"user data, wanted", props.Map{"userData": "#other", "userDataReplaceOnChange": true},
			[]string{"userData", "userDataReplaceOnChange"}, []string{"userData"}},
		{"tag", props.Map{"tags": map[string]any{"Name": "host", "kubernetes.io/cluster/dev": "owned", "x": "y"}},
			[]string{"tags", "tagsAll"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := c.Diff(host, base(test.change))
			if !slices.Equal(d.Diffs, test.changed) || !slices.Equal(d.Replaces, test.forced) {
				t.Errorf("changed %v replaces %v, want %v and %v", d.Diffs, d.Replaces, test.changed, test.forced)
			}
		})
	}
	spot := c.Make(InstanceType, "spot", base(props.Map{marketOptions: map[string]any{"marketType": "spot"}}))
	if d := c.Diff(spot, base(nil)); len(d.Diffs) > 0 {
		t.Errorf("a spot instance that is to be on demand changes %v, and the provider sees no change", d.Diffs)
	}
	c.Configure("aws", props.Map{"region": "eu-central-1", "defaultTags": `{"tags":{"owner":"another owner"}}`})
	if d := c.Diff(host, base(nil)); !slices.Equal(d.Diffs, []string{"tagsAll"}) {
		t.Errorf("new default tags change %v, want tagsAll", d.Diffs)
	}
}

func TestRefreshFindsWhatWasTerminated(t *testing.T) {
	c := newClient(t)
	n := c.Network()
	host := c.Instance(n, "host", nil)
	if c.Gone(host) {
		t.Fatal("it was just made")
	}
	if err := c.console.TerminateInstance("host"); err != nil {
		t.Fatal(err)
	}
	if !c.Gone(host) {
		t.Error("a terminated instance must be gone")
	}
	if err := c.Delete(host); err != nil {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestInvokes(t *testing.T) {
	c := newClient(t)
	c.Configure("aws", props.Map{"region": "eu-central-1"})
	image := func() string {
		got, err := c.Invoke("aws:ssm/getParameter:getParameter",
			props.Map{"name": "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"})
		if err != nil {
			t.Fatal(err)
		}
		return got.Str("insecureValue")
	}
	first := image()
	if !amiID.MatchString(first) || image() != first {
		t.Errorf("image %q, want the same AMI id each time", first)
	}
	c.console.PublishImages("2")
	if image() == first {
		t.Error("a newer image was published, and the parameter did not change")
	}
	if _, err := c.Invoke("aws:ssm/getParameter:getParameter", props.Map{"name": "/mine"}); err == nil {
		t.Error("a parameter that does not exist was found")
	}
	zone, err := c.Invoke("aws:route53/getZone:getZone", props.Map{"name": "example.com"})
	if err != nil || zone.Str("zoneId") == "" {
		t.Errorf("zone %v, %v", zone, err)
	}
	if left := c.leftovers(); len(left) > 0 {
		t.Errorf("a zone that was only looked up is listed as a leftover: %v", left)
	}
	_, err = c.Invoke("aws:route53/getZone:getZone", props.Map{"name": "mine.invalid"})
	sandboxtest.WantError(t, err, "mine.invalid")
}

func TestCertificateNeedsItsRecords(t *testing.T) {
	c := newClient(t)
	c.Configure("aws", props.Map{"region": "eu-central-1"})
	zone := c.Make(zoneType, "zone", props.Map{"name": "example.com"})
	cert := c.Make(certificateType, "cert", props.Map{"domainName": "a.example.com",
		"subjectAlternativeNames": []any{"*.example.com"}, "validationMethod": "DNS"})
	validation := props.Map{"certificateArn": cert.ID}
	_, err := c.Try("aws:acm/certificateValidation:CertificateValidation", "cert", validation)
	sandboxtest.WantError(t, err, "timeout while waiting")
	for _, v := range props.FromSDK(cert.Outputs, false).List("domainValidationOptions") {
		option := props.Map(v.(map[string]any))
		c.Make(recordType, "prove-"+option.Str("domainName"), props.Map{
			"zoneId": zone.ID, "name": option.Str("resourceRecordName"), "type": option.Str("resourceRecordType"), "ttl": 60,
			"records": []any{option.Str("resourceRecordValue")},
		})
	}
	c.Make("aws:acm/certificateValidation:CertificateValidation", "cert", validation)
}

func TestModelHasUsers(t *testing.T) {
	modelled := slices.Concat(slices.Collect(maps.Keys(resourceTypes)), slices.Collect(maps.Keys(functions)))
	sandboxtest.CheckTokens(t, "aws", modelled, VolumeType, LoadBalancerType, TargetGroupType)
}
