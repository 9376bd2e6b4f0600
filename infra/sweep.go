package infra

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-command/sdk/go/command"
	"github.com/pulumi/pulumi-command/sdk/go/command/local"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/sweep/sweepline"
)

// Sweep removes on destroy the resources that controllers in the cluster left behind. Instances depend on it and it
// depends on the network. So it runs when no controller can create more, and before the deletion of the resources
// that leftovers would block.
type Sweep struct {
	pulumi.ResourceState

	Command *local.Command
}

// sweepTimeout covers the first compilation of the sweep, and load balancers that are slow to release their
// addresses.
const sweepTimeout = "30m"

type sweepArgs struct {
	network  *Network
	firewall *Firewall
}

func newSweep(s *deployer, args sweepArgs) (*Sweep, error) {
	sw := &Sweep{}
	opts, err := s.component("Sweep", "sweep", sw)
	if err != nil {
		return nil, err
	}
	provider, err := command.NewProvider(s.ctx, "local", &command.ProviderArgs{}, opts...)
	if err != nil {
		return nil, fmt.Errorf("command provider: %w", err)
	}
	// A zone that the stack created is deleted with all its records. In a zone that existed before, users may have
	// created records for a load balancer.
	zone := ""
	if s.cfg.DNS.Domain != "" && !s.cfg.DNS.CreateZone {
		id, err := s.existingZone()
		if err != nil {
			return nil, err
		}
		zone = id
	}
	sw.Command, err = local.NewCommand(s.ctx, "sweep", &local.CommandArgs{
		Delete: args.network.VPC.ID().ApplyT(func(vpc pulumi.ID) string {
			return sweepline.Line{
				Cluster: s.cfg.Cluster.Name, Region: s.cfg.Region, Account: s.accountID, VPC: string(vpc), Zone: zone,
				Volumes: s.cfg.Protection.Volumes, Images: s.cfg.Protection.Images,
				Receipt: "receipt-" + s.cfg.Stack + ".json",
			}.Format()
		}).(pulumi.StringOutput),
		Environment:            pulumi.ToStringMap(s.cfg.SweepEnvironment()),
		AddPreviousOutputInEnv: pulumi.Bool(false),
	}, with(opts,
		pulumi.Provider(provider),
		// The dependency is not on the components: their children are added in the background, so some could be
		// missing.
		pulumi.DependsOn(slices.Concat(args.network.Routes, args.firewall.Rules)),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Delete: sweepTimeout}),
	)...)
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	return sw, s.ctx.RegisterResourceOutputs(sw, pulumi.Map{})
}
