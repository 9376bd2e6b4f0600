package addons

import (
	"fmt"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// Controllers that call AWS run on the control plane: only its instances have the permissions.
var (
	controlPlaneSelector    = map[string]string{"node-role.kubernetes.io/control-plane": ""}
	controlPlaneTolerations = []kube.Values{{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists",
		"effect": "NoSchedule"}}
)

// anywhere is the toleration of agents that run on every node.
var anywhere = []kube.Values{{"operator": "Exists"}}

// placement is the set of nodes on which a workload runs.
type placement struct {
	selector    map[string]string
	tolerations []kube.Values
}

// storageLabel marks the nodes for pods with volumes. An EBS volume cannot leave its zone. So such a pod needs a node
// that is always replaced in the same zone, not any node that happens to have space.
const storageLabel, storageValue = "workload", "storage"

// storagePlacement returns the placement of workloads with volumes: the storage nodes, or nil for all nodes if there
// are none.
func storagePlacement(cfg *config.Config) *placement {
	for _, node := range cfg.Nodes {
		if node.Labels[storageLabel] == storageValue {
			return &placement{
				selector: map[string]string{storageLabel: storageValue},
				tolerations: []kube.Values{{"key": storageLabel, "operator": "Equal", "value": storageValue,
					"effect": "NoSchedule"}},
			}
		}
	}
	return nil
}

// onto adds the placement to the values of a chart that uses the names nodeSelector and tolerations.
func (p *placement) onto(values kube.Values) kube.Values {
	if p == nil {
		return values
	}
	return values.Merge(kube.Values{"nodeSelector": p.selector, "tolerations": p.tolerations})
}

// affinity returns the selector as a node affinity, for kinds without a node selector.
func (p *placement) affinity() kube.Values {
	var expressions []kube.Values
	for key, value := range p.selector {
		expressions = append(expressions, kube.Values{"key": key, "operator": "In", "values": []string{value}})
	}
	return kube.Values{"requiredDuringSchedulingIgnoredDuringExecution": kube.Values{
		"nodeSelectorTerms": []kube.Values{{"matchExpressions": expressions}},
	}}
}

// apart returns a pod anti-affinity that spreads the pods with a label over the available nodes.
func apart(label, value string) kube.Values {
	return kube.Values{"preferredDuringSchedulingIgnoredDuringExecution": []kube.Values{{
		"weight": 100,
		"podAffinityTerm": kube.Values{
			"labelSelector": kube.Values{"matchLabels": kube.Values{label: value}},
			"topologyKey":   "kubernetes.io/hostname",
		},
	}}}
}

// requests returns a container's requests. Every container of the platform has requests, so that their sum can be
// compared with the nodes' capacity. None has limits, because a limit on a small node mostly kills containers that
// would have recovered.
func requests(cpu, memory string) kube.Values {
	return kube.Values{"requests": kube.Values{"cpu": cpu, "memory": memory}}
}

// mebibytes returns an amount in the form in which Kubernetes writes it, such as 1Gi for 1024. Operators write the spec
// of their objects back in that form. The field then belongs to the operator, and the next update conflicts.
func mebibytes(n int) string {
	units := []string{"Mi", "Gi", "Ti"}
	for n%1024 == 0 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	return fmt.Sprintf("%d%s", n, units[0])
}

// gibibytes is mebibytes for an amount in GiB.
func gibibytes(n int) string { return mebibytes(n * 1024) }
