package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxNodeName leaves space for the cluster's name and a suffix in the names of AWS resources.
	maxNodeName = 40
	// MinVolumeSize, in GiB, is enough for the system, the images of all add-ons and logs. maxVolume is the limit of gp3.
	MinVolumeSize, maxVolume = 20, 16384
	// maxControlPlanes survive the loss of two.
	maxControlPlanes = 5
)

// backups are what the program backs up by a step <name>-backup on the control plane. With several control planes each
// has a step of this form too.
var backups = []string{"etcd", "rabbitmq"}

// nodesValidator validates the list of nodes.
type nodesValidator struct{ part }

func (v nodesValidator) validate() {
	v.controlPlanes()
	for _, n := range v.c.entries {
		at := n.Key
		v.group(n)
		v.oneOf(at("role"), n.Role, ControlPlane, Worker)
		v.instanceType(at("instanceType"), n)
		v.zone(at("zone"), n.Zone)
		v.between(at("volumeSize"), n.VolumeSize, bounds{MinVolumeSize, maxVolume, "GiB for the system, the images and logs", 40})
		v.generation(at("generation"), n.Generation)
		v.spot(n)
		v.labels(at("labels"), n.Labels)
		v.taints(at("taints"), n)
	}
	first := map[string]int{}
	for _, n := range v.c.Nodes {
		if j, ok := first[n.Name]; ok && n.Name != "" {
			v.fault(n.Key("name"), n.Name,
				fmt.Sprintf("is the name of nodes[%d] too, and a node's name is its identity", j), n.Name+"-2")
			continue
		}
		first[n.Name] = n.entry
	}
}

// group checks the name of an entry, and its count and zones if it stands for several nodes.
func (v nodesValidator) group(n Node) {
	written := func(field string) bool { return v.written[Namespace+":"+n.Key(field)] }
	if !written("count") {
		v.nodeName(n.Key("name"), n.Name)
		if n.Role == ControlPlane && len(ControlPlanes(v.c.Nodes)) > 1 && slices.Contains(backups, n.Name) {
			v.fault(n.Key("name"), n.Name, fmt.Sprintf("is taken: a step of the backup is called %[1]s-backup, and so would be "+
				"one of this control plane", n.Name), n.Name+"-1")
		}
		if written("zones") {
			v.fault(n.Key("zones"), n.Zones, "is for an entry with a count: one node has one zone", "zone: 0")
		}
		if written("without") {
			v.fault(n.Key("without"), n.Without, "is for an entry with a count: it names nodes that a group leaves out",
				"no entry for a node that is to go")
		}
		return
	}
	switch members := n.members(); {
	case n.Name == "":
		v.nodeName(n.Key("name"), "")
	case len(members) > 0:
		v.nodeName(n.Key("name"), members[len(members)-1].Name)
	}
	v.without(n)
	v.between(n.Key("count"), n.Count, bounds{0, maxCount, "nodes", 3})
	if n.Role == ControlPlane {
		v.fault(n.Key("count"), n.Count, "is for workers: each control plane has an entry of its own",
			"an entry without count")
	}
	if !written("zones") {
		return
	}
	if written("zone") {
		v.fault(n.Key("zone"), n.Zone, "goes against zones of the same entry", "zones only")
	}
	if len(n.Zones) == 0 {
		v.fault(n.Key("zones"), n.Zones, "is empty", "[0, 1, 2]")
	}
	for i, zone := range n.Zones {
		v.zone(fmt.Sprintf("%s[%d]", n.Key("zones"), i), zone)
		if slices.Contains(n.Zones[:i], zone) {
			v.fault(fmt.Sprintf("%s[%d]", n.Key("zones"), i), zone, "is there twice", "each zone once")
		}
	}
}

// spot refuses to let AWS take back a machine whose loss costs data or the API.
func (v nodesValidator) spot(n Node) {
	switch {
	case !n.Spot:
	case n.Role == ControlPlane:
		v.fault(n.Key("spot"), true, "is for workers: AWS may take the machine back, and etcd is on the disk of this one",
			"false")
	case slices.ContainsFunc(v.c.DataNodes(), func(data Node) bool { return data.entry == n.entry }):
		v.fault(n.Key("spot"), true, "makes a node that AWS may take back run pods with volumes, which have no other copy",
			"false, or another node that has the label workload: storage")
	}
}

// without refuses names that leave nothing out: with a wrong name, a smaller count would remove another node.
func (v nodesValidator) without(n Node) {
	if n.Count < 0 {
		return // the count is refused
	}
	for i, name := range n.Without {
		at := fmt.Sprintf("%s[%d]", n.Key("without"), i)
		number, _ := strconv.Atoi(strings.TrimPrefix(name, n.Name+"-"))
		switch last := n.Count + len(n.Without); {
		case slices.Contains(n.Without[:i], name):
			v.fault(at, name, "is there twice", "each name once")
		case number < 1 || n.member(number).Name != name:
			v.fault(at, name, fmt.Sprintf("is not the name of a node of this group: they are %s and so on",
				n.member(1).Name), n.member(2).Name)
		case number > last:
			v.fault(at, name, fmt.Sprintf("leaves nothing out: with count %d the group does not reach beyond %s", n.Count,
				n.member(last).Name), "the list without it, or the name of a node that is to go")
		}
	}
}

