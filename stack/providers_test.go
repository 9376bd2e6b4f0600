package stack_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// TestResourceWithoutProviderIsRefused checks that in every shipped stack the engine refuses a resource without an
// explicit provider, that is, without an account and a region.
func TestResourceWithoutProviderIsRefused(t *testing.T) {
	for _, name := range []string{"dev", "staging", "prod"} {
		r := simulate(t, name, nil)
		r.workspace.Program = func(ctx *pulumi.Context) error {
			_, err := ec2.NewVpc(ctx, "stray", &ec2.VpcArgs{CidrBlock: pulumi.String("10.9.0.0/16")})
			return err
		}
		out := r.preview()
		if out.err == nil || !strings.Contains(out.printed, "Default provider for 'aws' disabled") {
			t.Errorf("%s: %v\n%s", name, out.err, out.printed)
		}
	}
}
