package config

import (
	"fmt"
	"slices"
	"strings"
)

// numberOfControlPlanes refuses another number of control planes together with a change that takes one of them out of
// service, or while one is out of service: etcd needs more than half of its members to add or remove one.
func (c comparison) numberOfControlPlanes(made Made) []FieldError {
	planes := ControlPlanes(c.Nodes)
	had := made.controlPlanes()
	// Another role of a node that stays is refused by the rule of nodes[].role.
	added := slices.DeleteFunc(namesOf(planes), func(name string) bool { return made["nodes["+name+"].role"] != nil })
	stay := namesOf(c.Nodes)
	removed := slices.DeleteFunc(slices.Clone(had), func(name string) bool { return slices.Contains(stay, name) })
	if len(had) == 0 || len(added)+len(removed) == 0 || slices.ContainsFunc(removed, c.began) {
		return nil
	}
	refuse := func(reason, instead string) []FieldError {
		return []FieldError{c.otherControlPlanes(made, reason, instead)}
	}
	if len(added) > 0 && len(removed) > 0 {
		return refuse("some are added, and others are removed, in the same up",
			"first only add control planes, and remove the others in an up of its own")
	}
	if version, _ := made[versionKey].(string); version != "" && version != c.Cluster.KubernetesVersion {
		return refuse("their number changes, and Kubernetes is upgraded in the same up",
			"one after the other, each in an up of its own")
	}
	// The engine would delete workers first, and then refuse to delete these machines.
	if len(removed) > 0 && *c.Protection.Protect {
		return refuse(strings.Join(removed, " and ")+" would be deleted, and protection.protect is true", "an up with "+
			"protection.protect: false and the old nodes, then one without these nodes, and then protection.protect: true again")
	}
	for _, n := range planes {
		if made.away(n.Name) {
			return refuse(fmt.Sprintf("their number changes, and %s is not back", n.Name),
				fmt.Sprintf("the old nodes until an up has brought %s back", n.Name))
		}
		if changes := c.machineChanges(n, made); len(changes) > 0 {
			return refuse(fmt.Sprintf("their number changes, and %s stops in the same up because of %s", n.Name,
				changes[0].Key), "one after the other, each in an up of its own")
		}
	}
	return nil
}

// otherControlPlanes is the fault of settings with other control planes than those of the running stack.
func (c comparison) otherControlPlanes(made Made, reason, instead string) FieldError {
	return FieldError{Key: Namespace + ":nodes", Value: quote(strings.Join(namesOf(ControlPlanes(c.Nodes)), ", ")),
		Reason: fmt.Sprintf("has the control planes %s on the running stack: %s", strings.Join(made.controlPlanes(), ", "),
			reason),
		Example: instead}
}

// controlPlanes returns the names of the control planes, sorted.
func (m Made) controlPlanes() []string {
	var names []string
	for path, value := range m {
		if parts := nodeInPath.FindStringSubmatch(path); parts != nil && value == ControlPlane {
			names = append(names, parts[1])
		}
	}
	slices.Sort(names)
	return names
}

// away reports whether the machine of a node is gone, an update that changed it failed, or it has left the cluster.
func (m Made) away(name string) bool { return m["nodes["+name+"].away"] == true || m.left(name) }

// left reports whether a control plane was taken out of the cluster, and its machine still exists.
func (m Made) left(name string) bool { return m["nodes["+name+"].left"] == true }

// leaving reports whether an update that takes a control plane out of the cluster has begun, and has not succeeded.
func (m Made) leaving(name string) bool { return m["nodes["+name+"].leaving"] == true }

// joined reports whether every step of a node has run.
func (m Made) joined(name string) bool { return m["nodes["+name+"].machineGeneration"] != nil }

func namesOf(nodes []Node) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return names
}

