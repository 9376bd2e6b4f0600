package driver

import (
	"errors"
	"strings"
	"testing"
)

// Every known text comes with an exit code and advice of its own. Another try is offered only where it can help.
func TestAFailureIsToldByItsCause(t *testing.T) {
	const again = "Run the same command again"
	for _, tt := range []struct {
		text string
		code int
		next string
	}{
		{"error: incorrect passphrase", exitCannotStart, "PULUMI_CONFIG_PASSPHRASE"},
		{"error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables", exitCannotStart, "stack dev was made with"},
		{"error: getting secrets manager: unable to find either `PULUMI_CONFIG_PASSPHRASE` or `PULUMI_CONFIG_PASSPHRASE_FILE`", exitCannotStart, "PULUMI_CONFIG_PASSPHRASE"},
		{"error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions", exitCannotStart, "pulumi login"},
		{"error: could not load plugin for aws provider: could not automatically download and install resource plugin 'pulumi-resource-aws'", exitCannotStart, "pulumi plugin install"},
		{"read the state: error: failed to load checkpoint: unexpected end of JSON input", exitCannotStart, "stack import"},
		{"write state: no space left on device", exitBlocked, "df -h"},
		{"api error ExpiredToken: The security token included in the request is expired", exitCannotStart, "aws sso login"},
		{"api error RequestExpired: Request has expired.", exitCannotStart, "Renew them"},
		{"api error InvalidClientTokenId: The security token included in the request is invalid", exitCannotStart, "get-caller-identity"},
		{"api error AuthFailure: AWS was not able to validate the provided access credentials", exitCannotStart, "clock"},
		{"No valid credential sources found", exitCannotStart, "AWS_PROFILE"},
		{"api error OptInRequired: You are not subscribed to this service", exitBlocked, "sign-up"},
		{"api error UnauthorizedOperation: You are not authorized to perform this operation", exitBlocked, "policy"},
		{"User: arn:aws:sts::1:x is not authorized to perform: ecr:CreateRepository", exitBlocked, "policy"},
		{"api error AddressLimitExceeded: The maximum number of addresses has been reached.", exitBlocked, "--region eu-west-1 --service-code ec2 --quota-code L-0263D0A3"},
		{"api error VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 5", exitBlocked, "L-1216C47A"},
		{"api error VpcLimitExceeded: The maximum number of VPCs has been reached.", exitBlocked, "L-F678F1CE"},
		{"api error RulesPerSecurityGroupLimitExceeded: the maximum", exitBlocked, "adminCidrs"},
		{"LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000", exitBlocked, "Service Quotas"},
		{"api error InsufficientInstanceCapacity: We currently do not have sufficient t3.large capacity", exitFailed, "another zone"},
		{"api error InvalidSubnet.Conflict: The CIDR '10.0.0.0/20' conflicts with another subnet", exitBlocked, "network.zones"},
		{"cannot re-use a name that is still in use", exitBlocked, "go run ./cmd/kubeadm-aws up --stack dev --cloud aws"},
		{"another operation (install/upgrade/rollback) is in progress", exitBlocked, "go run ./cmd/kubeadm-aws refresh --stack dev --cloud aws"},
		{"no matching Route 53 Hosted Zone found", exitBlocked, "create-hosted-zone"},
		{"EntityAlreadyExists: Role with name x already exists", exitBlocked, "cluster.name"},
		{"3 settings are refused, nothing was created:", exitInvalid, "Pulumi.dev.yaml"},
		{"1 setting is refused, nothing was changed:", exitInvalid, "Pulumi.dev.yaml"},
		{"timed out waiting for the condition", exitFailed, again},
	} {
		f := engineFailure(errors.New("failed to run update: exit status 255\ncode: 255\nstderr: error: "+tt.text),
			operation{command: "up", stack: "dev", cloud: cloudAWS}, outcome{region: "eu-west-1"})
		if f.code != tt.code || !strings.Contains(f.next, tt.next) || strings.Contains(f.next, again) != (tt.next == again) || strings.Contains(f.next, "{") {
			t.Errorf("%s: exit %d, next %q; want %d and %q", tt.text, f.code, f.next, tt.code, tt.next)
		}
	}
}

// "Run the same command again" is for commands that save what they have done.
func TestOnlyUpAndDestroyGoOnFromWhereTheyStopped(t *testing.T) {
	for command, want := range map[string]bool{"up": true, "destroy": true, "rebuild": true, "preview": false, "refresh": false, "outputs": false} {
		f := engineFailure(errors.New("it broke"), operation{command: command}, outcome{})
		if got := strings.Contains(f.next, "Run the same command again"); got != want || f.code != exitFailed {
			t.Errorf("%s: exit %d, next %q", command, f.code, f.next)
		}
	}
	// What stops a run half way cannot be "nothing was attempted".
	if f := engineFailure(errors.New("ExpiredToken"), operation{command: "up"}, outcome{begun: true}); f.code != exitBlocked {
		t.Errorf("credentials that end on the way: exit %d", f.code)
	}
}
