package config

import (
	"slices"
	"testing"
)

// FuzzLoad sets one key to arbitrary text. Load must return a configuration or faults with a reason, and never panic.
func FuzzLoad(f *testing.F) {
	for _, c := range refused {
		for key, value := range settings(f, c.yaml) {
			f.Add(key, value)
		}
	}
	f.Add("kubeadm-aws:network", `{"vpcCidr":"10.0.0.0/16","zones":["a","b"],"zones":null}`)
	f.Add("kubeadm-aws:nodes", `[null,{}]`)
	f.Add("kubeadm-aws:cluster", `{"name":"\u0000"}`)
	f.Add("kubeadm-aws:addons", `{"redis":{"values":{"a":1e999}}}`)
	f.Add("kubeadm-aws:backup", `{"retentionDays":99999999999999999999}`)
	f.Fuzz(func(t *testing.T, key, value string) {
		values := settings(t, "")
		values[key] = value
		c, err := Load("dev", func(k string) (string, bool) { v, ok := values[k]; return v, ok }, sortedKeys(values))
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		if err != nil {
			faults := faultsOf(t, err)
			if len(faults) == 0 || slices.ContainsFunc(faults,
				func(f FieldError) bool { return f.Key == "" || f.Reason == "" || f.Example == "" }) {
				t.Fatalf("a fault without key, reason or example: %#v", faults)
			}
			return
		}
		// An accepted configuration can be used.
		if len(c.SubnetCIDRs()) != len(c.Network.Zones) || c.ControlPlane().Name == "" {
			t.Fatalf("accepted without subnets or control plane: %+v", c)
		}
		for _, n := range c.Nodes {
			_ = c.AvailabilityZone(n.Zone)
		}
	})
}
