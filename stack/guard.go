package stack

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// guard makes `pulumi destroy` of a protected stack refuse before it touches anything. The engine finds out that a
// resource is protected only when its turn to be deleted comes, which for a bucket or an address is after the nodes are
// gone. The guard depends on everything, so its turn comes first. Its name is what the engine's refusal shows.
func guard(ctx *pulumi.Context, cfg *config.Config, everything []pulumi.Resource) error {
	g := &pulumi.ResourceState{}
	err := ctx.RegisterComponentResource("kubeadm-aws:stack:Guard", "kubeadm-aws:protection.protect", g,
		pulumi.DependsOn(everything), pulumi.Protect(*cfg.Protection.Protect))
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return ctx.RegisterResourceOutputs(g, pulumi.Map{})
}

// watch lists the resources that are registered from now on. Components get their children in the background, so that
// depending on a component misses some of them now and then; this list is filled before a registration begins.
func watch(ctx *pulumi.Context) (*[]pulumi.Resource, error) {
	var everything []pulumi.Resource
	err := ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		if _, custom := args.Resource.(pulumi.CustomResource); custom {
			everything = append(everything, args.Resource)
		}
		return nil
	})
	return &everything, err
}
