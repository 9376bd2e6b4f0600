package config

import (
	"fmt"
	"strings"
	"testing"
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
