package stack

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// guard makes `pulumi destroy` of a protected stack refuse before it changes anything. The engine notices the
// protection of a resource only at the time of its deletion, which for a bucket or an address is after the nodes are
// deleted. The guard depends on everything, so its deletion comes first. The engine's refusal shows its name.
func guard(ctx *pulumi.Context, cfg *config.Config, everything []pulumi.Resource) error {
	g := &pulumi.ResourceState{}
	err := ctx.RegisterComponentResource("kubeadm-aws:stack:Guard", "kubeadm-aws:protection.protect", g,
		pulumi.DependsOn(everything), pulumi.Protect(*cfg.Protection.Protect))
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return ctx.RegisterResourceOutputs(g, pulumi.Map{})
}

// watch collects the resources that are registered from now on. Components get their children in the background, so a
// dependency on a component sometimes misses some of them. A resource is in this list before its registration begins.
func watch(ctx *pulumi.Context) (*[]pulumi.Resource, error) {
	var everything []pulumi.Resource
	err := ctx.RegisterStackTransformation(func(
		args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		if _, custom := args.Resource.(pulumi.CustomResource); custom {
			everything = append(everything, args.Resource)
		}
		return nil
	})
	return &everything, err
}