// zone checks a position in network.zones.
func (v nodesValidator) zone(path string, zone int) {
	if zone < 0 || zone >= len(v.c.Network.Zones) {
		v.fault(path, zone,
			fmt.Sprintf("is not a position in network.zones, which has %d entries counted from 0", len(v.c.Network.Zones)), "0")
	}
}

// controlPlanes refuses a number of control planes with which etcd does not survive the loss of one more than with the
// number below.
func (v nodesValidator) controlPlanes() {
	const example = "one or three nodes with role: control-plane, the others with role: worker"
	switch count := len(ControlPlanes(v.c.Nodes)); {
	case count == 0:
		v.fault("nodes", nil, "must have a node with role control-plane", example)
	case count%2 == 0:
		v.fault("nodes", nil, fmt.Sprintf("have %d control planes: etcd wants more than half of them, so %d survive the loss of "+
			"no more machines than %d", count, count, count-1), example)
	case count > maxControlPlanes:
		v.fault("nodes", nil, fmt.Sprintf("have %d control planes, and %d is the most: every write waits for more than half",
			count, maxControlPlanes), example)
	}
}

func (v nodesValidator) nodeName(path, name string) {
	switch {
	case name == "":
		v.fault(path, nil, "is missing: the name is the identity of a node", "worker-3")
	case len(name) > maxNodeName:
		v.fault(path, name, fmt.Sprintf("must have at most %d characters", maxNodeName), "worker-3")
	case !dnsLabel.MatchString(name):
		v.fault(path, name, "must be a host name: lowercase letters, digits and dashes, with no dash at the ends", "worker-3")
	case strings.Trim(name, "0123456789") == "":
		v.fault(path, name, "must have a letter: YAML and DNS take digits alone for a number", "worker-3")
	case name == "nodes":
		v.fault(path, name, "is taken: the step that waits for all nodes has this name, and would be confused with a step of "+
			"the node", "worker-3")
	case name == "localhost":
		v.fault(path, name, "would make the machine answer to itself only", "worker-3")
	}
}

// labels validates the labels of a node. It refuses labels that Kubernetes, its controllers or this program set.
func (v nodesValidator) labels(path string, labels map[string]string) {
	for _, key := range sortedKeys(labels) {
		at, value := child(path, key), labels[key]
		if fault := qualifiedNameFault(key); fault != "" {
			v.fault(at, value, fault, "workload: api")
			continue
		}
		if fault := reservedLabel(key); fault != "" {
			v.fault(at, value, fault, "workload: api, or a prefix of your own such as example.com/tier: api")
		}
		if value != "" && !nameSegment.MatchString(value) {
			v.fault(at, value,
				"must be at most 63 letters, digits, dashes, underscores or dots that begin and end with a letter or digit",
				"workload: api")
		}
	}
}

func reservedLabel(key string) string {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		return ""
	}
	switch {
	case prefix == "node-role.kubernetes.io":
		if name == ControlPlane || name == "master" {
			return "is set by kubeadm; the role of the node decides"
		}
		return "" // what `kubectl get nodes` shows as the role
	case prefix == "node-restriction.kubernetes.io":
		return "" // made for administrators: a kubelet cannot change it
	case key == "node.kubernetes.io/exclude-from-external-load-balancers":
		return ""
	}
	return reservedPrefix(prefix)
}

func reservedPrefix(prefix string) string {
	for _, reserved := range []string{"kubernetes.io", "k8s.io"} {
		if below(prefix, reserved) {
			return fmt.Sprintf("belongs to Kubernetes, as all prefixes in %s do", reserved)
		}
	}
	if prefix == Namespace || below(prefix, "ebs.csi.aws.com") || below(prefix, "projectcalico.org") {
		return "belongs to a controller that sets and removes it"
	}
	return ""
}

var taintEffects = []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}

func (v nodesValidator) taints(path string, n Node) {
	seen := map[string]int{}
	for i, t := range n.Taints {
		at := func(field string) string { return fmt.Sprintf("%s[%d].%s", path, i, field) }
		if fault := qualifiedNameFault(t.Key); fault != "" {
			v.fault(at("key"), t.Key, fault, "workload")
		} else if fault := reservedTaint(t.Key); fault != "" {
			v.fault(at("key"), t.Key, fault, "workload")
		}
		if t.Value != "" && !nameSegment.MatchString(t.Value) {
			v.fault(at("value"), t.Value,
				"must be at most 63 letters, digits, dashes, underscores or dots that begin and end with a letter or digit",
				"storage")
		}
		v.oneOf(at("effect"), t.Effect, taintEffects...)
		if n.Role == ControlPlane && (t.Effect == "NoSchedule" || t.Effect == "NoExecute") {
			v.fault(at("effect"), t.Effect, "keeps the cloud controller off, which no node becomes Ready without, and the "+
				"controllers of volumes and load balancers: on a control plane they tolerate kubeadm's own taint only",
				"no taint: kubeadm's own keeps other pods off the control plane; or PreferNoSchedule")
		}
		if first, ok := seen[t.Key+":"+t.Effect]; ok {
			v.fault(fmt.Sprintf("%s[%d]", path, i), t,
				fmt.Sprintf("has key and effect of %s[%d], and a node can have one value for them only", path, first),
				"remove one of them")
		}
		seen[t.Key+":"+t.Effect] = i
	}
}

func reservedTaint(key string) string {
	prefix, _, prefixed := strings.Cut(key, "/")
	if !prefixed {
		return ""
	}
	return reservedPrefix(prefix)
}
