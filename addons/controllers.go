package addons

import "kubeadm-aws/addons/kube"

// The parts of a controller that the program installs as objects, because its chart cannot be had or does too much.

const (
	rbacVersion = "rbac.authorization.k8s.io/v1"
	rbacGroup   = "rbac.authorization.k8s.io"
)

// rbacRule is a rule of a Role or ClusterRole.
func rbacRule(group, resource string, verbs ...string) kube.Values {
	return kube.Values{"apiGroups": []string{group}, "resources": []string{resource}, "verbs": verbs}
}

// rbacBinding returns the fields that give a Role or ClusterRole to a service account in kube-system.
func rbacBinding(account, kind, role string) kube.Values {
	return kube.Values{
		"subjects": []kube.Values{{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}},
		"roleRef":  kube.Values{"apiGroup": rbacGroup, "kind": kind, "name": role},
	}
}

// unprivileged is the securityContext of a container that needs nothing of its host.
func unprivileged() kube.Values {
	return kube.Values{
		"allowPrivilegeEscalation": false,
		"readOnlyRootFilesystem":   true,
		"capabilities":             kube.Values{"drop": []string{"ALL"}},
	}
}

// asUser is the securityContext of a pod that runs as a user other than root.
func asUser(id int) kube.Values {
	return kube.Values{
		"runAsNonRoot":   true,
		"runAsUser":      id,
		"seccompProfile": kube.Values{"type": "RuntimeDefault"},
	}
}
