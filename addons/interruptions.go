package addons

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// interruptionHandler is the name of the handler's objects.
const interruptionHandler = "aws-node-termination-handler"

// interruptions is the add-on that drains a spot worker when AWS announces that it takes the machine back. The notice
// comes two minutes before.
type interruptions struct{ *builder }

func (i interruptions) install() {
	if !slices.ContainsFunc(i.cfg.Nodes, func(n config.Node) bool { return n.Spot }) {
		return
	}
	var account []pulumi.Resource
	for _, args := range interruptionAccount() {
		account = append(account, i.object(interruptionHandler+"-"+args.Kind, args, needs(i.args.Cluster.APIReady)))
	}
	i.object(interruptionHandler, interruptionDaemonSet(), slices.Concat(needs(i.root.NodesReady), account))
}

// interruptionAccount creates the handler's service account with its permissions: those of its chart.
func interruptionAccount() []kube.ObjectArgs {
	return []kube.ObjectArgs{
		{APIVersion: "v1", Kind: "ServiceAccount", Name: interruptionHandler, Namespace: "kube-system"},
		{APIVersion: rbacVersion, Kind: "ClusterRole", Name: interruptionHandler, Fields: kube.Values{"rules": []kube.Values{
			rbacRule("", "nodes", "get", "list", "patch", "update"),
			rbacRule("", "pods", "list", "get"),
			rbacRule("", "pods/eviction", "create"),
			rbacRule("extensions", "daemonsets", "get"),
			rbacRule("apps", "daemonsets", "get"),
			rbacRule("", "events", "create", "patch"),
		}}},
		{APIVersion: rbacVersion, Kind: "ClusterRoleBinding", Name: interruptionHandler,
			Fields: rbacBinding(interruptionHandler, "ClusterRole", interruptionHandler)},
	}
}

// interruptionEnv returns the settings of the handler. It reads notices from the metadata service, so it needs no queue
// and no role.
func interruptionEnv() []kube.Values {
	field := func(name, path string) kube.Values {
		return kube.Values{"name": name, "valueFrom": kube.Values{"fieldRef": kube.Values{"fieldPath": path}}}
	}
	env := []kube.Values{
		field("NODE_NAME", "spec.nodeName"), field("POD_NAME", "metadata.name"), field("NAMESPACE", "metadata.namespace"),
	}
	for _, setting := range [][2]string{
		{"ENABLE_SPOT_INTERRUPTION_DRAINING", "true"},
		// A rebalance recommendation drains nothing: most such machines stay, and nothing would replace a drained one.
		{"ENABLE_REBALANCE_MONITORING", "false"},
		{"ENABLE_REBALANCE_DRAINING", "false"},
		{"ENABLE_SCHEDULED_EVENT_DRAINING", "false"},
		{"ENABLE_ASG_LIFECYCLE_DRAINING", "false"},
		{"ENABLE_SQS_TERMINATION_DRAINING", "false"},
		{"IGNORE_DAEMON_SETS", "true"},
		{"DELETE_LOCAL_DATA", "true"}, // it ends with the machine
		// Load balancers send no new requests to the node.
		{"EXCLUDE_FROM_LOAD_BALANCERS", "true"},
		{"EMIT_KUBERNETES_EVENTS", "true"},
		{"JSON_LOGGING", "true"},
	} {
		env = append(env, kube.Values{"name": setting[0], "value": setting[1]})
	}
	return env
}

// interruptionDaemonSet runs the handler on every spot worker, on the host's network: the metadata service answers
// within one hop only.
func interruptionDaemonSet() kube.ObjectArgs {
	labels := map[string]string{"app.kubernetes.io/name": interruptionHandler,
		"app.kubernetes.io/instance": interruptionHandler}
	container := kube.Values{
		"name":            interruptionHandler,
		"image":           catalog.Get("interruption handler").Image,
		"env":             interruptionEnv(),
		"resources":       requests("10m", "32Mi"),
		"securityContext": unprivileged(),
	}
	return kube.ObjectArgs{
		APIVersion: "apps/v1",
		Kind:       "DaemonSet",
		Name:       interruptionHandler,
		Namespace:  "kube-system",
		Labels:     labels,
		Fields: kube.Values{"spec": kube.Values{
			"selector": kube.Values{"matchLabels": labels},
			"template": kube.Values{
				"metadata": kube.Values{"labels": labels},
				"spec": kube.Values{
					"serviceAccountName": interruptionHandler,
					"priorityClassName":  "system-node-critical",
					"hostNetwork":        true,
					"dnsPolicy":          "ClusterFirstWithHostNet",
					"nodeSelector":       map[string]string{config.LifecycleLabel: "spot"},
					"tolerations":        anywhere,
					"securityContext":    asUser(1000),
					"containers":         []kube.Values{container},
				},
			},
		}},
	}
}
