package report

import (
	"errors"
	"strings"
	"testing"
)

// Every known text has an exit code and advice. Another try is offered only if it can help.
func TestAFailureIsExplainedByItsCause(t *testing.T) {
	const again = "Run the same command again"
	for _, tt := range []struct {
		text string
		code int
		next string
	}{
		{"error: incorrect passphrase", ExitCannotStart, "PULUMI_CONFIG_PASSPHRASE"},
		{"error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables",
			ExitCannotStart, "stack dev was made with"},
		{"error: getting secrets manager: unable to find either `PULUMI_CONFIG_PASSPHRASE` or `PULUMI_CONFIG_PASSPHRASE_FILE`", ExitCannotStart, "PULUMI_CONFIG_PASSPHRASE"},
		{"error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions", ExitCannotStart,
			"pulumi login"},
		{"error: could not load plugin for aws provider: could not automatically download and install resource plugin " +
			"'pulumi-resource-aws'", ExitCannotStart, "pulumi plugin install"},
		{"read the state: error: failed to load checkpoint: unexpected end of JSON input", ExitCannotStart, "stack import"},
		{"write state: no space left on device", ExitBlocked, "df -h"},
		{"api error ExpiredToken: The security token included in the request is expired", ExitCannotStart, "aws sso login"},
		{"api error RequestExpired: Request has expired.", ExitCannotStart, "Renew them"},
		{"api error InvalidClientTokenId: The security token included in the request is invalid", ExitCannotStart,
			"get-caller-identity"},
		{"api error AuthFailure: AWS was not able to validate the provided access credentials", ExitCannotStart, "clock"},
		{"api error AuthFailure.ServiceLinkedRoleCreationNotPermitted: The provided credentials do not have permission to " +
			"create the service-linked role for EC2 Spot Instances.", ExitBlocked, "create-service-linked-role"},
		{"No valid credential sources found", ExitCannotStart, "AWS_PROFILE"},
		{"api error OptInRequired: You are not subscribed to this service", ExitBlocked, "sign-up"},
		{"api error UnauthorizedOperation: You are not authorized to perform this operation", ExitBlocked, "policy"},
		{"User: arn:aws:sts::1:x is not authorized to perform: ecr:CreateRepository", ExitBlocked, "policy"},
		{"api error AddressLimitExceeded: The maximum number of addresses has been reached.", ExitBlocked,
			"--region eu-west-1 --service-code ec2 --quota-code L-0263D0A3"},
		{"api error VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 5", ExitBlocked,
			"L-1216C47A"},
		{"api error VpcLimitExceeded: The maximum number of VPCs has been reached.", ExitBlocked, "L-F678F1CE"},
		{"api error RulesPerSecurityGroupLimitExceeded: the maximum", ExitBlocked, "adminCidrs"},
		{"LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000", ExitBlocked, "Service Quotas"},
		{"api error InsufficientInstanceCapacity: We currently do not have sufficient t3.large capacity", ExitFailed,
			"another zone"},
		{"api error InvalidSubnet.Conflict: The CIDR '10.0.0.0/20' conflicts with another subnet", ExitBlocked,
			"network.zones"},
		{"cannot re-use a name that is still in use", ExitBlocked, "go run ./cmd/kubeadm-aws up --stack dev --cloud aws"},
		{"another operation (install/upgrade/rollback) is in progress", ExitBlocked,
			"go run ./cmd/kubeadm-aws refresh --stack dev --cloud aws"},
		{"no matching Route 53 Hosted Zone found", ExitBlocked, "create-hosted-zone"},
		{"EntityAlreadyExists: Role with name x already exists", ExitBlocked, "cluster.name"},
		{"api error RequestLimitExceeded: Request limit exceeded.", ExitFailed, "--parallel"},
		{"api error Throttling: Rate exceeded", ExitFailed, "in a few minutes"},
		{"operation error IAM: CreateRole, exceeded maximum number of attempts, 25, ThrottlingException", ExitFailed,
			"--parallel"},
		{"api error VolumeModificationRateExceeded: You've reached the maximum modification rate per volume limit. Wait at " +
			"least 6 hours between modifications per EBS volume.", ExitBlocked, "six hours"},
		{"api error InvalidAMIID.NotFound: The image id '[ami-0123456789abcdef0]' does not exist", ExitBlocked, "image.ami"},
		{"api error InvalidParameterCombination: The specified instance type is not eligible for Free Tier.", ExitBlocked,
			"free plan"},
		{"creating Route53 Record: InvalidChangeBatch: [Tried to create resource record set [name='api.example.com.', " +
			"type='A'] but it already exists]", ExitBlocked, "dns.domain"},
		{"resource \"urn:pulumi:prod::kubeadm-aws::aws:ec2/instance:Instance::m2\" cannot be deleted\nbecause it is protected. To " +
			"unprotect the resource, either remove the `protect` flag", ExitBlocked, "protection.protect: false comes first"},
		{"api error OperationNotPermitted: The instance 'i-1' may not be terminated. Modify its 'disableApiTermination' " +
			"instance attribute and try again.", ExitBlocked, "no-disable-api-termination"},
		{"api error DependencyViolation: The vpc 'vpc-1' has dependencies and cannot be deleted.", ExitBlocked,
			"go run ./cmd/kubeadm-aws sweep --stack dev --cloud aws --dry-run"},
		{"api error RequestTimeTooSkewed: The difference between the request time and the current time is too large.",
			ExitCannotStart, "clock"},
		{"launching failed: Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state", ExitBlocked,
			"get-ebs-default-kms-key-id"},
		{"3 settings are refused, nothing was created:", ExitInvalid, "Pulumi.dev.yaml"},
		{"1 setting is refused, nothing was changed:", ExitInvalid, "Pulumi.dev.yaml"},
		{"timed out waiting for the condition", ExitFailed, again},
	} {
		f := EngineFailure(errors.New("failed to run update: exit status 255\ncode: 255\nstderr: error: "+tt.text),
			Subject{Command: "up", Stack: "dev", Cloud: CloudAWS}, Outcome{Region: "eu-west-1"})
		if f.Code != tt.code || !strings.Contains(f.Next, tt.next) || strings.Contains(f.Next, again) != (tt.next == again) ||
			strings.Contains(f.Next, "{") {
			t.Errorf("%s: exit %d, next %q; want %d and %q", tt.text, f.Code, f.Next, tt.code, tt.next)
		}
	}
}

// Only commands that save their progress advise to run the same command again.
func TestOnlyUpAndDestroyGoOnFromWhereTheyStopped(t *testing.T) {
	for command, want := range map[string]bool{"up": true, "destroy": true, "rebuild": true, "preview": false,
		"refresh": false, "outputs": false} {
		f := EngineFailure(errors.New("it broke"), Subject{Command: command}, Outcome{})
		if got := strings.Contains(f.Next, "Run the same command again"); got != want || f.Code != ExitFailed {
			t.Errorf("%s: exit %d, next %q", command, f.Code, f.Next)
		}
	}
	// A failure in the middle of a run cannot have the exit code for "nothing was attempted".
	if f := EngineFailure(errors.New("ExpiredToken"), Subject{Command: "up"},
		Outcome{Begun: true}); f.Code != ExitBlocked {
		t.Errorf("credentials that end on the way: exit %d", f.Code)
	}
}
