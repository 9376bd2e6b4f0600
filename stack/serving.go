package stack

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
	"kubeadm-aws/infra"
)

// serving creates the step with which an update asks the control planes before it takes one of them out of service.
// The state alone does not show that a machine has stopped or that an etcd is not healthy.
type serving struct {
	ctx    *pulumi.Context
	cfg    *config.Config
	kube   *cluster.Cluster
	before state
}

// create returns nil for a stack that never had several control planes. A stack that had them keeps the step: it
// records that the others left.
func (s serving) create(controlPlanes []infra.Node, key pulumi.StringInput) (pulumi.Resource, error) {
	step := s.before[typeCommand][cluster.ServingStep]
	stop, peer := config.StoppedControlPlanes(s.cfg, s.before.made())
	args := s.args(cluster.ReadServing(text(step, "create")), stop)
	if step == nil && len(args.Ask.ControlPlanes) == 0 && len(controlPlanes) == 1 {
		return nil, nil
	}
	i := slices.IndexFunc(controlPlanes, func(n infra.Node) bool { return n.Name == peer.Name })
	args.Peer, args.SSHPrivateKey = hostOf(controlPlanes[i]), key
	return s.kube.Serving(s.ctx, args)
}

// args decides whether the step asks. It does so before each stop of a machine, also if an earlier update asked and
// then failed, and before control planes are added or removed.
func (s serving) args(last cluster.Serving, stop []string) cluster.ServingArgs {
	args := cluster.ServingArgs{Endpoint: s.cfg.APIName()}
	first := s.before.initialised()
	if first == "" {
		return args
	}
	var names []string
	for _, n := range config.ControlPlanes(s.cfg.Nodes) {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	had := last.ControlPlanes
	if len(had) == 0 {
		had = cluster.ReadControlPlanes(first, text(s.before[typeCommand][first+"-init"], "create"))
	}
	args.Stop = stop
	if len(stop) > 0 || !slices.Equal(had, names) {
		args.Ask = cluster.Serving{ControlPlanes: names, Times: last.Times + 1}
	}
	return args
}
