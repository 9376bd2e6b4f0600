package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// awsNamespace is the namespace of the AWS provider. regionKey is the only key in it that every stack has to set.
const (
	awsNamespace = "aws"
	regionKey    = "aws:region"
)

// AWS selects the account and the identity of a stack: the keys of the namespace aws other than aws:region. They have
// the names and types of the provider pulumi-aws v6.
type AWS struct {
	// Profile is a profile in the AWS CLI's files. Empty means that the environment selects the credentials.
	Profile string `json:"profile"`
	// AllowedAccountIDs are the only accounts that the stack may use. Empty allows every account.
	AllowedAccountIDs []string `json:"allowedAccountIds"`
	// ForbiddenAccountIDs are accounts that the stack may not use.
	ForbiddenAccountIDs []string `json:"forbiddenAccountIds"`
	// AssumeRole is the role that makes every call to AWS. Without a RoleARN, the caller's own identity is used.
	AssumeRole AssumeRole `json:"assumeRole"`
}

// AssumeRole is an IAM role and the parameters of its session.
type AssumeRole struct {
	RoleARN     string `json:"roleArn"`
	SessionName string `json:"sessionName"`
	ExternalID  string `json:"externalId"`
	// Duration is a Go duration from 15m to 12h, such as "1h". Empty means AWS's default of one hour.
	Duration string `json:"duration"`
}

