package config

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
)

const (
	minZones = 2
	// MaxZones is the number of ranges that a VPC is divided into, one for each zone.
	MaxZones = 1 << subnetBits
	// podBlockBits is the prefix length of the range that the controller manager assigns to one node.
	podBlockBits = 24
	// awsReserved are the addresses of a subnet that AWS reserves. albReserved are those that a load balancer needs
	// free.
	awsReserved, albReserved = 5, 8
)

// special are ranges that cannot be the address of an administrator's machine.
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

// internal are the ranges for private networks. Any other range would hide the internet hosts that own it.
var internal = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"),
}

// networkValidator validates the ranges of machines, pods and Services, and the zones.
type networkValidator struct{ part }

func (v networkValidator) validate() {
	n := v.c.Network
	ranges := []struct {
		path, value, example string
		short, long          int
		why                  string
	}{
		{"network.vpcCidr", n.VPCCIDR, "10.0.0.0/16", 16, 22,
			"AWS takes no larger VPC, and a smaller one has no room for load balancers in its subnets"},
		{"network.podCidr", n.PodCIDR, "10.244.0.0/16", 8, 22, "each node takes a /24 of it"},
		{"network.serviceCidr", n.ServiceCIDR, "10.96.0.0/16", 12, 24,
			"Kubernetes takes no larger range, and a smaller one runs out of Services"},
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
				v.fault(r.path, r.value,
					fmt.Sprintf("overlaps %s = %s, so packets could not tell the two apart", ranges[j].path, ranges[j].value),
					freeRange(p, parsed))
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

// freeRange returns a range that overlaps none of the used ones. It is as large as requested if there is space.
func freeRange(wanted netip.Prefix, taken []netip.Prefix) string {
	for _, space := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"} {
		own := netip.MustParsePrefix(space)
		bits := max(wanted.Bits(), own.Bits())
		for candidate := netip.PrefixFrom(own.Addr(),
			bits); own.Contains(candidate.Addr()); candidate = following(candidate) {
			free := !slices.ContainsFunc(taken, func(t netip.Prefix) bool { return t.IsValid() && t.Overlaps(candidate) })
			if free {
				return candidate.String()
			}
		}
	}
	return "a range that is free"
}

// following returns the range of the same size directly after p.
func following(p netip.Prefix) netip.Prefix {
	base := p.Addr().As4()
	var next [4]byte
	binary.BigEndian.PutUint32(next[:], binary.BigEndian.Uint32(base[:])+1<<(32-p.Bits()))
	return netip.PrefixFrom(netip.AddrFrom4(next), p.Bits())
}

func (v networkValidator) zones() {
	zones := v.c.Network.Zones
	if len(zones) < minZones || len(zones) > MaxZones {
		v.fault("network.zones", zones,
			fmt.Sprintf("must be %d to %d zones: a load balancer needs two, and the VPC is cut into %d ranges", minZones,
				MaxZones, MaxZones),
			`["a", "b", "c"]`)
	}
	for i, z := range zones {
		if len(z) != 1 || z[0] < 'a' || z[0] > 'z' {
			v.fault(fmt.Sprintf("network.zones[%d]", i), z,
				"must be the letter of an availability zone, without the region", `"a" for `+v.c.Region+"a")
		}
	}
	v.unique("network.zones", zones)
}

// roomForNodes refuses more nodes in a zone than its subnet has addresses.
func (v networkValidator) roomForNodes(vpc netip.Prefix) {
	room := 1<<(32-vpc.Bits()-subnetBits) - awsReserved - albReserved
	in := map[int]int{}
	for _, n := range v.c.Nodes {
		in[n.Zone]++
	}
	for zone, count := range in {
		if count > room {
			v.fault("network.vpcCidr", v.c.Network.VPCCIDR,
				fmt.Sprintf("is too small: %d nodes are in zone %d, and its subnet has room for %d", count, zone, room),
				"10.0.0.0/16")
			return
		}
	}
}

func (v networkValidator) roomForPods(pods netip.Prefix) {
	nodes := len(v.c.Nodes)
	if nodes <= 1<<(podBlockBits-pods.Bits()) {
		return
	}
	needs := podBlockBits - bits.Len(uint(nodes-1))
	v.fault("network.podCidr", v.c.Network.PodCIDR,
		fmt.Sprintf("is too small: each of the %d nodes takes a /%d of it", nodes, podBlockBits),
		fmt.Sprintf("a /%d or larger", needs))
}

// ipv4Range parses a range. It must be written with its first address.
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

// ownRangeFault returns why a range cannot be used for machines, pods or Services, or "".
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
	return "is not a range for internal networks, so the machines on the internet that have these addresses could not " +
		"be reached"
}

