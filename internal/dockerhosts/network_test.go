package dockerhosts

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNetworksStayInThePool(t *testing.T) {
	seen := map[netip.Prefix]bool{}
	for i := range 1 << 12 {
		p := subnetOf(i)
		if !pool.Contains(p.Addr()) || p.Bits() != 24 || p != p.Masked() || seen[p] {
			t.Fatalf("subnet %d is %s", i, p)
		}
		seen[p] = true
	}
	if subnetOf(1<<12) != subnetOf(0) {
		t.Error("the search does not go on from the start")
	}
	n := network{subnet: subnetOf(300)}
	if n.gateway().String() != "10.65.44.1" || n.at(firstElastic).String() != "10.65.44.200" {
		t.Errorf("gateway %s, first elastic address %s", n.gateway(), n.at(firstElastic))
	}
}

func TestPlumbingRoutesToTheOthersOnly(t *testing.T) {
	script := plumbing("10.244.1.0/24", map[string]string{"10.244.0.0/24": "10.65.44.10", "10.244.1.0/24": "10.65.44.11"})
	if !strings.Contains(script, "ip route replace 10.244.0.0/24 via 10.65.44.10 ") ||
		strings.Contains(script, "replace 10.244.1.0/24") {
		t.Error(script)
	}
	if !strings.Contains(script, `"subnet": "10.244.1.0/24"`) {
		t.Error(script)
	}
}

func TestZoneLinesAreSorted(t *testing.T) {
	got := zoneLines(map[string][]string{"b.internal": {"10.0.0.2"}, "a.internal": {"10.0.0.2", "10.0.0.1"}})
	want := zoneBegin + "\n10.0.0.1 a.internal\n10.0.0.2 a.internal\n10.0.0.2 b.internal\n" + zoneEnd + "\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}

func TestTheMirrorTakesNoPortOfTheObjectStore(t *testing.T) {
	if ports := mirrorPorts(0); ports[0] != mirrorPort || slices.Contains(ports, objectPort) {
		t.Errorf("ports %v", ports)
	}
	if ports := mirrorPorts(8105); !slices.Equal(ports, []int{8105}) {
		t.Errorf("the port of a stack that has one: %v", ports)
	}
}
