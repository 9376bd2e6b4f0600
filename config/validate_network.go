package config

import (
	"fmt"
	"math/bits"
	"net/netip"
)

const (
	minZones = 2
	maxZones = 1 << subnetBits
	// podBlockBits is the prefix of the range that the controller manager gives to one node.
	podBlockBits = 24
	// awsReserved are the addresses of a subnet that AWS keeps, and albReserved those a load balancer wants free.
	awsReserved, albReserved = 5, 8
)

// special are ranges that are never a machine of yours.
var special = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "the addresses of \"this host\""},
	{netip.MustParsePrefix("127.0.0.0/8"), "the loopback addresses"},
	{netip.MustParsePrefix("169.254.0.0/16"), "the link-local addresses, where EC2 instances find metadata, DNS and time"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved addresses, which most systems do not route"},
}

// internal are the ranges for networks of one's own. Taking any other would hide the machines on the internet that have it.
var internal = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"),
}

func (v *validator) network() {
	n := v.c.Network
	ranges := []struct {
		path, value, example string
		short, long          int
		why                  string
	}{
		{"network.vpcCidr", n.VPCCIDR, "10.0.0.0/16", 16, 22, "AWS takes no larger VPC, and a smaller one has no room for load balancers in its subnets"},
		{"network.podCidr", n.PodCIDR, "10.244.0.0/16", 8, 22, "each node takes a /24 of it"},
		{"network.serviceCidr", n.ServiceCIDR, "10.96.0.0/16", 12, 24, "Kubernetes takes no larger range, and a smaller one runs out of Services"},
	}
	parsed := make([]netip.Prefix, len(ranges))
	for i, r := range ranges {
		p, fault := ipv4Range(r.value)
		if fault != "" {
			v.fault(r.path, r.value, fault, r.example)
			continue
		}
		if s := ownRangeFault(p); s != "" {
			v.fault(r.path, r.value, s, r.example)
			continue
		}
		if p.Bits() < r.short || p.Bits() > r.long {
			v.fault(r.path, r.value, fmt.Sprintf("must be between /%d and /%d: %s", r.short, r.long, r.why), r.example)
			continue
		}
		parsed[i] = p
		for j := range i {
			if parsed[j].IsValid() && parsed[j].Overlaps(p) {
				v.fault(r.path, r.value, fmt.Sprintf("overlaps %s = %s, so packets could not tell the two apart", ranges[j].path, ranges[j].value), r.example)
			}
		}
	}
	v.zones()
	if parsed[0].IsValid() {
		v.roomForNodes(parsed[0])
	}
	if parsed[1].IsValid() {
		v.roomForPods(parsed[1])
	}
}

func (v *validator) zones() {
	zones := v.c.Network.Zones
	if len(zones) < minZones || len(zones) > maxZones {
		v.fault("network.zones", zones, fmt.Sprintf("must be %d to %d zones: a load balancer needs two, and the VPC is cut into %d ranges", minZones, maxZones, maxZones), `["a", "b", "c"]`)
	}
	for i, z := range zones {
		if len(z) != 1 || z[0] < 'a' || z[0] > 'z' {
			v.fault(fmt.Sprintf("network.zones[%d]", i), z, "must be the letter of an availability zone, without the region", `"a" for `+v.c.Region+"a")
		}
	}
	v.unique("network.zones", zones)
}

// roomForNodes refuses more nodes in a zone than its subnet has addresses.
func (v *validator) roomForNodes(vpc netip.Prefix) {
	room := 1<<(32-vpc.Bits()-subnetBits) - awsReserved - albReserved
	in := map[int]int{}
	for _, n := range v.c.Nodes {
		in[n.Zone]++
	}
	for zone, count := range in {
		if count > room {
			v.fault("network.vpcCidr", v.c.Network.VPCCIDR, fmt.Sprintf("is too small: %d nodes are in zone %d, and its subnet has room for %d", count, zone, room), "10.0.0.0/16")
			return
		}
	}
}

func (v *validator) roomForPods(pods netip.Prefix) {
	nodes := len(v.c.Nodes)
	if nodes <= 1<<(podBlockBits-pods.Bits()) {
		return
	}
	needs := podBlockBits - bits.Len(uint(nodes-1))
	v.fault("network.podCidr", v.c.Network.PodCIDR, fmt.Sprintf("is too small: each of the %d nodes takes a /%d of it", nodes, podBlockBits), fmt.Sprintf("a /%d or larger", needs))
}

// ipv4Range reads a range that is written by its first address.
func ipv4Range(text string) (netip.Prefix, string) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		if _, err := netip.ParseAddr(text); err == nil {
			return p, "must be a range, with a slash and the number of fixed bits"
		}
		return p, "is not an IPv4 address range"
	}
	if !p.Addr().Is4() {
		return p, "must be IPv4: the VPC has no IPv6"
	}
	if p != p.Masked() {
		return p, fmt.Sprintf("must begin with the first address of the range, which is %s", p.Masked())
	}
	return p, ""
}

// ownRangeFault says why a range cannot be given to machines, pods or Services, or "".
func ownRangeFault(p netip.Prefix) string {
	for _, s := range special {
		if s.prefix.Overlaps(p) {
			return fmt.Sprintf("overlaps %s: %s", s.prefix, s.what)
		}
	}
	for _, own := range internal {
		if own.Contains(p.Addr()) && own.Bits() <= p.Bits() {
			return ""
		}
	}
	return "is not a range for internal networks, so the machines on the internet that have these addresses could not be reached"
}

// worldBits is the prefix below which a range is the whole internet in all but name.
const worldBits = 8

// adminCommand sets the first range to the address of the machine it runs on.
const adminCommand = `pulumi config set --path 'kubeadm-aws:access.adminCidrs[0]' "$(curl -s https://checkip.amazonaws.com)/32"`

func (v *validator) access() {
	cidrs := v.c.Access.AdminCIDRs
	if len(cidrs) == 0 {
		v.fault("access.adminCidrs", nil, "is empty: nobody could reach SSH and the Kubernetes API, this program included", adminCommand)
	}
	var parsed []netip.Prefix
	for i, text := range cidrs {
		path := fmt.Sprintf("access.adminCidrs[%d]", i)
		p, fault := ipv4Range(text)
		if fault != "" {
			v.fault(path, text, fault, adminCommand)
			continue
		}
		if v.c.Environment == Prod && p.Bits() < worldBits {
			v.fault(path, text, "opens SSH and the Kubernetes API of a prod stack to the world", adminCommand)
			continue
		}
		if s := specialRange(p); s != "" {
			v.fault(path, text, s, adminCommand)
			continue
		}
		for j, other := range parsed {
			if other.IsValid() && other.Overlaps(p) {
				v.fault(path, text, fmt.Sprintf("overlaps access.adminCidrs[%d] = %s", j, cidrs[j]), "keep the larger of the two")
			}
		}
		for len(parsed) < i {
			parsed = append(parsed, netip.Prefix{})
		}
		parsed = append(parsed, p)
	}
}

// specialRange refuses ranges that no administrator can come from. The whole world holds them too and is no fault here.
func specialRange(p netip.Prefix) string {
	for _, s := range special {
		if s.prefix.Bits() <= p.Bits() && s.prefix.Overlaps(p) {
			return fmt.Sprintf("lies in %s: %s", s.prefix, s.what)
		}
	}
	return ""
}
