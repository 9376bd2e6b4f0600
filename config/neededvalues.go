package config

import "slices"

// neededValue is a Helm value that a step, an Ingress, an alert or a check of the platform depends on.
type neededValue struct {
	// addon and path are its place: addons.<addon>.values.<path>.
	addon, path string
	// want is the value that is needed. chart is the chart's default, which null restores.
	want, chart  any
	why, instead string
}

// Kinds of want that are not one value.
type (
	// noValue refuses every value, null too. It is a type of its own, because a user can write every string.
	noValue struct{}
	// oneOf accepts each of its values.
	oneOf []string
	// listWith accepts a list that has one of these entries.
	listWith []any
	// among accepts a mapping whose entries are all among these: the program merges it into its own, which stays.
	among map[string]any
)

const (
	byName     = "is needed: the program refers to its objects by name"
	byAddress  = "is needed: the platform connects to this port"
	everywhere = "is needed: objects for it are in other namespaces too"
	ownObject  = "is an object of the program, and the chart would make another"
	allObjects = "is needed: otherwise Prometheus reads the objects of its own chart alone, and not the platform's alerts"
	oneVolume  = "is needed: the volume can be attached to one node, so the old pod has to stop first"
	keepsClaim = "is needed: a larger volume replaces the StatefulSet, and the data must survive that"
	noOther    = "no value"
)

