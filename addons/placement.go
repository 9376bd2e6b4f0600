package addons

import "kubeadm-aws/addons/kube"

// Controllers that call AWS run on the control plane: only its instances have the permissions.
var (
	controlPlaneSelector    = map[string]string{"node-role.kubernetes.io/control-plane": ""}
	controlPlaneTolerations = []kube.Values{{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}}
)

// Data services run on the storage node.
var (
	storageSelector    = map[string]string{"workload": "storage"}
	storageTolerations = []kube.Values{{"key": "workload", "operator": "Equal", "value": "storage", "effect": "NoSchedule"}}
)

// anywhere is the toleration of agents that belong on every node.
var anywhere = []kube.Values{{"operator": "Exists"}}

// requests are what a container asks of its node. Every container of the platform asks, so that the sum can be held
// against what the nodes have; none is limited, because a limit on a small node mostly kills what would have recovered.
func requests(cpu, memory string) kube.Values {
	return kube.Values{"requests": kube.Values{"cpu": cpu, "memory": memory}}
}
