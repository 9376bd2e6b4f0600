package timeline

import (
	"time"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/state"
)

// prepared are the latencies of steps on machines from an image of `image build`: the packages and the container images
// are on the disk. EC2 reads each block of a new disk from the snapshot first, so these are estimates.
var prepared = map[string]time.Duration{
	// measured on docker hosts: 2 s.
	"prepare": 6 * second,
	// measured: 5 to 12 s to Ready and CoreDNS, without a download.
	"nodes-ready": 15 * second,
}

// ofImages returns the latencies of the steps that machines from these images shorten. The network of all nodes is
// faster only if all are from one.
func (g graph) ofImages(images map[string]bool) map[state.URN]time.Duration {
	nodes, others := map[string]bool{}, false
	for urn, r := range g.resources {
		if r.Type != instance {
			continue
		}
		if images[text(r.Inputs, "ami")] {
			nodes[urn.Name()] = true
		} else {
			others = true
		}
	}
	steps := map[state.URN]time.Duration{}
	for urn, r := range g.resources {
		if r.Type != remoteCommand || len(nodes) == 0 {
			continue
		}
		line, _ := stepline.Parse(text(r.Inputs, "create"))
		if line.Name == "prepare" && nodes[line.Node] || line.Name == "nodes-ready" && !others {
			steps[urn] = prepared[line.Name]
		}
	}
	return steps
}
