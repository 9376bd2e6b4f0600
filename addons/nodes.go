package addons

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// nodesReady is the gate between the cluster and what runs on it: it exists once every node is Ready. Whatever needs
// a node that takes pods depends on it. On destroy it stands the other way round: nodes leave after the add-ons.
func (b *builder) nodesReady(calico, cloud pulumi.Resource) pulumi.Resource {
	if b.err != nil {
		return nil
	}
	ready, err := b.args.Cluster.NodesReady(b.ctx, b.options(needs(calico, cloud), nil)...)
	if b.failed(err) {
		return nil
	}
	return ready
}
