package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// documentation are the ranges that nobody has; the shipped stacks use one until you set your own.
var documentation = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
}

// Warnings are about settings that are allowed and probably not meant.
func (c *Config) Warnings() []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	var world, mine bool
	for _, text := range c.Access.AdminCIDRs {
		p, _ := ipv4Range(text)
		world = world || p.Bits() < worldBits
		mine = mine || !slices.ContainsFunc(documentation, func(d netip.Prefix) bool { return d.Bits() <= p.Bits() && d.Overlaps(p) })
	}
	if !mine {
		warn("access.adminCidrs %v are addresses for documentation, which no computer has. A rehearsal does not mind; on AWS "+
			"this program cannot reach its own nodes. Set yours: %s", c.Access.AdminCIDRs, adminCommand)
	}
	if world {
		warn("access.adminCidrs %v let the whole internet try SSH and the Kubernetes API. Narrow them: %s", c.Access.AdminCIDRs, adminCommand)
	}
	if c.Cluster.CNI == "none" {
		warn("cluster.cni is none: nodes are not Ready, and add-ons wait, until you have installed a network for pods")
	}
	return warnings
}
