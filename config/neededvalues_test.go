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