// neededValues are all of them that every stack needs.
var neededValues = []neededValue{
	{"metricsServer", "args", listWith{"--kubelet-insecure-tls", "--kubelet-insecure-tls=true"}, nil,
		"replaces the program's list: without --kubelet-insecure-tls no node is measured",
		"[--kubelet-insecure-tls, --v=2]"},
	{"metricsServer", "apiService.create", true, true, "is needed: the platform's checks ask for it", "true, or no value"},

	{"ebsCsi", "node.tolerateAllTaints", true, true, "is needed: pods on nodes with taints have volumes too",
		"true, or no value"},
	{"ebsCsi", "node.metadataSources", "kubernetes", nil,
		"is needed: pods do not reach the metadata of instances", noOther},
	{"ebsCsi", "node.kubeletPath", "/var/lib/kubelet", "/var/lib/kubelet",
		"is needed: the kubelets of the platform have this folder", noOther},
	{"ebsCsi", "node.enableLinux", true, true, "is needed: every node has Linux", "true, or no value"},
	{"ebsCsi", "node.namespaceOverride", nil, nil, byName, noOther},
	{"ebsCsi", "nodeComponentOnly", false, false, "would leave out the controller, which makes the volumes",
		"false, or no value"},
	{"ebsCsi", "defaultStorageClass.enabled", false, false, "would make a second default class next to gp3",
		"false, or no value"},
	{"ebsCsi", "sidecars.snapshotter.forceEnable", true, false, "is needed: the program installs snapshots of volumes",
		"true, or no value"},

	{"certManager", "serviceAccount.name", "cert-manager", "cert-manager",
		"is needed: only this service account may make the Ingresses of challenges", noOther},
	{"certManager", "crds.enabled", true, false, "is needed: the chart does not start without its definitions",
		"true, or no value"},
	{"certManager", "namespace", nil, nil, byName, noOther},

	{"loadBalancer", "ingressClass", "alb", "alb", "is needed: the program's Ingresses have this class", noOther},
	{"loadBalancer", "createIngressClassResource", false, true, ownObject, "false, or no value"},
	{"loadBalancer", "defaultTargetType", "instance", "instance",
		"is needed: addresses of pods are not addresses of the VPC, so a load balancer does not reach them", noOther},
	{"loadBalancer", "watchNamespace", nil, nil, "would leave the Ingresses of all other namespaces without an address",
		noOther},
	{"loadBalancer", "vpcId", noValue{}, nil, "is the id of the program's VPC", noOther},
	{"loadBalancer", "backendSecurityGroup", noValue{}, nil, "is a security group of the program", noOther},
	{"loadBalancer", "webhookTLS", among{}, nil, "is a certificate of the program", noOther},
	{"loadBalancer", "webhookBindPort", 9443, 9443, "is needed: the firewall is open for this port", noOther},
	{"loadBalancer", "enableServiceMutatorWebhook", false, true,
		"would let the API server refuse every new Service while the controller is down", "false, or no value"},

	{"monitoring", "grafana.enabled", true, true,
		"is needed: the program sets its password, publishes it and gives it dashboards", "true, or no value"},
	{"monitoring", "grafana.fullnameOverride", "grafana", nil, byName, noOther},
	{"monitoring", "grafana.namespaceOverride", nil, nil, byName, noOther},
	{"monitoring", "grafana.service.enabled", true, true, byName, "true, or no value"},
	{"monitoring", "grafana.service.port", 80, 80, byAddress, noOther},
	{"monitoring", "grafana.admin.existingSecret", "grafana-admin", nil, "is the Secret of the program", noOther},
	{"monitoring", "grafana.admin.userKey", "admin-user", "admin-user", "is a key in the Secret of the program", noOther},
	{"monitoring", "grafana.admin.passwordKey", "admin-password", "admin-password",
		"is a key in the Secret of the program", noOther},
	{"monitoring", "grafana.deploymentStrategy.type", "Recreate", "RollingUpdate", oneVolume, noOther},
	{"monitoring", "grafana.sidecar.dashboards.enabled", true, true, "is needed: it loads the platform's dashboards",
		"true, or no value"},
	{"monitoring", "grafana.sidecar.dashboards.label", "grafana_dashboard", "grafana_dashboard",
		"is needed: the platform's dashboards have this label", noOther},
	{"monitoring", "alertmanager.enabled", true, true, "is needed: the platform's checks ask for it",
		"true, or no value; without notifications.receiver it sends nothing"},
	{"monitoring", "alertmanager.namespaceOverride", nil, nil, byName, noOther},
	{"monitoring", "alertmanager.alertmanagerSpec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain", "Delete",
		keepsClaim, noOther},
	{"monitoring", "prometheus.enabled", true, true, "is needed: the platform's checks ask for it",
		"true, or addons.monitoring.enabled: false"},
	{"monitoring", "prometheus.agentMode", false, false, "would evaluate no alerts and keep no metrics",
		"false, or no value"},
	{"monitoring", "prometheus.service.port", 9090, 9090, byAddress, noOther},
	{"monitoring", "prometheus.prometheusSpec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain", "Delete",
		keepsClaim, noOther},
	{"monitoring", "prometheusOperator.enabled", true, true, "is needed: it runs Prometheus and Alertmanager",
		"true, or addons.monitoring.enabled: false"},
	{"monitoring", "prometheusOperator.namespaces", among{}, map[string]any{}, everywhere, noOther},
	{"monitoring", "nodeExporter.enabled", true, true,
		"is needed: it reads the metrics of snapshots, reboots and disks on the nodes", "true, or no value"},
	{"monitoring", "prometheus-node-exporter.extraArgs", listWith{"--collector.textfile.directory=/host/textfile"}, nil,
		"replaces the program's list: without that of the textfile the alerts of backups read nothing",
		"[--collector.textfile.directory=/host/textfile, ...], or no value"},
	{"monitoring", "prometheus-node-exporter.extraHostVolumeMounts", noValue{}, nil,
		"replaces the list with the folder of the metrics of snapshots and reboots", noOther},
	{"monitoring", "namespaceOverride", nil, nil, byName, noOther},
	{"monitoring", "cleanPrometheusOperatorObjectNames", false, false, byName, "false, or no value"},

	{"logging", "loki.deploymentMode", oneOf{"Monolithic", "SingleBinary"}, "Monolithic",
		"is needed: the program sizes Loki as one process", noOther},
	{"logging", "loki.fullnameOverride", nil, nil, byName, noOther},
	{"logging", "loki.nameOverride", nil, nil, byName, noOther},
	{"logging", "loki.namespaceOverride", nil, nil, byName, noOther},
	{"logging", "loki.loki.auth_enabled", false, true, "would refuse the logs of Fluent Bit, which names no tenant",
		"false, or no value"},
	{"logging", "loki.loki.server.http_listen_port", 3100, 3100, byAddress, noOther},
	{"logging", "loki.loki.storage.type", "s3", "s3", "is needed: logs are in the bucket of the program", noOther},
	{"logging", "loki.loki.storage.bucketNames", among{}, nil, "is the bucket of the program", noOther},
	{"logging", "loki.singleBinary.persistence.whenDeleted", "Retain", "Delete", keepsClaim, noOther},

	{"rabbitmq", "namespaceOverride", nil, nil, byName, noOther},
	{"rabbitmq", "clusterOperator.watchAllNamespaces", true, true, everywhere, "true, or no value"},
	{"rabbitmq", "clusterOperator.webhook.enabled", false, false, "needs certificates that the program does not make",
		"false, or no value"},
	{"rabbitmq", "msgTopologyOperator.enabled", false, true, "needs definitions that the program does not install",
		"false, or no value"},

	{"redis", "replica.enabled", false, false,
		"makes a StatefulSet, and the password step and the checks use the Deployment of one server",
		"no value; for replicas install a chart of your own, for example by Argo CD"},
	{"redis", "auth.enabled", true, false, "is needed: applications log in with redisPassword", "true, or no value"},
	{"redis", "auth.usersExistingSecret", "valkey-users", nil, "is the Secret of the program", noOther},
	{"redis", "service.port", 6379, 6379, byAddress, noOther},
	{"redis", "tls.enabled", false, false, "would close the port on which the program and its checks connect",
		"false, or no value"},
	{"redis", "deploymentStrategy", "Recreate", "RollingUpdate", oneVolume, noOther},
	{"redis", "dataStorage.enabled", true, false, "is needed: without a volume a restart loses the data",
		"true, or no value"},
	{"redis", "dataStorage.persistentVolumeClaimName", nil, nil,
		"is another volume than that of addons.redis.storageGiB", noOther},
	{"redis", "dataStorage.hostPath", nil, nil, "is another volume than that of addons.redis.storageGiB", noOther},
	{"redis", "metrics.enabled", true, false, "is needed: without metrics the alert RedisDown fires forever",
		"true, or no value"},
	{"redis", "metrics.serviceMonitor.enabled", true, false,
		"is needed: without metrics the alert RedisDown fires forever", "true, or no value"},

	{"postgresql", "namespaceOverride", nil, nil, byName, noOther},
	{"postgresql", "crds.create", true, true, "is needed: the program makes a Cluster", "true, or no value"},
	{"postgresql", "config.clusterWide", true, true, everywhere, "true, or no value"},

	{"argocd", "fullnameOverride", "argocd", nil, byName, noOther},
	{"argocd", "namespaceOverride", nil, nil, byName, noOther},
	{"argocd", "crds.install", true, true, "is needed: the program makes Applications and projects", "true, or no value"},
	{"argocd", "configs.secret.createSecret", false, true,
		"would let the chart write the Secret that the program creates with argocdPassword", "false, or no value"},
	{"argocd", "controller.name", "application-controller", "application-controller", byName, noOther},
	{"argocd", "controller.dynamicClusterDistribution", false, false,
		"makes a Deployment, and a destroy asks the StatefulSet of the controller", noOther},
	{"argocd", "server.name", "server", "server", byName, noOther},
	{"argocd", "server.service.servicePortHttp", 80, 80, byAddress, noOther},

	{"argoRollouts", "namespaceOverride", nil, nil, byName, noOther},
	{"argoRollouts", "clusterInstall", true, true, "is needed: Rollouts are in the namespaces of applications",
		"true, or no value"},
}

