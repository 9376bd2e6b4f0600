package cluster

import (
	"encoding/json"
	"maps"
	"slices"

	"kubeadm-aws/config"
)

const controlPlaneRole = "node-role.kubernetes.io/control-plane"

// coreDNSPatch returns the JSON merge patch with which kubeadm's Deployment of CoreDNS survives the loss of any node.
// kubeadm only prefers two nodes and tolerates the control plane, so the first Ready node keeps both pods. With the
// patch, no node gets two. With two workers or more, the control plane gets none: if it were lost, no controller
// would remove the address of its pod from the Service.
func coreDNSPatch(nodes []config.Node) string {
	tolerations := []object{{"key": "CriticalAddonsOnly", "operator": "Exists"}}
	tainted, workers, open := tolerationsOf(nodes)
	// If too few workers accept every pod, CoreDNS may also use the tainted ones.
	if open < 2 {
		tolerations = append(tolerations, tainted...)
	}
	affinity := object{"nodeAffinity": nil}
	if workers < 2 {
		tolerations = append(tolerations, object{"key": controlPlaneRole, "effect": "NoSchedule"})
	} else {
		affinity["nodeAffinity"] = object{"requiredDuringSchedulingIgnoredDuringExecution": object{
			"nodeSelectorTerms": []object{
				{"matchExpressions": []object{{"key": controlPlaneRole, "operator": "DoesNotExist"}}},
			}}}
	}
	apart := object{"topologyKey": "kubernetes.io/hostname",
		"labelSelector": object{"matchLabels": object{"k8s-app": "kube-dns"}}}
	if len(nodes) == 1 { // the second pod has no other node
		affinity["podAntiAffinity"] = nil
	} else {
		affinity["podAntiAffinity"] = object{
			"preferredDuringSchedulingIgnoredDuringExecution": nil,
			"requiredDuringSchedulingIgnoredDuringExecution":  []object{apart},
		}
	}
	// The patch consists of maps, lists and text, so encoding cannot fail.
	patch, _ := json.Marshal(object{"spec": object{"template": object{"spec": object{"affinity": affinity,
		"tolerations": tolerations}}}})
	return string(patch)
}

// tolerationsOf returns the tolerations for the taints that repel CoreDNS from workers, in the order of their keys.
// It also returns the number of all workers and of those that accept every pod.
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