// stopTogether refuses settings that stop or replace the machine of a control plane while another one stops in
// the same update, or is away: etcd would lose its majority, and with it the API. A control plane is away if its
// machine is gone, or if an update that changed its machine failed. The settings may change if all of them are away.
func (c comparison) stopTogether(made Made) []FieldError {
	planes := ControlPlanes(c.Nodes)
	var away []string
	for _, n := range planes {
		if made.away(n.Name) {
			away = append(away, n.Name)
		}
	}
	var faults []FieldError
	for _, n := range planes {
		if slices.Contains(away, n.Name) {
			continue
		}
		if changes := c.machineChanges(n, made); len(changes) > 0 {
			faults = append(faults, changes[0])
		}
	}
	if len(planes) == 1 || len(away) == len(planes) || len(faults)+len(away) < 2 {
		return nil
	}
	reason, instead := "another control plane stops in the same up", "one control plane after the other, each in an up of its own"
	if len(away) > 0 {
		names := strings.Join(away, " and ")
		reason = names + " is not back, and another control plane would stop"
		instead = "the old setting until an up has brought " + names + " back"
	}
	for i := range faults {
		faults[i].Reason += reason
		faults[i].Example = instead
	}
	return faults
}

// StoppedControlPlanes returns the control planes whose machines an update of a running stack stops or replaces, and
// one that stays, which knows whether the others serve. If all of them are away, nothing stops: no majority of etcd
// can be lost.
func StoppedControlPlanes(c *Config, made Made) (stop []string, stays Node) {
	stays = c.ControlPlane()
	planes := ControlPlanes(c.Nodes)
	away := slices.DeleteFunc(namesOf(planes), func(name string) bool { return !made.away(name) })
	if len(planes) < 2 || len(away) == len(planes) {
		return nil, stays
	}
	var others []Node
	for _, n := range planes {
		// Without a type the state has no machine.
		has := made["nodes["+n.Name+"].instanceType"] != nil && !made.left(n.Name)
		switch {
		case has && len((comparison{c}).machineChanges(n, made)) > 0:
			stop = append(stop, n.Name)
		case has && !made.away(n.Name) && made.joined(n.Name):
			others = append(others, n)
		}
	}
	slices.Sort(stop)
	if slices.Contains(stop, stays.Name) || made.away(stays.Name) {
		for _, n := range others {
			return stop, n
		}
	}
	return stop, stays
}

// incompleteControlPlanes refuses settings with which every update would fail after one that added or removed control
// planes was interrupted. These are another release while some have not joined, and the former nodes while some leave
// or after they have left.
func (c comparison) incompleteControlPlanes(made Made) []FieldError {
	var faults []FieldError
	var missing, leaving []string
	for _, n := range ControlPlanes(c.Nodes) {
		if made.leaving(n.Name) {
			leaving = append(leaving, n.Name)
		}
		generation, _ := made["nodes["+n.Name+"].machineGeneration"].(string)
		if made.left(n.Name) && generation == c.Image.MachineGeneration(n) {
			faults = append(faults, FieldError{Key: Namespace + ":" + n.Key("generation"), Value: quote(n.Generation),
				Reason: fmt.Sprintf("is the generation of a machine that has left the cluster on the running stack: an update "+
					"that removes %s has begun", n.Name),
				Example: "another text, so that a new machine joins; or go on without the node"})
		}
		if made["nodes["+n.Name+"].role"] != nil && !made.joined(n.Name) {
			missing = append(missing, n.Name)
		}
	}
	if len(leaving) > 0 {
		names := strings.Join(leaving, " and ")
		faults = append(faults, c.otherControlPlanes(made, "an update that removes "+names+" has begun and not finished, so they "+
			"may have left etcd", "the nodes without "+names+" until an up has finished. After that they can be added again"))
	}
	from, _ := made[versionKey].(string)
	if len(ControlPlanes(c.Nodes)) > 1 && len(missing) > 0 && from != "" && from != c.Cluster.KubernetesVersion {
		faults = append(faults, FieldError{Key: Namespace + ":" + versionKey, Value: quote(c.Cluster.KubernetesVersion),
			Reason:  fmt.Sprintf("is %q on the running stack: not joined yet: %s", from, strings.Join(missing, ", ")),
			Example: fmt.Sprintf("%q until an up has finished, and the upgrade in an up of its own", from)})
	}
	return faults
}