// namedCharts are the add-ons whose controllers or servers the program finds by the names that their charts give them.
var namedCharts = []string{"ebsCsi", "loadBalancer", "certManager", "monitoring", "rabbitmq", "redis", "postgresql"}

// valuesNeededBy returns the values that a stack with these settings needs.
func valuesNeededBy(c *Config) []neededValue {
	all := slices.Concat(neededValues, valuesOfSettings(c))
	for _, name := range namedCharts {
		for _, key := range []string{"fullnameOverride", "nameOverride"} {
			all = append(all, neededValue{name, key, nil, nil,
				"gives its objects other names, and the program refers to them by name", noOther})
		}
	}
	for _, kind := range []string{"rule", "serviceMonitor", "podMonitor"} {
		path := "prometheus.prometheusSpec." + kind
		chart := any(map[string]any{})
		if kind == "rule" {
			chart = nil // The chart then names no selector, and Prometheus reads no rules.
		}
		all = append(all,
			neededValue{"monitoring", path + "SelectorNilUsesHelmValues", false, true, allObjects, "false, or no value"},
			neededValue{"monitoring", path + "Selector", among{}, chart, allObjects, noOther},
			neededValue{"monitoring", path + "NamespaceSelector", among{}, map[string]any{}, allObjects, noOther})
	}
	if c.DNS.Domain != "" {
		all = append(all, publishedValues...)
	}
	if c.Identity.Enabled {
		return append(all, identityValues()...)
	}
	return append(all, instanceRoleValues()...)
}

// publishedValues are needed under a domain: the shared load balancer reaches Services by the ports of nodes. If it
// cannot reach one of them, the controller changes none of its rules.
var publishedValues = []neededValue{
	{"argocd", "server.service.type", oneOf{"NodePort", "LoadBalancer"}, "ClusterIP",
		"is closed to the shared load balancer of dns.domain", "NodePort, or no value"},
	{"argocd", "configs.params.server.insecure", true, false,
		"is needed: the load balancer of dns.domain ends TLS, and redirects would never end", "true, or no value"},
	{"monitoring", "grafana.service.type", oneOf{"NodePort", "LoadBalancer"}, "ClusterIP",
		"is closed to the shared load balancer of dns.domain", "NodePort, or no value"},
}

