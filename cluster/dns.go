package cluster

import (
	"encoding/json"
	"maps"
	"slices"

	"kubeadm-aws/config"
)

const controlPlaneRole = "node-role.kubernetes.io/control-plane"

// coreDNSPatch is the JSON merge patch that makes kubeadm's Deployment of CoreDNS survive the loss of any node. kubeadm
// only prefers two nodes and tolerates the control plane, so the first node that is Ready gets both pods for good. Here
// no node gets two. With two workers or more the control plane gets none: when it is lost, no one takes the address of
// its pod out of the Service.
func coreDNSPatch(nodes []config.Node) string {
	tolerations := []object{{"key": "CriticalAddonsOnly", "operator": "Exists"}}
	tainted, workers, open := tolerationsOf(nodes)
	// Too few workers take every pod: then CoreDNS may use those that are kept for others.
	if open < 2 {
		tolerations = append(tolerations, tainted...)
	}
	affinity := object{"nodeAffinity": nil}
	if workers < 2 {
		tolerations = append(tolerations, object{"key": controlPlaneRole, "effect": "NoSchedule"})
	} else {
		affinity["nodeAffinity"] = object{"requiredDuringSchedulingIgnoredDuringExecution": object{"nodeSelectorTerms": []object{
			{"matchExpressions": []object{{"key": controlPlaneRole, "operator": "DoesNotExist"}}},
		}}}
	}
	apart := object{"topologyKey": "kubernetes.io/hostname", "labelSelector": object{"matchLabels": object{"k8s-app": "kube-dns"}}}
	if workers == 0 { // the second pod has no other place
		affinity["podAntiAffinity"] = nil
	} else {
		affinity["podAntiAffinity"] = object{
			"preferredDuringSchedulingIgnoredDuringExecution": nil,
			"requiredDuringSchedulingIgnoredDuringExecution":  []object{apart},
		}
	}
	// Maps, lists and text: nothing in it can fail to encode.
	patch, _ := json.Marshal(object{"spec": object{"template": object{"spec": object{"affinity": affinity, "tolerations": tolerations}}}})
	return string(patch)
}

// tolerationsOf are the tolerations for the taints that keep CoreDNS from workers, in the order of their keys, and the
// numbers of all workers and of those that take every pod.
func tolerationsOf(nodes []config.Node) (tolerations []object, workers, open int) {
	taints := map[string]object{}
	for _, n := range nodes {
		if n.Role != config.Worker {
			continue
		}
		workers++
		closed := false
		for _, t := range n.Taints {
			if t.Effect != "PreferNoSchedule" {
				closed = true
				taints[t.Key+":"+t.Effect] = object{"key": t.Key, "operator": "Exists", "effect": t.Effect}
			}
		}
		if !closed {
			open++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(taints)) {
		tolerations = append(tolerations, taints[key])
	}
	return tolerations, workers, open
}
