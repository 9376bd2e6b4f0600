package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"kubeadm-aws/addons/catalog"
)

// Values that a step, an Ingress, an alert or a check depends on are refused before anything is created.
func TestValuesThatThePlatformNeeds(t *testing.T) {
	for text, refused := range map[string]string{
		"redis: {values: {replica: {enabled: true}}}":                                                  "redis.values.replica.enabled",
		"redis: {values: {replica: {enabled: false}}}":                                                 "",
		"redis: {enabled: false, values: {replica: {enabled: true}}}":                                  "",
		"redis: {values: {metrics: {enabled: false}}}":                                                 "redis.values.metrics.enabled",
		"redis: {values: {metrics: {enabled: null}}}":                                                  "redis.values.metrics.enabled",
		"redis: {values: {metrics: {exporter: {enabled: false}}}}":                                     "",
		"redis: {values: {nameOverride: cache}}":                                                       "redis.values.nameOverride",
		`redis: {values: {nameOverride: ""}}`:                                                          "",
		"certManager: {values: {fullnameOverride: cm}}":                                                "certManager.values.fullnameOverride",
		"certManager: {values: {serviceAccount: {name: cm}}}":                                          "certManager.values.serviceAccount.name",
		"certManager: {values: {serviceAccount: {name: cert-manager}}}":                                "",
		"ebsCsi: {values: {controller: {serviceAccount: {name: other}}}}":                              "",
		"redis: {values: {metrics: {serviceMonitor: {enabled: false}}}}":                               "serviceMonitor.enabled",
		"monitoring: {values: {grafana: {enabled: false}}}":                                            "monitoring.values.grafana.enabled",
		"monitoring: {values: {grafana: null}}":                                                        "monitoring.values.grafana.fullnameOverride",
		"monitoring: {values: {grafana: {replicas: 2}}}":                                               "",
		"monitoring: {values: {alertmanager: {enabled: false}}}":                                       "monitoring.values.alertmanager.enabled",
		"monitoring: {enabled: false, values: {grafana: {enabled: false}}}":                            "",
		"argocd: {values: {controller: {dynamicClusterDistribution: true}}}":                           "dynamicClusterDistribution",
		"argocd: {values: {fullnameOverride: argocd}}":                                                 "",
		"postgresql: {enabled: true, values: {fullnameOverride: cnpg}}":                                "postgresql.values.fullnameOverride",
		"monitoring: {enabled: false}, redis: {values: {metrics: {serviceMonitor: {enabled: false}}}}": "",
	} {
		_, err := loadText(t, "dev", "addons: {"+text+"}")
		if refused == "" && err != nil || refused != "" && (err == nil || !strings.Contains(fmt.Sprint(err), refused)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A controller with a role of its own keeps the service account that IAM trusts, and the lists that bring its token.
func TestValuesThatRolesOfControllersNeed(t *testing.T) {
	for text, refused := range map[string]string{
		"ebsCsi: {values: {controller: {serviceAccount: {name: other}}}}":                                           "ebsCsi.values.controller.serviceAccount.name",
		"ebsCsi: {values: {controller: {serviceAccount: null}}}":                                                    "",
		"ebsCsi: {values: {controller: {env: [{name: A, value: b}]}}}":                                              "ebsCsi.values.controller.env",
		"ebsCsi: {values: {controller: {env: null}}}":                                                               "ebsCsi.values.controller.env",
		"ebsCsi: {values: {controller: {resources: {requests: {cpu: 20m}}}}}":                                       "",
		"loadBalancer: {values: {extraVolumes: []}}":                                                                "loadBalancer.values.extraVolumes",
		"loadBalancer: {values: {extraVolumes: none}}":                                                              "loadBalancer.values.extraVolumes",
		"loadBalancer: {values: {env: {A: b}}}":                                                                     "",
		"logging: {enabled: true, values: {loki: {singleBinary: {extraEnv: []}}}}":                                  "logging.values.loki.singleBinary.extraEnv",
		"logging: {enabled: false, values: {loki: {singleBinary: {extraEnv: []}}}}":                                 "",
		"logging: {enabled: true, values: {loki: {serviceAccount: {name: loki}, singleBinary: {tolerations: []}}}}": "",
	} {
		_, err := loadText(t, "dev", "identity: {enabled: true}\naddons: {"+text+"}")
		if refused == "" && err != nil || refused != "" && (err == nil || !strings.Contains(fmt.Sprint(err), refused)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Settings that contradict what the rest of the program relies on are refused. Each would be accepted by Helm.
func TestValuesThatUndoTheProgram(t *testing.T) {
	const domain = "dns: {domain: example.com}\naddons: {acme: {email: a@example.com}, "
	for text, refused := range map[string]string{
		"addons: {ebsCsi: {values: {controller: {priorityClassName: system-node-critical}}}}":                   "ebsCsi.values.controller.priorityClassName",
		"addons: {ebsCsi: {values: {controller: {nodeSelector: {a: b}}}}}":                                      "ebsCsi.values.controller.nodeSelector",
		"addons: {ebsCsi: {values: {controller: {k8sTagClusterId: other}}}}":                                    "ebsCsi.values.controller.k8sTagClusterId",
		"addons: {ebsCsi: {values: {controller: {extraVolumeTags: {team: a}}}}}":                                "",
		"addons: {ebsCsi: {values: {controller: {extraVolumeTags: {kubeadm-aws/vpc: a}}}}}":                     "ebsCsi.values.controller.extraVolumeTags.kubeadm-aws/vpc",
		"addons: {ebsCsi: {values: {controller: {extraVolumeTags: null}}}}":                                     "ebsCsi.values.controller.extraVolumeTags.kubeadm-aws/cluster",
		"addons: {logging: {enabled: true, values: {loki: {singleBinary: {priorityClassName: high}}}}}":         "logging.values.loki.singleBinary.priorityClassName",
		"addons: {logging: {enabled: true, values: {loki: {fullnameOverride: logs}}}}":                          "logging.values.loki.fullnameOverride",
		"addons: {loadBalancer: {values: {hostNetwork: false}}}":                                                "loadBalancer.values.hostNetwork",
		"addons: {loadBalancer: {values: {hostNetwork: true, clusterName: foo}}}":                               "loadBalancer.values.clusterName",
		"addons: {loadBalancer: {values: {defaultTargetType: ip}}}":                                             "loadBalancer.values.defaultTargetType",
		"addons: {loadBalancer: {values: {webhookTLS: {key: a}}}}":                                              "loadBalancer.values.webhookTLS",
		"addons: {argocd: {values: {namespaceOverride: cd}}}":                                                   "argocd.values.namespaceOverride",
		"addons: {argocd: {values: {server: {service: {type: ClusterIP}}}}}":                                    "",
		"addons: {argocd: {values: {configs: {params: {server.insecure: false}}}}}":                             "",
		"addons: {monitoring: {values: {namespaceOverride: metrics}}}":                                          "monitoring.values.namespaceOverride",
		"addons: {monitoring: {values: {prometheus: {prometheusSpec: {ruleSelectorNilUsesHelmValues: true}}}}}": "ruleSelectorNilUsesHelmValues",
		"addons: {monitoring: {values: {prometheus: {prometheusSpec: {podMonitorSelector: {a: b}}}}}}":          "prometheusSpec.podMonitorSelector",
		"addons: {monitoring: {values: {prometheus: {prometheusSpec: {podMonitorSelector: []}}}}}":              "prometheusSpec.podMonitorSelector",
		"addons: {monitoring: {values: {prometheus: {prometheusSpec: {ruleSelector: null}}}}}":                  "prometheusSpec.ruleSelector",
		"addons: {monitoring: {values: {prometheus: {prometheusSpec: {ruleSelectorNilUsesHelmValues: false, " +
			"ruleSelector: {}, ruleNamespaceSelector: {}}}}}}": "",
		"addons: {monitoring: {values: {prometheus: {prometheusSpec: {serviceMonitorSelector: {}, " +
			"serviceMonitorNamespaceSelector: {}, podMonitorSelector: {}, podMonitorNamespaceSelector: null}}}}}": "",
		"addons: {monitoring: {values: {prometheusOperator: {namespaces: {}}}}}":                               "",
		"addons: {monitoring: {values: {prometheusOperator: {namespaces: {releaseNamespace: true}}}}}":         "prometheusOperator.namespaces",
		"addons: {loadBalancer: {values: {webhookTLS: {}}}}":                                                   "",
		"addons: {logging: {enabled: true, values: {loki: {loki: {storage: {bucketNames: {}}}}}}}":             "",
		"addons: {logging: {enabled: true, values: {loki: {loki: {storage: {bucketNames: {chunks: mine}}}}}}}": "loki.storage.bucketNames",
		"addons: {logging: {enabled: true, values: {loki: {deploymentMode: SingleBinary}}}}":                   "",
		"addons: {logging: {enabled: true, values: {loki: {deploymentMode: Distributed}}}}":                    "loki.deploymentMode",
		"addons: {ebsCsi: {values: {controller: {extraVolumeTags: {kubeadm-aws/cluster: dev}}}}}":              "",
		"addons: {ebsCsi: {values: {controller: {extraVolumeTags: {kubeadm-aws/cluster: other}}}}}":            "extraVolumeTags.kubeadm-aws/cluster",
		"addons: {ebsCsi: {values: {controller: {nodeSelector: {}, tolerations: [{operator: Exists}]}}}}":      "",
		"addons: {ebsCsi: {values: {controller: {nodeSelector: null}}}}":                                       "ebsCsi.values.controller.nodeSelector",
		"addons: {loadBalancer: {values: {nodeSelector: {node-role.kubernetes.io/control-plane: ''}}}}":        "",
		"addons: {loadBalancer: {values: {nodeSelector: {node-role.kubernetes.io/control-plane: 'x'}}}}":       "loadBalancer.values.nodeSelector",
		"addons: {loadBalancer: {values: {tolerations: [{key: a, operator: Exists}, {key: " +
			"node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}]}}}": "",
		"addons: {loadBalancer: {values: {tolerations: [{key: a, operator: Exists}]}}}":                           "loadBalancer.values.tolerations",
		"addons: {metricsServer: {values: {args: [--kubelet-insecure-tls=true]}}}":                                "",
		"addons: {metricsServer: {values: {args: [--v=2]}}}":                                                      "metricsServer.values.args",
		"addons: {metricsServer: {values: {args: [--v=2, --kubelet-insecure-tls]}}}":                              "",
		"addons: {metricsServer: {values: {args: null}}}":                                                         "metricsServer.values.args",
		"addons: {redis: {values: {tls: {enabled: true}}}}":                                                       "redis.values.tls.enabled",
		"addons: {redis: {values: {clusterDomain: cluster.local}}}":                                               "",
		"cluster: {dnsDomain: services.example.org}\naddons: {redis: {values: {clusterDomain: cluster.local}}}":   "redis.values.clusterDomain",
		domain + "argocd: {values: {server: {service: {type: ClusterIP}}}}}":                                      "argocd.values.server.service.type",
		domain + "argocd: {values: {server: {service: {type: null}}}}}":                                           "argocd.values.server.service.type",
		domain + "argocd: {values: {server: {service: {type: LoadBalancer}}}}}":                                   "",
		domain + "argocd: {values: {configs: {params: {server.insecure: false}}}}}":                               "argocd.values.configs.params.server.insecure",
		domain + "monitoring: {values: {grafana: {service: {type: ClusterIP}}}}}":                                 "monitoring.values.grafana.service.type",
		"identity: {enabled: true}\naddons: {ebsCsi: {values: {controller: {priorityClassName: high}}}}":          "",
		"identity: {enabled: true}\naddons: {loadBalancer: {values: {nodeSelector: {a: b}, hostNetwork: false}}}": "",
	} {
		_, err := loadText(t, "dev", text)
		if refused == "" && err != nil || refused != "" && (err == nil || !strings.Contains(fmt.Sprint(err), refused)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Each needed value is a key of the chart at its version, and has the value that the program gives it.
func TestNeededValuesAreThoseOfTheProgram(t *testing.T) {
	for _, settings := range []string{"", "identity: {enabled: true}", "dns: {domain: example.com}\naddons: {acme: {email: a@example.com}}"} {
		c, err := loadText(t, "dev", settings)
		if err != nil {
			t.Fatal(err)
		}
		for _, need := range valuesNeededBy(c) {
			chart, path := chartOf(need)
			if chart == nil {
				t.Errorf("addons.%s has no chart with the value %s", need.addon, need.path)
				continue
			}
			if !hasKey(t, *chart, path) {
				t.Errorf("chart %s has no value %s", chart.Name, path)
			}
			text, err := os.ReadFile("../addons/testdata/values/" + chart.Release + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			var own map[string]any
			if err := yaml.Unmarshal(text, &own); err != nil {
				t.Fatal(err)
			}
			got, set := userValue(own, path)
			_, refusesAll := need.want.(noValue)
			if entries, ok := need.want.(among); ok && len(entries) == 0 {
				refusesAll = true // The program or the chart decides the entries, and the user adds none.
			}
			if !set {
				got = need.chart
			}
			fromSettings := slices.ContainsFunc(valuesOfSettings(c), func(v neededValue) bool { return v.path == need.path })
			if !refusesAll && !fromSettings && !need.metBy(got) {
				t.Errorf("addons.%s.values.%s: the program has %v", need.addon, need.path, got)
			}
		}
	}
}

// chartOf returns the chart of a needed value and the path in the chart's values.
func chartOf(need neededValue) (*catalog.Chart, string) {
	for _, addon := range catalog.Addons {
		for _, chart := range addon.Charts {
			path, ofChart := strings.CutPrefix(need.path, chart.Section+".")
			if chart.Section == "" {
				path, ofChart = need.path, true
			}
			if addon.Key == need.addon && !chart.Fixed && ofChart {
				return &chart, path
			}
		}
	}
	return nil, ""
}

// hasKey reports whether a chart has a value at a path, or any value below a part of it.
func hasKey(t *testing.T, chart catalog.Chart, path string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../internal/chartvalues/keys", chart.Name+"-"+chart.Version+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	at := strings.ReplaceAll(path, ".", "/")
	return slices.ContainsFunc(strings.Fields(string(text)), func(key string) bool {
		free, isFree := strings.CutSuffix(key, "/**")
		return key == at || strings.HasPrefix(key, at+"/") || isFree && strings.HasPrefix(at, free+"/")
	})
}
