package addons

import (
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// Controllers that call AWS run on the control plane: only its instances have the permissions.
var (
	controlPlaneSelector    = map[string]string{"node-role.kubernetes.io/control-plane": ""}
	controlPlaneTolerations = []kube.Values{{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}}
)

// anywhere is the toleration of agents that belong on every node.
var anywhere = []kube.Values{{"operator": "Exists"}}

// placement says on which nodes a workload runs.
type placement struct {
	selector    map[string]string
	tolerations []kube.Values
}

// storageLabel marks the nodes for whatever has a volume. An EBS volume never leaves its zone, so a pod that has one
// is better off on a node that is replaced in the same zone than on any node that happens to fit today.
const storageLabel, storageValue = "workload", "storage"

// storagePlacement is where workloads with volumes run: on the storage nodes, or anywhere when there are none (nil).
func storagePlacement(cfg *config.Config) *placement {
	for _, node := range cfg.Nodes {
		if node.Labels[storageLabel] == storageValue {
			return &placement{
				selector:    map[string]string{storageLabel: storageValue},
				tolerations: []kube.Values{{"key": storageLabel, "operator": "Equal", "value": storageValue, "effect": "NoSchedule"}},
			}
		}
	}
	return nil
}

// storagePlaces is the number of nodes that workloads with volumes can run on.
func storagePlaces(cfg *config.Config) int {
	labelled, open := 0, 0
	for _, node := range cfg.Nodes {
		if node.Labels[storageLabel] == storageValue {
			labelled++
		}
		if node.Role == config.Worker && len(node.Taints) == 0 {
			open++
		}
	}
	if labelled > 0 {
		return labelled
	}
	return open
}

// onto adds the placement to the values of a chart that calls the two nodeSelector and tolerations.
func (p *placement) onto(values kube.Values) kube.Values {
	if p == nil {
		return values
	}
	return values.Merge(kube.Values{"nodeSelector": p.selector, "tolerations": p.tolerations})
}

// affinity is the selector as a node affinity, for kinds that have no node selector.
func (p *placement) affinity() kube.Values {
	var expressions []kube.Values
	for key, value := range p.selector {
		expressions = append(expressions, kube.Values{"key": key, "operator": "In", "values": []string{value}})
	}
	return kube.Values{"requiredDuringSchedulingIgnoredDuringExecution": kube.Values{
		"nodeSelectorTerms": []kube.Values{{"matchExpressions": expressions}},
	}}
}

// apart is a pod affinity that spreads the pods with a label over nodes as far as there are any.
func apart(label, value string) kube.Values {
	return kube.Values{"preferredDuringSchedulingIgnoredDuringExecution": []kube.Values{{
		"weight": 100,
		"podAffinityTerm": kube.Values{
			"labelSelector": kube.Values{"matchLabels": kube.Values{label: value}},
			"topologyKey":   "kubernetes.io/hostname",
		},
	}}}
}

// requests are what a container asks of its node. Every container of the platform asks, so that the sum can be held
// against what the nodes have; none is limited, because a limit on a small node mostly kills what would have recovered.
func requests(cpu, memory string) kube.Values {
	return kube.Values{"requests": kube.Values{"cpu": cpu, "memory": memory}}
}
