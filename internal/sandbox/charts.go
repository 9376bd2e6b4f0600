package sandbox

import (
	"maps"
	"path"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/store"
)

// chart is the model of a Helm chart. A chart that is not in the table has pods only.
type chart struct {
	// kinds are the custom resources whose definitions it brings.
	kinds []string
	// guards are the kinds whose creation and update its webhook must approve: with the controller dead they fail.
	guards []string
	// guardsAt is the path of a value that switches the webhook off with false; empty for a chart without one.
	guardsAt string
	// finalizes are the kinds whose finalizer only its controller removes.
	finalizes []string
	// action is a permission without which its controller can do nothing in AWS; empty for those that do not call AWS.
	action string
	// podless charts are ready without nodes: they bring definitions, or tolerate every taint.
	podless bool
	// aggregates marks an APIService: namespaces cannot be deleted while it is dead.
	aggregates bool
	// claims are the PersistentVolumeClaims of its pods.
	claims []claim
}

// claim is a PersistentVolumeClaim that a chart makes when a value is set.
type claim struct {
	name string
	// when is the path of a value: true, or not empty.
	when string
	// classAt is the path of the storage class name; an empty class is the default class.
	classAt string
	// owned claims are removed with the release. The others are a StatefulSet's, and stay unless the value at policyAt
	// says Delete (or true).
	owned    bool
	policyAt string
}

const (
	calicoChart       = "tigera-operator"
	ccmChart          = "aws-cloud-controller-manager"
	csiChart          = "aws-ebs-csi-driver"
	loadBalancerChart = "aws-load-balancer-controller"
	rabbitChart       = "rabbitmq-cluster-operator"
	postgresChart     = "cloudnative-pg"
	argoChart         = "argo-cd"
)

var charts = map[string]chart{
	"crd.projectcalico.org.v1": {podless: true, kinds: []string{"Installation", "APIServer", "IPPool", "FelixConfiguration"}},
	calicoChart:                {podless: true},
	ccmChart:                   {podless: true, action: "ec2:DescribeInstances"},
	"metrics-server":           {aggregates: true},
	csiChart:                   {action: "ec2:DeleteVolume"},
	"cert-manager": {
		kinds:  []string{"Issuer", "ClusterIssuer", "Certificate"},
		guards: []string{"Issuer", "ClusterIssuer", "Certificate"},
	},
	loadBalancerChart: {
		kinds:  []string{"TargetGroupBinding", "IngressClassParams"},
		guards: []string{"Ingress", "TargetGroupBinding", "IngressClassParams"}, finalizes: []string{"Ingress", "Service", "TargetGroupBinding"},
		action: "elasticloadbalancing:DeleteLoadBalancer",
	},
	"prometheus-operator-crds": {podless: true, kinds: prometheusKinds},
	"kube-prometheus-stack": {claims: []claim{
		{
			name: "prometheus-db-prometheus-0", when: "prometheus.prometheusSpec.storageSpec", owned: false,
			classAt:  "prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.storageClassName",
			policyAt: "prometheus.prometheusSpec.persistentVolumeClaimRetentionPolicy.whenDeleted",
		},
		{
			name: "alertmanager-db-alertmanager-0", when: "alertmanager.alertmanagerSpec.storage",
			classAt:  "alertmanager.alertmanagerSpec.storage.volumeClaimTemplate.spec.storageClassName",
			policyAt: "alertmanager.alertmanagerSpec.persistentVolumeClaimRetentionPolicy.whenDeleted",
		},
		{name: "grafana", when: "grafana.persistence.enabled", classAt: "grafana.persistence.storageClassName", owned: true},
	}},
	"loki": {claims: []claim{{
		name: "storage-loki-0", when: "singleBinary.persistence", classAt: "singleBinary.persistence.storageClass",
		policyAt: "singleBinary.persistence.whenDeleted",
	}}},
	"fluent-bit": {},
	rabbitChart: {
		kinds: []string{"RabbitmqCluster"}, finalizes: []string{"RabbitmqCluster"},
		guards: []string{"RabbitmqCluster"}, guardsAt: "clusterOperator.webhook.enabled",
	},
	"valkey": {claims: []claim{
		{name: "valkey", when: "dataStorage.enabled", classAt: "dataStorage.className", owned: true},
		{
			name: "valkey-data-valkey-0", when: "replica.enabled", classAt: "replica.persistence.className",
			policyAt: "replica.persistentVolumeClaimRetentionPolicy.whenDeleted",
		},
	}},
	postgresChart: {
		kinds:  []string{"Cluster", "Backup", "ScheduledBackup", "Database", "Publication", "Subscription"},
		guards: []string{"Cluster", "Backup", "ScheduledBackup", "Database"}, finalizes: []string{"Database", "Publication", "Subscription"},
	},
	argoChart: {kinds: []string{"Application", "AppProject", "ApplicationSet"}, finalizes: []string{"Application"}},
	"argo-rollouts": {kinds: []string{
		"Rollout", "AnalysisTemplate", "AnalysisRun", "Experiment", "ClusterAnalysisTemplate",
	}},
}

var prometheusKinds = []string{"ServiceMonitor", "PodMonitor", "PrometheusRule", "Prometheus", "Alertmanager", "Probe", "AlertmanagerConfig"}

// chartOf is the chart's name without repository: the last part of an oci:// reference or of a path.
func chartOf(release *store.Object) string {
	return strings.TrimSuffix(path.Base(release.Inputs.Str("chart")), ".tgz")
}

// claimsOf are the claims that a release makes with its values.
func claimsOf(release *store.Object) []claim {
	var out []claim
	for _, c := range charts[chartOf(release)].claims {
		switch v := release.Inputs.Object("values").At(c.when).(type) {
		case bool:
			if v {
				out = append(out, c)
			}
		case map[string]any:
			if len(v) > 0 {
				out = append(out, c)
			}
		}
	}
	return out
}

// goesWith reports whether uninstalling the release removes the claim.
func (c claim) goesWith(release *store.Object) bool {
	if c.owned {
		return true
	}
	v := release.Inputs.Object("values").At(c.policyAt)
	return v == "Delete" || v == true
}

// monitors reports whether values switch on an object of the Prometheus operator, whose definitions must be installed first.
func monitors(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	for key, e := range m {
		inner, ok := e.(map[string]any)
		if !ok {
			continue
		}
		switch strings.ToLower(key) {
		case "servicemonitor", "podmonitor", "prometheusrule":
			if inner["enabled"] == true || inner["create"] == true {
				return true
			}
		}
		if monitors(inner) {
			return true
		}
	}
	return false
}

// secretsNamed are the Secrets that values say exist already.
func secretsNamed(v any) []string {
	var out []string
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if name, ok := m[key].(string); ok && name != "" && strings.HasSuffix(strings.ToLower(key), "existingsecret") {
			out = append(out, name)
		}
		out = append(out, secretsNamed(m[key])...)
	}
	return out
}
