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

// RefusedOnAWS are settings that a rehearsal does not mind, and that cannot work on AWS; nil when there are none.
func (c *Config) RefusedOnAWS() Errors {
	if slices.ContainsFunc(c.Access.AdminCIDRs, somebodys) {
		return nil
	}
	return Errors{{
		Key: Namespace + ":access.adminCidrs", Value: render(c.Access.AdminCIDRs), Example: adminCommand(0),
		Reason: "are addresses for documentation, which no computer has: on AWS this program could not reach its own nodes",
	}}
}

// somebodys reports whether a range can be anybody's.
func somebodys(text string) bool {
	p, _ := ipv4Range(text)
	return !slices.ContainsFunc(documentation, func(d netip.Prefix) bool { return d.Bits() <= p.Bits() && d.Overlaps(p) })
}

// Warnings are about settings that are allowed and probably not meant.
func (c *Config) Warnings() []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	for _, f := range c.RefusedOnAWS() {
		warn("A rehearsal does not mind, AWS does: %s", f.Error())
	}
	for i, text := range c.Access.AdminCIDRs {
		if p, _ := ipv4Range(text); p.Bits() < worldBits {
			warn("access.adminCidrs[%d] = %s lets the whole internet try SSH and the Kubernetes API. Narrow it: %s", i, text, adminCommand(i))
		}
	}
	if c.Cluster.CNI == "none" {
		warn("cluster.cni is none: nodes are not Ready, and add-ons wait, until you have installed a network for pods")
	}
	if c.Environment == Prod && c.Addons.Monitoring.On() && c.Notifications.Receiver == "" {
		warn("Alerts are sent nowhere: notifications.receiver is not set. See docs/addons.md, section Alerts")
	}
	return warnings
}
