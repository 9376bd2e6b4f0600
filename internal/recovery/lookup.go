package recovery

import (
	"fmt"
	"hash/crc32"
	"maps"
	"regexp"
	"strings"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/state"
)

// lookupKey finds an AWS resource by its inputs when an interrupted run did not record its id.
type lookupKey struct {
	// id is the template of the id, for types whose id follows from the inputs: "{role}:{name}".
	id string
	// by are the inputs that distinguish the resource from others of its type. They are needed where AWS chooses the
	// id, or where another stack could have made a resource with the same id. An input with a question mark may be
	// unset.
	by []string
	// tagged reports whether the call that creates the resource also sets the tags of the stack.
	tagged bool
	// nothing reports that this type exists in the state only.
	nothing bool
}

// lookupKeys has every AWS type that the program registers.
var lookupKeys = map[string]lookupKey{
	"aws:ec2/vpc:Vpc":                                     {by: []string{"cidrBlock"}, tagged: true},
	"aws:ec2/subnet:Subnet":                               {by: []string{"vpcId", "cidrBlock"}, tagged: true},
	"aws:ec2/internetGateway:InternetGateway":             {tagged: true},
	"aws:ec2/routeTable:RouteTable":                       {by: []string{"vpcId"}, tagged: true},
	"aws:ec2/route:Route":                                 {id: "r-{routeTableId}{#destinationCidrBlock}"},
	"aws:ec2/routeTableAssociation:RouteTableAssociation": {by: []string{"routeTableId", "subnetId"}},
	"aws:ec2/vpcEndpoint:VpcEndpoint":                     {by: []string{"vpcId", "serviceName"}, tagged: true},

	"aws:ec2/securityGroup:SecurityGroup":                       {by: []string{"vpcId", "name"}, tagged: true},
	"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {by: ruleProperties, tagged: true},
	"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule":   {by: ruleProperties, tagged: true},

	"aws:ec2/keyPair:KeyPair":               {id: "{keyName}"},
	"aws:ec2/instance:Instance":             {by: []string{"subnetId"}, tagged: true},
	"aws:ec2/eip:Eip":                       {tagged: true},
	"aws:ec2/eipAssociation:EipAssociation": {by: []string{"allocationId", "instanceId"}},

	// The names of these end in random characters, or they belong to a resource whose name does.
	"aws:iam/role:Role":                                 {id: "{name}"},
	"aws:iam/rolePolicy:RolePolicy":                     {id: "{role}:{name}"},
	"aws:iam/rolePolicyAttachment:RolePolicyAttachment": {id: "{role}-{policyArn}"},
	"aws:iam/instanceProfile:InstanceProfile":           {id: "{name}"},

	"aws:s3/bucketV2:BucketV2":                                                                   {id: "{bucket}"},
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls":                                     {id: "{bucket}"},
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":                                     {id: "{bucket}"},
	"aws:s3/bucketPolicy:BucketPolicy":                                                           {id: "{bucket}"},
	"aws:s3/bucketVersioningV2:BucketVersioningV2":                                               {id: "{bucket}"},
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": {id: "{bucket}"},
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2":                       {id: "{bucket}"},

	"aws:s3/bucketObjectv2:BucketObjectv2": {id: "{key}"},

	"aws:iam/openIdConnectProvider:OpenIdConnectProvider": {by: []string{"url"}, tagged: true},

	// A repository of this name may belong to another stack. A record may belong to any owner unless it has the same
	// values.
	"aws:ecr/repository:Repository":           {by: []string{"name"}, tagged: true},
	"aws:ecr/lifecyclePolicy:LifecyclePolicy": {id: "{repository}"},
	"aws:route53/zone:Zone":                   {by: []string{"name", "comment", "vpcs?"}, tagged: true},
	"aws:route53/record:Record":               {by: []string{"zoneId", "name", "type", "records"}},
	"aws:acm/certificate:Certificate":         {by: []string{"domainName"}, tagged: true},
	// This type only waits.
	"aws:acm/certificateValidation:CertificateValidation": {nothing: true},
}

var ruleProperties = []string{"securityGroupId", "ipProtocol", "fromPort?", "toPort?", "cidrIpv4?",
	"referencedSecurityGroupId?"}

// resolve returns how to find a resource whose create was interrupted. found is false for a type that exists in the
// state only.
func resolve(r state.Resource, cfg *config.Config) (l account.Lookup, found bool, err error) {
	l = account.Lookup{URN: r.URN, Type: string(r.Type)}
	switch pkg, _, _ := strings.Cut(string(r.Type), ":"); {
	case !r.Custom, pkg == "command", pkg == "tls", pkg == "random", pkg == "pulumi":
		// Components, keys and passwords are in the state only. An interrupted step runs again.
		return l, false, nil
	case pkg == "kubernetes":
		l.ID = kubernetesID(r)
		return l, true, nil
	}
	t, known := lookupKeys[string(r.Type)]
	switch {
	case !known:
		return l, false,
			fmt.Errorf("cannot look up resources of type %s: it has no lookup key (add one to lookupKeys in "+
				"internal/recovery/lookup.go)", r.Type)
	case t.nothing:
		return l, false, nil
	case t.id != "":
		l.ID, err = filled(t.id, r.Inputs)
		return l, err == nil, err
	}
	if t.tagged {
		l.Tags = tagsOf(r, cfg)
	}
	l.Properties = map[string]any{}
	for _, key := range t.by {
		key, optional := strings.CutSuffix(key, "?")
		switch value := r.Inputs[key]; {
		case value != nil:
			l.Properties[key] = value
		case !optional:
			return l, false, fmt.Errorf("its inputs hold no %s", key)
		}
	}
	return l, true, nil
}

// tagsOf returns the tags that a resource was created with: its own, and the default tags that no setting changes.
func tagsOf(r state.Resource, cfg *config.Config) map[string]string {
	tags := map[string]string{}
	own, _ := r.Inputs["tags"].(map[string]any)
	for key, value := range own {
		tags[key], _ = value.(string)
	}
	all := cfg.PulumiTags()
	maps.DeleteFunc(all, func(key, _ string) bool {
		return key != config.TagCluster && key != config.TagStack && key != config.TagManagedBy
	})
	maps.Copy(tags, all)
	return tags
}

// kubernetesID returns the id that pulumi-kubernetes gives an object or release: namespace/name, or name without a
// namespace.
func kubernetesID(r state.Resource) string {
	of := r.Inputs
	if r.Type != state.ReleaseType {
		of, _ = r.Inputs["metadata"].(map[string]any)
	}
	name, _ := of["name"].(string)
	if namespace, _ := of["namespace"].(string); namespace != "" {
		return namespace + "/" + name
	}
	return name
}

var blank = regexp.MustCompile(`\{(#?)(\w+)\}`)

// filled replaces {key} by an input and {#key} by its checksum. The AWS provider makes the ids of routes with such a
// checksum.
func filled(template string, inputs map[string]any) (string, error) {
	var missing []string
	text := blank.ReplaceAllStringFunc(template, func(match string) string {
		parts := blank.FindStringSubmatch(match)
		value, _ := inputs[parts[2]].(string)
		if value == "" {
			missing = append(missing, parts[2])
		}
		if parts[1] != "" {
			return fmt.Sprint(crc32.ChecksumIEEE([]byte(value)))
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("its inputs hold no %s", strings.Join(missing, ", "))
	}
	return text, nil
}
