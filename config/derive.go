package config

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
)

// subnetBits is the difference in length between the prefixes of a subnet and of the VPC. Eight subnets fit, and
// adding a zone changes no existing subnet.
const subnetBits = 3

// SubnetCIDRs returns the ranges of the subnets, one for each zone in order: /19 in a /16.
func (c *Config) SubnetCIDRs() []string {
	vpc, err := netip.ParsePrefix(c.Network.VPCCIDR)
	if err != nil {
		return nil // validation refuses it
	}
	bits := vpc.Bits() + subnetBits
	base := vpc.Masked().Addr().As4()
	first := binary.BigEndian.Uint32(base[:])
	subnets := make([]string, len(c.Network.Zones))
	for i := range subnets {
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], first+uint32(i)<<(32-bits))
		subnets[i] = netip.PrefixFrom(netip.AddrFrom4(address), bits).String()
	}
	return subnets
}

// ControlPlane returns the control plane that kubeadm initialises; the others join it. In a running cluster it is the
// one that was initialised, in a new one the first by name, so that the order of the list has no meaning.
func (c *Config) ControlPlane() Node {
	all := ControlPlanes(c.Nodes)
	for _, n := range all {
		if n.Name == c.Initialised {
			return n
		}
	}
	if len(all) == 0 {
		return Node{}
	}
	return all[0]
}

// ControlPlanes returns the nodes that run the Kubernetes API and etcd, by name.
func ControlPlanes(nodes []Node) []Node {
	var all []Node
	for _, n := range nodes {
		if n.Role == ControlPlane {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// DataNodes returns the nodes for pods with a volume: workers labelled workload=storage or, if no node has the label,
// workers without a taint that repels pods.
func (c *Config) DataNodes() []Node {
	labelled := slices.ContainsFunc(c.Nodes, func(n Node) bool { return n.Labels["workload"] == "storage" })
	var nodes []Node
	for _, n := range c.Nodes {
		hosts := n.Labels["workload"] == "storage"
		if !labelled {
			hosts = !slices.ContainsFunc(n.Taints, func(t Taint) bool { return t.Effect != "PreferNoSchedule" })
		}
		if n.Role == Worker && hosts {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// DataZones returns the letters of the zones of DataNodes. A volume cannot leave its zone.
func (c *Config) DataZones() []string {
	var zones []string
	for _, n := range c.DataNodes() {
		if zone := c.Network.Zones[n.Zone]; !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	return zones
}

// AvailabilityZone returns the name of the zone at position i, such as eu-central-1a.
func (c *Config) AvailabilityZone(i int) string { return c.Region + c.Network.Zones[i] }

// APIName returns the name of the Kubernetes API inside the VPC.
func (c *Config) APIName() string { return "api." + c.PrivateZone() }

// PrivateZone returns the Route53 zone that only the VPC can resolve.
func (c *Config) PrivateZone() string { return c.Cluster.Name + ".internal" }

// Keys of the default tags. TagCluster identifies all resources of a cluster, whichever program created them.
const (
	TagCluster     = "kubeadm-aws/cluster"
	TagStack       = "kubeadm-aws/stack"
	TagEnvironment = "kubeadm-aws/environment"
	TagOwner       = "kubeadm-aws/owner"
	// TagVPC is on the volumes, snapshots and load balancers that controllers create. Its value is the id of the
	// cluster's VPC. It distinguishes clusters with the same name in one account.
	TagVPC = "kubeadm-aws/vpc"
	// TagManagedBy is on the resources that Pulumi creates, never on those that controllers in the cluster create.
	// The sweep removes only the latter.
	TagManagedBy = "kubeadm-aws/managed-by"
)

// Tags returns the tags of every AWS resource of the stack. kubernetes.io/cluster/<name> is not one of them: the Load
// Balancer Controller requires it on exactly one security group of an instance.
func (c *Config) Tags() map[string]string {
	return map[string]string{
		TagCluster:     c.Cluster.Name,
		TagStack:       c.Stack,
		TagEnvironment: c.Environment,
		TagOwner:       c.Owner,
	}
}

// PulumiTags returns the default tags of the resources that Pulumi creates: Tags, and the mark that excludes them
// from the sweep. Controllers get Tags for the resources that they create.
func (c *Config) PulumiTags() map[string]string {
	tags := c.Tags()
	tags[TagManagedBy] = "pulumi"
	return tags
}
