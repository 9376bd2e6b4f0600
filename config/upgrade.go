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
	if n := len(ControlPlanes(c.Nodes)); n > 1 {
		reason, instead = fmt.Sprintf("%d control planes are not upgraded yet", n), quote(from)
	}
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

// RefuseMachineChanges refuses, in an update that upgrades Kubernetes, settings that stop or replace the machine of a
// node: it would be out of service at the same time as the node that is upgraded. exempt is the name of a node that is
// out of service already, or "".
func RefuseMachineChanges(c *Config, made Made, exempt string) error {
	var faults Changes
	spots := map[string]bool{}
	for _, n := range c.Nodes {
		if old, known := made["nodes["+n.Name+"].spot"].(bool); known {
			spots[n.Name] = old
		}
		if n.Name == exempt {
			continue
		}
		made := func(setting string) (string, bool) {
			text, known := made["nodes["+n.Name+"]."+setting].(string)
			return text, known
		}
		if old, known := made("instanceType"); known && old != n.InstanceType {
			faults = append(faults, machineChange(n.Key("instanceType"), quote(n.InstanceType), old, n.Name))
		}
		if old, known := spots[n.Name]; known && old != n.Spot {
			faults = append(faults, machineChange(n.Key("spot"), fmt.Sprint(n.Spot), fmt.Sprint(old), n.Name))
		}
		if old, known := made("availabilityZone"); known && old != c.AvailabilityZone(n.Zone) {
			faults = append(faults, machineChange(n.Key("zone"), fmt.Sprint(n.Zone), old, n.Name))
		}
		generation, known := made("machineGeneration")
		_, old, _ := strings.Cut(generation, "/")
		_, now, _ := strings.Cut(c.Image.MachineGeneration(n), "/")
		if !known || old == now { // what is before the slash follows from other settings
			continue
		}
		// The parts are those of MachineGeneration.
		parts := append(strings.Split(generation, "/"), "")
		fault := machineChange(n.Key("generation"), quote(n.Generation), parts[2], n.Name)
		if n.Role == Worker && parts[1] != c.Image.Generation {
			fault = machineChange("image.generation", quote(c.Image.Generation), parts[1], "every worker")
		}
		if !slices.Contains(faults, fault) {
			faults = append(faults, fault)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return faults
}

// machineChange is the fault of a setting whose change stops or replaces machines.
func machineChange(key, value, old, nodes string) FieldError {
	return FieldError{
		Key: Namespace + ":" + key, Value: value,
		Reason: fmt.Sprintf("is %q on the running stack: Kubernetes is upgraded, and the change takes %s out of service while "+
			"another node is upgraded", old, nodes),
		Example: "the old setting until the upgrade is finished, and the new one in an up of its own",
	}
}