// worldBits is the prefix length below which a range is practically the whole internet.
const worldBits = 8

// adminCommand returns the command that sets the range at a position to the address of the machine it runs on.
func adminCommand(position int) string {
	return fmt.Sprintf(
		`pulumi config set --path 'kubeadm-aws:access.adminCidrs[%d]' "$(curl -s https://checkip.amazonaws.com)/32"`,
		position)
}

const (
	// rulesQuota is AWS's default limit of inbound rules of a security group. The program's rules in the nodes' group
	// and those that the load balancer controller adds are at most ten.
	rulesQuota     = 60
	maxAdminRanges = rulesQuota - 10
)

// accessValidator validates the ranges that may reach SSH and the Kubernetes API.
type accessValidator struct{ part }

func (v accessValidator) validate() {
	cidrs := v.c.Access.AdminCIDRs
	if len(cidrs) == 0 {
		v.fault("access.adminCidrs", nil,
			"is empty: no machine could reach SSH and the Kubernetes API, this one included", adminCommand(0))
	}
	v.unique("access.adminCidrs", cidrs)
	if len(cidrs) > maxAdminRanges {
		v.fault("access.adminCidrs", len(cidrs),
			fmt.Sprintf("must be at most %d ranges: each is a rule for SSH and one for the API, in groups that AWS limits to "+
				"%d rules each", maxAdminRanges, rulesQuota),
			"fewer and larger ranges")
	}
	parsed := make([]netip.Prefix, len(cidrs))
	for i, text := range cidrs {
		parsed[i] = v.adminRange(fmt.Sprintf("access.adminCidrs[%d]", i), i, text)
		v.outsideOfCluster(i, text, parsed[i])
		for j, other := range parsed[:i] {
			if other.IsValid() && parsed[i].IsValid() && other != parsed[i] && other.Overlaps(parsed[i]) {
				v.fault(fmt.Sprintf("access.adminCidrs[%d]", i), text,
					fmt.Sprintf("overlaps access.adminCidrs[%d] = %s", j, cidrs[j]), "keep the larger of the two")
			}
		}
	}
}

// outsideOfCluster refuses an administrator's range within those of pods and Services. A node sends its answers to
// such an address into the cluster's own network, so they never arrive.
func (v accessValidator) outsideOfCluster(i int, text string, admin netip.Prefix) {
	for path, value := range map[string]string{"network.podCidr": v.c.Network.PodCIDR,
		"network.serviceCidr": v.c.Network.ServiceCIDR} {
		own, err := netip.ParsePrefix(value)
		if err == nil && admin.IsValid() && own.Bits() <= admin.Bits() && own.Overlaps(admin) {
			v.fault(fmt.Sprintf("access.adminCidrs[%d]", i), text, fmt.Sprintf(
				"lies within %s = %s: the nodes look for that address in the cluster, so their answers never arrive", path, value),
				"the address by which AWS sees the machine, or another "+path)
		}
	}
}

// adminRange validates one range and returns it, or an invalid one.
func (v accessValidator) adminRange(path string, i int, text string) netip.Prefix {
	p, fault := ipv4Range(text)
	switch {
	case fault != "":
		v.fault(path, text, fault, rangeExample(text, i))
		return netip.Prefix{}
	case v.c.Environment == Prod && p.Bits() < worldBits:
		v.fault(path, text, "opens SSH and the Kubernetes API of a prod stack to the world", adminCommand(i))
		return netip.Prefix{}
	}
	if s := specialRange(p); s != "" {
		v.fault(path, text, s, adminCommand(i))
		return netip.Prefix{}
	}
	return p
}

// rangeExample returns the range that text was probably meant to be, or the command that sets it to this machine's
// address.
func rangeExample(text string, i int) string {
	if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
		return text + "/32"
	}
	if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() {
		return fmt.Sprintf("%s, or %s/32", p.Masked(), p.Addr())
	}
	return adminCommand(i)
}

// specialRange refuses ranges that cannot contain an administrator. It accepts 0.0.0.0/0, although that contains them
// too.
func specialRange(p netip.Prefix) string {
	for _, s := range special {
		if s.prefix.Bits() <= p.Bits() && s.prefix.Overlaps(p) {
			return fmt.Sprintf("lies in %s: %s", s.prefix, s.what)
		}
	}
	return ""
}
