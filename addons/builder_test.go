package addons

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
)

// Add-ons continue after an error, because only Install checks it. They must not register anything then, or use
// missing resources.
func TestNothingIsMadeAfterAnError(t *testing.T) {
	cfg, err := config.LoadFile("dev", "..")
	if err != nil {
		t.Fatal(err)
	}
	everything(cfg)
	first := errors.New("the first error")
	r := &recorder{resources: map[string]registered{}}
	err = pulumi.RunErr(func(ctx *pulumi.Context) error {
		b := &builder{ctx: ctx, cfg: cfg, err: first}
		b.args = Args{
			Config: cfg, Cluster: &cluster.Cluster{}, VPCID: pulumi.String(""),
			SubnetIDs: pulumi.StringArray{}, LoadBalancerGroup: pulumi.String(""),
			BackendGroup:   pulumi.String(""),
			CertificateARN: pulumi.StringPtr(""), ZoneID: pulumi.StringPtr(""), BackupBucket: pulumi.String(""),
			LogBucket:          pulumi.StringPtr(""),
			DatabaseBackupRole: pulumi.String(""),
		}
		b.root = &Platform{URLs: map[string]string{}, Passwords: map[string]pulumi.StringOutput{}}
		b.install()
		b.failed(errors.New("a later error"))
		return b.err
	}, pulumi.WithMocks("kubeadm-aws", "dev", r))
	if !errors.Is(err, first) {
		t.Errorf("the error is %v", err)
	}
	if len(r.resources) > 0 {
		t.Errorf("%d resources were made after an error", len(r.resources))
	}
}
