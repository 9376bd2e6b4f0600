package config

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// subnetBits is how much longer a subnet's prefix is than the VPC's. Eight places fit, and adding a zone moves no subnet.
const subnetBits = 3

// SubnetCIDRs are the ranges of the subnets, one for each zone in its order: /19 in a /16.
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

// ControlPlane is the node that runs the Kubernetes API.
func (c *Config) ControlPlane() Node {
	for _, n := range c.Nodes {
		if n.Role == ControlPlane {
			return n
		}
	}
	return Node{}
}

// DataZones are the letters of the zones with a node for pods that have a volume: a worker labelled workload=storage or,
// where no node has that label, any worker without a taint that keeps pods away. A volume never leaves its zone.
func (c *Config) DataZones() []string {
	labelled := slices.ContainsFunc(c.Nodes, func(n Node) bool { return n.Labels["workload"] == "storage" })
	var zones []string
	for _, n := range c.Nodes {
		hosts := n.Labels["workload"] == "storage"
		if !labelled {
			hosts = !slices.ContainsFunc(n.Taints, func(t Taint) bool { return t.Effect != "PreferNoSchedule" })
		}
		if zone := c.Network.Zones[n.Zone]; n.Role == Worker && hosts && !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	return zones
}

// AvailabilityZone is the name of the zone at position i, such as eu-central-1a.
func (c *Config) AvailabilityZone(i int) string { return c.Region + c.Network.Zones[i] }

// APIName is the name of the Kubernetes API inside the VPC.
func (c *Config) APIName() string { return "api." + c.PrivateZone() }

// PrivateZone is the Route53 zone that only the VPC sees.
func (c *Config) PrivateZone() string { return c.Cluster.Name + ".internal" }

// Keys of the default tags. What belongs to a cluster is found by TagCluster, whoever made it.
const (
	TagCluster     = "kubeadm-aws/cluster"
	TagStack       = "kubeadm-aws/stack"
	TagEnvironment = "kubeadm-aws/environment"
	TagOwner       = "kubeadm-aws/owner"
	// TagVPC is on the volumes, snapshots and load balancers that controllers make; its value is the id of the cluster's VPC. It
	// tells the clusters of one name in an account apart.
	TagVPC = "kubeadm-aws/vpc"
	// TagManagedBy is on what Pulumi makes and never on what controllers in the cluster make: the sweep takes the second only.
	TagManagedBy = "kubeadm-aws/managed-by"
)

// Tags are on every AWS resource of the stack. They do not hold kubernetes.io/cluster/<name>: the Load Balancer
// Controller wants that one on exactly one security group of an instance.
func (c *Config) Tags() map[string]string {
	return map[string]string{
		TagCluster:     c.Cluster.Name,
		TagStack:       c.Stack,
		TagEnvironment: c.Environment,
		TagOwner:       c.Owner,
	}
}

// PulumiTags are the default tags of the resources that Pulumi makes: Tags and the mark that keeps the sweep off them.
// What is handed to controllers for their own resources is Tags.
func (c *Config) PulumiTags() map[string]string {
	tags := c.Tags()
	tags[TagManagedBy] = "pulumi"
	return tags
}