// SweepEnvironment returns the environment variables that give the sweep the same identity as the AWS provider.
// Settings that are not set are absent. sweep/identity.go defines the names. The profile is not in AWS_PROFILE, because
// access keys in the environment would take precedence over it there, and the provider uses the profile.
func (c *Config) SweepEnvironment() map[string]string {
	role := c.AWS.AssumeRole
	all := map[string]string{
		"AWS_REGION":               c.Region,
		"SWEEP_PROFILE":            c.AWS.Profile,
		"SWEEP_ROLE_ARN":           role.RoleARN,
		"SWEEP_ROLE_SESSION_NAME":  role.SessionName,
		"SWEEP_ROLE_EXTERNAL_ID":   role.ExternalID,
		"SWEEP_ROLE_DURATION":      role.Duration,
		"SWEEP_ALLOWED_ACCOUNTS":   strings.Join(c.AWS.AllowedAccountIDs, ","),
		"SWEEP_FORBIDDEN_ACCOUNTS": strings.Join(c.AWS.ForbiddenAccountIDs, ","),
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// awsPartition is a part of AWS with its own accounts, ARNs and domain names.
type awsPartition struct {
	// name is the second part of every ARN, such as aws-cn.
	name string
	// dnsSuffix is the end of the host names of services, such as amazonaws.com.cn.
	dnsSuffix string
	// principalSuffix is the end of the names of service principals in IAM policies.
	principalSuffix string
	regions         []string
}

// partitions are the public partitions of AWS. Isolated partitions are absent: their endpoints have domain names that
// the program does not know. Other packages read this table through Partition and the methods next to it.
var partitions = []awsPartition{
	{"aws", "amazonaws.com", "amazonaws.com", []string{
		"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
		"ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
		"ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
		"eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1",
		"me-west-1", "mx-central-1", "sa-east-1", "sa-west-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}},
	{"aws-cn", "amazonaws.com.cn", "amazonaws.com.cn", []string{"cn-north-1", "cn-northwest-1"}},
	{"aws-us-gov", "amazonaws.com", "amazonaws.com", []string{"us-gov-east-1", "us-gov-west-1"}},
	{"aws-eusc", "amazonaws.eu", "amazonaws.com", []string{"eusc-de-east-1"}},
}

// awsInstead maps the keys of the AWS provider that the program does not pass on to what to write instead.
var awsInstead = func() map[string]string {
	const (
		credentials = "credentials come from the environment or from aws:profile, never from a stack's file"
		role        = "aws:assumeRole with roleArn, sessionName, externalId and duration"
		tags        = "the program sets its own tags; kubeadm-aws:owner is one of them"
		environment = "the environment of the AWS CLI, such as HTTPS_PROXY and AWS_CA_BUNDLE"
		endpoints   = "remove it: the provider calls AWS; kubeadm-aws:mirrors.s3Endpoint is for the nodes' snapshots"
		sharedFiles = "AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE in the environment"
		defaults    = "remove it: the provider's default is used"
	)
	return map[string]string{
		"accessKey": credentials, "secretKey": credentials, "token": credentials,
		"assumeRoles": role, "assumeRoleWithWebIdentity": "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN in the environment",
		"defaultTags": tags, "ignoreTags": tags,
		"customCaBundle": environment, "httpProxy": environment, "httpsProxy": environment, "noProxy": environment,
		"endpoints": endpoints, "s3UsePathStyle": endpoints, "s3UsEast1RegionalEndpoint": endpoints, "stsRegion": endpoints,
		"sharedConfigFiles": sharedFiles, "sharedCredentialsFiles": sharedFiles, "sharedCredentialsFile": sharedFiles,
		"useDualstackEndpoint": defaults, "useFipsEndpoint": defaults, "maxRetries": defaults, "retryMode": defaults,
		"tokenBucketRateLimiterCapacity": defaults, "insecure": defaults, "skipCredentialsValidation": defaults,
		"skipMetadataApiCheck": defaults, "skipRegionValidation": defaults, "skipRequestingAccountId": defaults,
		"skipGetEc2Platforms": defaults, "ec2MetadataServiceEndpoint": defaults, "ec2MetadataServiceEndpointMode": defaults,
	}
}()

var (
	isolatedRegion = regexp.MustCompile(`^(us-iso[a-z]*|eu-isoe)-`)
	accountID      = regexp.MustCompile(`^[0-9]{12}$`)
	roleARN        = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/[A-Za-z0-9_+=,.@/-]{1,512}$`)
	sessionName    = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)
	externalID     = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]{2,}$`)
	profileName    = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/%-]([A-Za-z0-9_+=,.@:/% -]*[A-Za-z0-9_+=,.@:/%-])?$`)
)

// partitionOf returns the partition of a region, or the zero value for a region that is not in the table.
func partitionOf(region string) awsPartition {
	for _, p := range partitions {
		if slices.Contains(p.regions, region) {
			return p
		}
	}
	return awsPartition{}
}

// Partition returns the partition of the stack's region, such as aws-cn.
func (c *Config) Partition() string { return partitionOf(c.Region).name }

// DNSSuffix returns the end of the host names of AWS services in the stack's region, such as amazonaws.com.cn.
func (c *Config) DNSSuffix() string { return partitionOf(c.Region).dnsSuffix }

// S3Endpoint returns the URL of S3 for the stack's region, or mirrors.s3Endpoint if it is set.
func (c *Config) S3Endpoint() string {
	return cmp.Or(c.Mirrors.S3Endpoint, "https://s3."+c.Region+"."+c.DNSSuffix())
}

// FindsS3ByRegion reports whether every AWS SDK can derive the endpoint of S3 from the stack's region. SDKs older
// than the European Sovereign Cloud treat its regions as commercial ones. Programs that use them need the endpoint.
func (c *Config) FindsS3ByRegion() bool { return strings.HasPrefix(c.DNSSuffix(), "amazonaws.com") }

// PrincipalSuffix returns the end of the names of service principals in the stack's partition, such as amazonaws.com.
func (c *Config) PrincipalSuffix() string { return partitionOf(c.Region).principalSuffix }

// Regions returns all values that aws:region accepts.
func Regions() []string {
	var all []string
	for _, p := range partitions {
		all = append(all, p.regions...)
	}
	return all
}

// awsValidator validates the region and the account: the keys in the namespace aws.
type awsValidator struct{ part }

func (v awsValidator) validate() {
	v.region()
	a := v.c.AWS
	if a.Profile != "" && !profileName.MatchString(a.Profile) {
		v.awsFault("profile", a.Profile,
			"must be the name of a profile of the AWS CLI: letters, digits, inner blanks or any of _+=,.@:/%-",
			"platform")
	}
	v.accounts("allowedAccountIds", a.AllowedAccountIDs)
	v.accounts("forbiddenAccountIds", a.ForbiddenAccountIDs)
	for i, id := range a.ForbiddenAccountIDs {
		if slices.Contains(a.AllowedAccountIDs, id) {
			v.awsFault(fmt.Sprintf("forbiddenAccountIds[%d]", i), id, "is in aws:allowedAccountIds too",
				"remove it from one of the two lists")
		}
	}
	v.assumeRole(a)
}

func (v awsValidator) region() {
	const example = "pulumi config set aws:region eu-central-1"
	region := v.c.Region
	switch {
	case region == "":
		v.awsFault("region", nil, "is not set, and no resource can be created without a region", example)
	case isolatedRegion.MatchString(region):
		v.awsFault("region", region, "is in an isolated partition, whose endpoints this program does not know", example)
	case partitionOf(region).name == "":
		if near := nearest(region, Regions()); near != "" {
			v.awsFault("region", region, "is not the name of an AWS region", fmt.Sprintf("did you mean %s?", near))
			return
		}
		v.awsFault("region", region, "is not the name of an AWS region", example)
	}
}

func (v awsValidator) accounts(name string, ids []string) {
	for i, id := range ids {
		if !accountID.MatchString(id) {
			v.awsFault(fmt.Sprintf("%s[%d]", name, i), id, "must be the number of an account, 12 digits in quotes",
				`"123456789012"`)
		}
	}
}

const maxExternalID = 1224

func (v awsValidator) assumeRole(a AWS) {
	const example = "arn:aws:iam::123456789012:role/deploy"
	role := a.AssumeRole
	if role == (AssumeRole{}) {
		return
	}
	parts := roleARN.FindStringSubmatch(role.RoleARN)
	own := v.c.Partition()
	switch {
	case role.RoleARN == "":
		v.awsFault("assumeRole.roleArn", nil, "is missing: the other fields of aws:assumeRole belong to a role", example)
	case parts == nil:
		v.awsFault("assumeRole.roleArn", role.RoleARN, "is not the ARN of an IAM role", example)
	case own != "" && parts[1] != own:
		v.awsFault("assumeRole.roleArn", role.RoleARN,
			fmt.Sprintf("is in the partition %s, and aws:region = %s is in %s", parts[1], v.c.Region, own),
			strings.Replace(role.RoleARN, "arn:"+parts[1]+":", "arn:"+own+":", 1))
	case slices.Contains(a.ForbiddenAccountIDs, parts[2]):
		v.awsFault("assumeRole.roleArn", role.RoleARN, "is a role of an account in aws:forbiddenAccountIds",
			"a role of another account")
	case len(a.AllowedAccountIDs) > 0 && !slices.Contains(a.AllowedAccountIDs, parts[2]):
		v.awsFault("assumeRole.roleArn", role.RoleARN,
			"is a role of an account that is not in aws:allowedAccountIds",
			"a role of "+strings.Join(a.AllowedAccountIDs, " or "))
	}
	if role.SessionName != "" && !sessionName.MatchString(role.SessionName) {
		v.awsFault("assumeRole.sessionName", role.SessionName, "must be 2 to 64 letters, digits or any of _+=,.@-",
			"kubeadm-aws")
	}
	if role.ExternalID != "" && (len(role.ExternalID) > maxExternalID || !externalID.MatchString(role.ExternalID)) {
		v.awsFault("assumeRole.externalId", nil, "must be 2 to 1224 letters, digits or any of _+=,.@:/-",
			"the id that the role's trust policy asks for")
	}
	if role.Duration != "" {
		d, err := time.ParseDuration(role.Duration)
		if err != nil || d < 15*time.Minute || d > 12*time.Hour {
			v.awsFault("assumeRole.duration", role.Duration, "must be a duration from 15m to 12h", "1h")
		}
	}
}

// awsFault is fault for a key in the namespace aws.
func (v awsValidator) awsFault(path string, value any, reason, example string) {
	v.faultAt(awsNamespace+":"+path, value, reason, example)
}
