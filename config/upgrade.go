package config

import (
	"fmt"
	"slices"
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
	var faults []FieldError
	if reason, instead := refuseUpgrade(from, to); reason != "" {
		faults = append(faults, FieldError{Key: Namespace + ":" + versionKey, Value: quote(to),
			Reason: fmt.Sprintf("is %q on the running stack: %s", from, reason), Example: instead})
	}
	// A machine that stops for another size would be out of service at the same time as the node that is upgraded.
	for i, n := range c.Nodes {
		if old, _ := made["nodes["+n.Name+"].instanceType"].(string); old != "" && old != n.InstanceType {
			faults = append(faults, FieldError{Key: Namespace + ":" + c.Nodes[i].Key("instanceType"),
				Value: quote(n.InstanceType), Reason: fmt.Sprintf("is %q on the running stack: %s changes too, and the machine "+
					"would stop while another node is upgraded", old, versionKey),
				Example: fmt.Sprintf("%q now, and the new type in an up of its own", old)})
		}
	}
	return faults
}
