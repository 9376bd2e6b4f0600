package stack_test

import "testing"

// TestTheLoadBalancerFollowsTheZones removes a zone of a running stack, adds it and removes it again. The load balancer
// has to leave the subnet before AWS deletes it.
func TestTheLoadBalancerFollowsTheZones(t *testing.T) {
	settings := small()
	addons := settings["kubeadm-aws:addons"].(map[string]any)
	delete(addons, "loadBalancer")
	addons["acme"] = map[string]any{"email": "admin@example.com"}
	settings["kubeadm-aws:dns"] = map[string]any{"domain": "example.com", "ingressHosts": []any{"app.example.com"}}
	settings["kubeadm-aws:nodes"] = nodes()
	r := simulate(t, "dev", settings)
	for _, zones := range [][]any{{"a", "b", "c"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b"}} {
		r.set(map[string]any{"kubeadm-aws:network": map[string]any{"zones": zones}})
		r.up().must(t)
		if got := len(r.box.Account("aws:ec2/subnet:Subnet")); got != len(zones) {
			t.Errorf("zones %v: %d subnets", zones, got)
		}
	}
	r.destroy().must(t)
	r.mustBeEmpty()
}
