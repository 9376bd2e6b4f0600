package report

import (
	"regexp"
	"strings"
)

// Cause is a known reason of a failure: the text that identifies it, its exit code, and what a person can do about
// it.
type Cause struct {
	text *regexp.Regexp
	code int
	// next is a sentence or a command. Advice replaces {stack}, {cloud} and {region} in it.
	next string
}

// causes are tried in order; the first that matches counts. A failure without a known cause is worth another try.
var causes = []Cause{
	{regexp.MustCompile(`settings? (is|are) refused, nothing was (created|changed)`), ExitInvalid,
		"Correct Pulumi.{stack}.yaml, or use: pulumi config set --path --stack {stack} KEY VALUE"},

	// The state, its secrets and the plugins.
	{regexp.MustCompile(`passphrase must be set`), ExitCannotStart,
		"With a KMS key: Pulumi.{stack}.yaml lacks secretsprovider and encryptedkey; commit and push what `pulumi stack init` " +
			"wrote into it. With a passphrase: set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE, to the one that " +
			"stack {stack} was made with."},
	{regexp.MustCompile(
		`incorrect passphrase|PULUMI_CONFIG_PASSPHRASE|could not decrypt|message authentication failed`), ExitCannotStart,
		"Set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE, to the passphrase that stack {stack} was made with."},
	{regexp.MustCompile(`PULUMI_ACCESS_TOKEN must be set|not logged in|pulumi login`), ExitCannotStart,
		"Log in to the backend that has the state: pulumi login URL. See: pulumi whoami -v"},
	{regexp.MustCompile(
		`could not automatically download|failed to download plugin|no resource plugin '?pulumi-resource-|could not find (latest )?(version|plugin)`), ExitCannotStart,
		"The plugin that is named could not be fetched. Is the network there, or a proxy (HTTPS_PROXY)? By hand: pulumi " +
			"plugin install resource NAME VERSION --file FILE"},
	{regexp.MustCompile(`failed to load checkpoint|unexpected end of JSON input|snapshot integrity failure`),
		ExitCannotStart,
		"The state cannot be read. Bring back an earlier one: pulumi stack import --stack {stack} --file FILE " +
			"(docs/recovery.md, \"The state is damaged\")."},
	{regexp.MustCompile(`no space left on device|disk quota exceeded`), ExitBlocked,
		"Make room (df -h names the full disk), then run this again."},

	// The credentials, and what they may do.
	{regexp.MustCompile(
		`ExpiredToken|RequestExpired|token (included in the request )?(has|is) expired|InvalidGrantException|SSO session has expired`), ExitCannotStart,
		"The AWS credentials have ended. Renew them (aws sso login, or the next session of the role), then run this again."},
	{regexp.MustCompile(`ServiceLinkedRoleCreationNotPermitted`), ExitBlocked,
		"The account has not had a spot instance yet. Let an administrator make the role of EC2 for them, once: " +
			"aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"},
	{regexp.MustCompile(
		`InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch|AuthFailure|RequestTimeTooSkewed`),
		ExitCannotStart,
		"AWS does not accept these credentials. Check them: aws sts get-caller-identity. Is the clock of this machine right?"},
	{regexp.MustCompile(
		`[Nn]o valid credential sources|failed to refresh cached credentials|no EC2 IMDS role found|NoCredentialProviders`),
		ExitCannotStart,
		"There are no AWS credentials. Set AWS_PROFILE or aws:profile, or log in: aws sso login"},
	{regexp.MustCompile(
		`OptInRequired|PendingVerification|SubscriptionRequired|AccountNotVerified|region (is )?(disabled|not enabled)`),
		ExitBlocked,
		"The account is not ready for the service or the region {region} that is named: finish its sign-up, or switch the " +
			"region on in the account settings."},
	{regexp.MustCompile(`UnauthorizedOperation|AccessDenied|is not authorized to perform|explicit deny`), ExitBlocked,
		"The credentials may not do what is named. Add that action to their policy (docs/aws.md); a service control " +
			"policy of the organization also counts."},

	// Limits in time. They come before those of the account, whose texts are parts of theirs.
	{regexp.MustCompile(`RequestLimitExceeded|Throttling|Rate exceeded|SlowDown|TooManyRequests`), ExitFailed,
		"AWS limits how often it may be asked. Run this again in a few minutes, with fewer operations at once: --parallel 10"},
	{regexp.MustCompile(`VolumeModificationRateExceeded|maximum modification rate per volume`), ExitBlocked,
		"AWS changes a volume once in six hours. Put its size back, or run this again when they are over."},

	// Limits of the account. The codes are those of Service Quotas.
	{regexp.MustCompile(`AddressLimitExceeded`), ExitBlocked, moreQuota("ec2", "L-0263D0A3", "Elastic IPs")},
	{regexp.MustCompile(`VcpuLimitExceeded`), ExitBlocked, moreQuota("ec2", "L-1216C47A", "vCPUs of standard instances")},
	{regexp.MustCompile(`VpcLimitExceeded`), ExitBlocked, moreQuota("vpc", "L-F678F1CE", "VPCs")},
	{regexp.MustCompile(`InternetGatewayLimitExceeded`), ExitBlocked, moreQuota("vpc", "L-A4707A72", "internet gateways")},
	{regexp.MustCompile(`RulesPerSecurityGroupLimitExceeded`), ExitBlocked,
		moreQuota("vpc", "L-0EA8095F", "rules per security group") + " Or give fewer access.adminCidrs."},
	{regexp.MustCompile(`SecurityGroupLimitExceeded|SecurityGroupsPerInterfaceLimitExceeded`), ExitBlocked,
		moreQuota("vpc", "L-E79EC296", "security groups")},
	{regexp.MustCompile(`VolumeLimitExceeded|MaxIOPSLimitExceeded`), ExitBlocked,
		moreQuota("ebs", "L-7A658B76", "storage for gp3 volumes")},
	{regexp.MustCompile(`TooManyBuckets`), ExitBlocked, moreQuota("s3", "L-DC2B2D3D", "buckets")},
	{regexp.MustCompile(`LimitExceeded|QuotaExceeded|TooManyHostedZones|ServiceQuotaExceeded`), ExitBlocked,
		"A quota of the account is used up. Remove what nothing uses, or ask for more: AWS console, Service Quotas."},
	{regexp.MustCompile(`not eligible for Free Tier`), ExitBlocked,
		"The account is on AWS's free plan, which has small machines only: upgrade it to the paid plan (docs/aws.md)."},
	{regexp.MustCompile(`InsufficientInstanceCapacity|InsufficientHostCapacity|Unsupported: .*instance type`), ExitFailed,
		"AWS has no such machine in that zone at present. Run this again later, or choose another zone or instanceType " +
			"for the node."},

	// A repair names the resources of one worker to the engine.
	{regexp.MustCompile(`not specified in --target list`), ExitBlocked,
		"The settings need more than the machine of this worker, because the last up did not carry them out to the end. " +
			"Bring the stack up, then run this again. If up needs the worker: put the settings back to those of the last up " +
			"that succeeded, run this, then change them again."},

	// What exists already, or is missing.
	{regexp.MustCompile(`InvalidSubnet\.Conflict|InvalidVpc\.Range|CidrConflict`), ExitBlocked,
		"The address range is taken by another subnet of the VPC. The ranges and zones of a running network cannot " +
			"change: put network.vpcCidr and network.zones back."},
	{regexp.MustCompile(`cannot re-use a name that is still in use`), ExitBlocked,
		"The cluster has a Helm release of that name that is not in the state. Finish an interrupted destroy with " +
			"destroy, or let the driver take it over: " +
			"go run ./cmd/kubeadm-aws up --stack {stack} --cloud {cloud}"},
	{regexp.MustCompile(`another operation \(install/upgrade/rollback\) is in progress|has no deployed releases`),
		ExitBlocked,
		"An earlier run of Helm was interrupted. Read it again and go on: go run ./cmd/kubeadm-aws refresh --stack " +
			"{stack} --cloud {cloud}, then up."},
	{regexp.MustCompile(`HostedZoneNotFound|NoSuchHostedZone|no matching Route ?53 ?(Hosted)? ?Zones? found`), ExitBlocked,
		"There is no public zone for dns.domain. Make it once (aws route53 create-hosted-zone), point the registrar to " +
			"its name servers, then run this again."},
	{regexp.MustCompile(`InvalidPermission\.Duplicate`), ExitBlocked,
		"The security group has that rule already. If access open made it for an address that is now in access.adminCidrs, " +
			"close it, then run this again: go run ./cmd/kubeadm-aws access close --stack {stack} --cloud {cloud}"},
	{regexp.MustCompile(
		`EntityAlreadyExists|BucketAlreadyExists|RepositoryAlreadyExists|InvalidGroup\.Duplicate|KeyPair\.Duplicate`),
		ExitBlocked,
		"A resource of that name exists in the account and belongs to another stack. Give this one another cluster.name, " +
			"or remove the leftover."},
	{regexp.MustCompile(`Tried to create resource record set`), ExitBlocked,
		"The zone of dns.domain has a record of that name, of another stack or of something of yours. Give this stack a " +
			"domain of its own, or delete the record."},
	{regexp.MustCompile(`InvalidAMIID\.`), ExitBlocked,
		"The region {region} has no such image: the id of an image is another one in every region. Correct or remove image.ami."},
	{regexp.MustCompile(`because it is protected`), ExitBlocked,
		"What is named is protected in the state. If it may go, an up with protection.protect: false comes first, in which it " +
			"is still in the settings: docs/aws.md, \"What is protected, kept and emptied\"."},
	{regexp.MustCompile(`disableApiTermination`), ExitBlocked,
		"The instance is protected from termination. If it may go: aws ec2 modify-instance-attribute --region {region} " +
			"--no-disable-api-termination --instance-id ID"},
	{regexp.MustCompile(`DependencyViolation`), ExitBlocked,
		"Something that the stack did not make is still in it. What it is: go run ./cmd/kubeadm-aws sweep --stack {stack} " +
			"--cloud {cloud} --dry-run. Remove it, then run this again."},
	{regexp.MustCompile(`InvalidKMSKey|KMSInvalidStateException|KMSKeyNotAccessible|KMS key .* (disabled|incorrect state)`),
		ExitBlocked,
		"The key that encrypts the disks by default in {region} cannot be used: aws ec2 get-ebs-default-kms-key-id --region " +
			"{region}, then enable it, or allow these credentials to use it."},
	{regexp.MustCompile(`permission denied|read-only file system|operation not permitted`), ExitCannotStart,
		"This user may not write there. Give the checkout to the user that runs this (chown -R), or use a copy of it: " +
			"--dir DIRECTORY"},
}

func moreQuota(service, code, what string) string {
	return "The quota of " + what +
		" is used up. Remove what nothing uses, or ask for more: aws service-quotas request-service-quota-increase " +
		"--region {region} --service-code " + service + " --quota-code " + code + " --desired-value N"
}

// CauseOf returns the cause that matches the messages of a failure; nil when none is known.
func CauseOf(said string) *Cause {
	for i := range causes {
		if causes[i].text.MatchString(said) {
			return &causes[i]
		}
	}
	return nil
}

// Advice returns what to do about the cause on a stack.
func (c *Cause) Advice(op Subject, region string) string {
	return strings.NewReplacer("{stack}", op.Stack, "{cloud}", op.Cloud, "{region}", region).Replace(c.next)
}
