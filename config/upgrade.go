package config

import (
	"fmt"
	"slices"
	"strings"
)

const versionKey = "cluster.kubernetesVersion"

// refuseUpgrade returns why a running cluster cannot change from one release to another, with what to write instead.
// Both are "" if it can: to a later patch, or to the next minor release.
func refuseUpgrade(from, to string) (reason, instead string) {
	old, now := releaseNumbers(from), releaseNumbers(to)
	switch {
	case slices.Compare(now, old) < 0:
		return "etcd and the objects in it cannot go back to an older release", fmt.Sprintf("%q; the ways back are in "+
			"docs/upgrade.md", from)
	case now[0] != old[0] || now[1] > old[1]+1:
		next := fmt.Sprintf("%d.%d", old[0], old[1]+1)
		instead = fmt.Sprintf("a release of %s; this program has none, so upgrade with an earlier version of it first", next)
		for _, r := range Releases {
			if r.Minor() == next {
				instead = fmt.Sprintf("%q, and %q in an up after that", r.Version, to)
			}
		}
		return "Kubernetes is upgraded by one minor release at a time", instead
	}
	return "", ""
}

// refuseVersion applies the rules of an upgrade, if the release of the running cluster changes.
func (c comparison) refuseVersion(made Made) []FieldError {
	from, to := "", c.Cluster.KubernetesVersion
	if from, _ = made[versionKey].(string); from == "" || from == to {
		return nil
	}
	reason, instead := refuseUpgrade(from, to)
	if reason == "" {
		return nil
	}
	return []FieldError{{Key: Namespace + ":" + versionKey, Value: quote(to),
		Reason: fmt.Sprintf("is %q on the running stack: %s", from, reason), Example: instead}}
}

// MachineGeneration returns the text whose change replaces the machine of a node. The image's generation applies to
// workers only. They leave the cluster through the control plane, so it cannot be replaced together with them.
func (i Image) MachineGeneration(n Node) string {
	text := i.OS
	// AWS changes the type of a machine in place, but not to one of another architecture.
	if n.Architecture() != AMD64 {
		text += "-" + n.Architecture()
	}
	text += "/"
	if n.Role == Worker {
		text += i.Generation
	}
	if n.Generation != "" {
		text += "/" + n.Generation
	}
	return text
}

// RefuseMachineChanges refuses, in an update that upgrades Kubernetes or goes on with an upgrade, settings that stop or
// replace the machine of a node: it would be out of service at the same time as the node that is upgraded. It refuses
// another number of control planes too, because each one that is upgraded needs all the others. exempt is the name of a
// node that is out of service already, or "".
func RefuseMachineChanges(c *Config, made Made, exempt string) error {
	var faults Changes
	now := namesOf(ControlPlanes(c.Nodes))
	if had := made.controlPlanes(); len(had) > 0 && !slices.Equal(had, now) {
		faults = append(faults, comparison{c}.otherControlPlanes(made,
			"their number changes before an upgrade of Kubernetes is finished",
			"the old control planes until the upgrade is finished, and the new ones in an up of its own"))
	}
	for _, n := range c.Nodes {
		if n.Name == exempt {
			continue
		}
		for _, fault := range (comparison{c}).machineChanges(n, made) {
			nodes := n.Name
			if strings.HasPrefix(fault.Key, Namespace+":image.") {
				nodes = "every worker"
			}
			fault.Reason += fmt.Sprintf("Kubernetes is upgraded, and the change takes %s out of service while another node is "+
				"upgraded", nodes)
			fault.Example = "the old setting until the upgrade is finished, and the new one in an up of its own"
			if (comparison{c}).inGroupOf(n, exempt) && fault.Key == Namespace+":"+n.Key("generation") {
				fault.Example = fmt.Sprintf("count one lower, without: [%[1]s] unless %[1]s has the last number, and an entry of its "+
					"own for %[1]s with the other fields of the group, its zone and the new generation", exempt)
			}
			if !slices.Contains(faults, fault) {
				faults = append(faults, fault)
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return faults
}

// inGroupOf reports whether a node comes from the same entry of the settings as another one.
func (c comparison) inGroupOf(n Node, name string) bool {
	return slices.ContainsFunc(c.Nodes, func(other Node) bool {
		return other.Name == name && other.Name != n.Name && other.entry == n.entry
	})
}

// machineChanges returns the settings of a node that stop or replace its machine. The reasons begin with the old value,
// and the caller completes them.
func (c comparison) machineChanges(n Node, made Made) []FieldError {
	var changes []FieldError
	differs := func(key, value, was string) {
		changes = append(changes, FieldError{Key: Namespace + ":" + key, Value: value,
			Reason: fmt.Sprintf("is %q on the running stack: ", was)})
	}
	was := func(setting string) any { return made["nodes["+n.Name+"]."+setting] }
	if old, known := was("instanceType").(string); known && old != n.InstanceType {
		differs(n.Key("instanceType"), quote(n.InstanceType), old)
	}
	if old, known := was("spot").(bool); known && old != n.Spot {
		differs(n.Key("spot"), quote(n.Spot), fmt.Sprint(old))
	}
	if old, known := was("availabilityZone").(string); known && old != c.AvailabilityZone(n.Zone) {
		differs(n.Key("zone"), quote(n.Zone), old)
	}
	// A control plane keeps its image.
	if old, known := was("ami").(string); known && n.Role == Worker && c.Image.AMI != "" && old != c.Image.AMI {
		differs("image.ami", quote(c.Image.AMI), old)
	}
	// The system and the architecture are the first part. Other settings decide them.
	generation, known := was("machineGeneration").(string)
	old, now := strings.Split(generation+"//", "/"), strings.Split(c.Image.MachineGeneration(n)+"//", "/")
	if known && old[1] != now[1] {
		differs("image.generation", quote(c.Image.Generation), old[1])
	}
	if known && old[2] != now[2] {
		differs(n.Key("generation"), quote(n.Generation), old[2])
	}
	return changes
}
