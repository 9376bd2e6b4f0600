package addons

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// nodesReady waits until every node is Ready. Everything that needs a node for pods depends on it. On destroy the
// order is reversed: nodes are deleted after the add-ons.
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
