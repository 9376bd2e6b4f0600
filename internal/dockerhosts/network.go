package dockerhosts

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"strings"
)

// pool has the networks of the stacks, one /24 each.
var pool = netip.MustParsePrefix("10.64.0.0/12")

// Hosts get the addresses from .10 on, elastic addresses those from .200 on; .1 is this machine.
const (
	firstHost    = 10
	firstElastic = 200
	lastElastic  = 250
)

// network is the docker network of a stack.
type network struct {
	name   string
	subnet netip.Prefix
}

// openNetwork finds or creates the network of the stack.
func openNetwork(ctx context.Context, o Options) (network, error) {
	name := networkName(o.Stack)
	if n, err := findNetwork(ctx, name); err == nil || !isGone(err) {
		return n, err
	}
	taken, err := takenRanges(ctx, o.Avoid)
	if err != nil {
		return network{}, err
	}
	h := fnv.New32a()
	h.Write([]byte(o.Stack))
	// The search starts at an index that depends on the name, so that a stack that is created again mostly gets the same
	// range.
	for i := range 1 << (24 - pool.Bits()) {
		subnet := subnetOf(int(h.Sum32()>>8) + i)
		if overlapsAny(subnet, taken) {
			continue
		}
		n := network{name: name, subnet: subnet}
		_, err := docker(ctx, "network", "create", "--label", labelStack+"="+o.Stack,
			"--subnet", subnet.String(), "--gateway", n.gateway().String(), name)
		if err != nil && strings.Contains(err.Error(), "overlaps") {
			continue // another process was faster
		}
		if err != nil {
			return network{}, fmt.Errorf("make the network of the hosts: %w", err)
		}
		return n, nil
	}
	return network{}, fmt.Errorf("no free /24 in %s for the network of the hosts", pool)
}

func networkName(stack string) string { return "kubeadm-aws-" + stack }

func findNetwork(ctx context.Context, name string) (network, error) {
	out, err := docker(ctx, "network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", name)
	if err != nil {
		return network{}, err
	}
	subnet, err := netip.ParsePrefix(out)
	if err != nil {
		return network{}, fmt.Errorf("network %s: %w", name, err)
	}
	return network{name: name, subnet: subnet}, nil
}

// subnetOf returns the i-th /24 of the pool, and starts over after the last one.
func subnetOf(i int) netip.Prefix {
	i %= 1 << (24 - pool.Bits())
	a := pool.Addr().As4()
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a[0], a[1] + byte(i>>8), byte(i), 0}), 24)
}

func overlapsAny(p netip.Prefix, taken []netip.Prefix) bool {
	for _, t := range taken {
		if p.Overlaps(t) {
			return true
		}
	}
	return false
}

// takenRanges returns the ranges of docker's networks, those of this machine, and those to avoid.
func takenRanges(ctx context.Context, avoid []string) ([]netip.Prefix, error) {
	ids, err := docker(ctx, "network", "ls", "--quiet", "--filter", "driver=bridge")
	if err != nil {
		return nil, err
	}
	out := ""
	if ids != "" {
		args := append([]string{"network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}"},
			strings.Fields(ids)...)
		// A network may be removed between the two commands.
		if out, err = docker(ctx, args...); err != nil && !isGone(err) {
			return nil, err
		}
	}
	var taken []netip.Prefix
	for _, s := range append(strings.Fields(out), avoid...) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("range %q: %w", s, err)
		}
		taken = append(taken, p)
	}
	local, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range local {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			taken = append(taken, p)
		}
	}
	return taken, nil
}

// gateway is the address of this machine on the network.
func (n network) gateway() netip.Addr { return n.subnet.Addr().Next() }

// at is the address with this last number.
func (n network) at(last int) netip.Addr {
	a := n.subnet.Addr().As4()
	a[3] = byte(last)
	return netip.AddrFrom4(a)
}

func (n network) remove(ctx context.Context) error {
	if n.name == "" {
		return nil
	}
	if _, err := docker(ctx, "network", "rm", n.name); err != nil && !isGone(err) {
		return fmt.Errorf("remove the network of the hosts: %w", err)
	}
	return nil
}