// valuesOfSettings are the values that come from other settings of the stack.
func valuesOfSettings(c *Config) []neededValue {
	const (
		name   = "must be cluster.name: the permissions in AWS and the sweep depend on it"
		region = "must be aws:region, where the instances are"
		domain = "must be cluster.dnsDomain, the domain of Services"
		tags   = "is a tag of the program: the permissions in AWS and the sweep depend on it"
	)
	all := []neededValue{
		{"ebsCsi", "controller.k8sTagClusterId", c.Cluster.Name, nil, name, noOther},
		{"ebsCsi", "controller.region", c.Region, nil, region, noOther},
		{"loadBalancer", "clusterName", c.Cluster.Name, nil, name, noOther},
		{"loadBalancer", "region", c.Region, nil, region, noOther},
	}
	needed := map[string]any{TagVPC: noValue{}} // known only to AWS
	for tag, value := range c.Tags() {
		needed[tag] = value
	}
	for _, tag := range sortedKeys(needed) {
		all = append(all, neededValue{"ebsCsi", "controller.extraVolumeTags." + tag, needed[tag], nil, tags, noOther},
			neededValue{"loadBalancer", "defaultTags." + tag, needed[tag], nil, tags, noOther})
	}
	for _, v := range []struct{ addon, path string }{
		{"metricsServer", "tls.clusterDomain"}, {"loadBalancer", "cluster.dnsDomain"},
		{"monitoring", "prometheusOperator.clusterDomain"}, {"logging", "loki.global.clusterDomain"},
		{"rabbitmq", "clusterDomain"}, {"redis", "clusterDomain"},
		{"postgresql", "config.data.KUBERNETES_CLUSTER_DOMAIN"},
	} {
		all = append(all, neededValue{v.addon, v.path, c.Cluster.DNSDomain, "cluster.local", domain, noOther})
	}
	return all
}

// instanceRoleValues are needed while controllers use the role of the control plane: a pod has it only there, on the
// network of the host. Charts without a setting for that network get it with priorityClassName.
func instanceRoleValues() []neededValue {
	const (
		role    = "takes the pod off the network of the control plane, where alone it has permissions in AWS"
		instead = "no value, or identity.enabled: true"
	)
	const label = "node-role.kubernetes.io/control-plane"
	selector := among{label: ""}
	tolerations := listWith{
		map[string]any{"key": label, "operator": "Exists", "effect": "NoSchedule"},
		map[string]any{"key": label, "operator": "Exists"},
		map[string]any{"operator": "Exists", "effect": "NoSchedule"},
		map[string]any{"operator": "Exists"},
	}
	all := []neededValue{{"loadBalancer", "hostNetwork", true, false, role, instead}}
	for _, v := range []struct {
		addon, path string
		want        any
	}{
		{"ebsCsi", "controller.priorityClassName", noValue{}},
		{"logging", "loki.singleBinary.priorityClassName", noValue{}},
		{"ebsCsi", "controller.nodeSelector", selector}, {"loadBalancer", "nodeSelector", selector},
		{"logging", "loki.singleBinary.nodeSelector", selector},
		{"ebsCsi", "controller.tolerations", tolerations}, {"loadBalancer", "tolerations", tolerations},
		{"logging", "loki.singleBinary.tolerations", tolerations},
	} {
		all = append(all, neededValue{v.addon, v.path, v.want, nil, role, instead})
	}
	return all
}

// identityValues are needed while controllers have roles of their own: IAM trusts one service account each, and the
// token reaches the container through lists.
func identityValues() []neededValue {
	const (
		account = "is needed: the controller's IAM role trusts this service account alone"
		replace = "replaces the list with which the controller gets the credentials of its IAM role"
	)
	var all []neededValue
	for _, c := range []struct {
		addon, account string
		name           ServiceAccount
		lists          []string
	}{
		{"ebsCsi", "controller.serviceAccount.name", EBSDriverAccount,
			[]string{"controller.env", "controller.volumes", "controller.volumeMounts"}},
		{"loadBalancer", "serviceAccount.name", LoadBalancerAccount, []string{"extraVolumes", "extraVolumeMounts"}},
		{"logging", "loki.serviceAccount.name", LokiAccount, []string{
			"loki.singleBinary.extraEnv", "loki.singleBinary.extraVolumes", "loki.singleBinary.extraVolumeMounts"}},
	} {
		all = append(all, neededValue{c.addon, c.account, c.name.Name, c.name.Name, account, noOther})
		for _, list := range c.lists {
			all = append(all, neededValue{c.addon, list, noValue{}, nil, replace, "no value, or identity.enabled: false"})
		}
	}
	return all
}
