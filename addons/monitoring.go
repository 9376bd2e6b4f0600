package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// monitoring is the add-on of Prometheus, Alertmanager and Grafana.
type monitoring struct{ *builder }

// definitions installs the custom resource definitions of the Prometheus operator separately. Other charts
// contain monitors and need no other part of the monitoring, so they need not wait for the rest. It returns nil if
// monitoring is off. On destroy the definitions are dropped, because they are lost with the cluster.
func (m monitoring) definitions() pulumi.Resource {
	if !m.cfg.Addons.Monitoring.On() {
		return nil
	}
	namespace := m.ownNamespace()
	return m.release("prometheus-operator-crds", kube.ReleaseArgs{}, needs(namespace), pulumi.RetainOnDelete(true))
}

func (m monitoring) ownNamespace() pulumi.Resource {
	// The node exporter reads the host.
	return m.namespace("monitoring", privileged)
}

// install installs Prometheus, Alertmanager and Grafana.
func (m monitoring) install(definitions pulumi.Resource, vol volumes) pulumi.Resource {
	settings := m.cfg.Addons.Monitoring
	if !settings.On() {
		return nil
	}
	password := m.password("grafana")
	login := m.secret("grafana-admin", secretArgs{namespace: "monitoring", data: map[string]pulumi.StringInput{
		"admin-user":     pulumi.String("admin"),
		"admin-password": password,
	}}, needs(definitions))
	receiver := m.alertmanagerConfiguration(section(section(settings.Values, "alertmanager"), "config"), definitions)
	stack := m.release("kube-prometheus-stack", kube.ReleaseArgs{
		Values: monitoringValues(m.cfg).Merge(settings.Values),
	}, append(needs(m.root.NodesReady, definitions, login, receiver, vol.class, vol.gate),
		m.growClaims("kube-prometheus-stack", settings)...))
	m.applyPassword("grafana", "admin", password, stack)
	m.dashboards(definitions)
	m.alerts(definitions)
	return stack
}

func monitoringValues(cfg *config.Config) kube.Values {
	place := storagePlacement(cfg)
	// If a change of a StatefulSet is refused, such as another size of its claim, the operator deletes the
	// StatefulSet and creates it again. The claims have to survive that. The gate of volumes deletes them when the
	// add-on is removed.
	kept := kube.Values{"whenDeleted": "Retain", "whenScaled": "Retain"}
	values := kube.Values{
		"crds": kube.Values{"enabled": false},
		"prometheus": kube.Values{"prometheusSpec": place.onto(kube.Values{
			"retention":                            "10d",
			"retentionSize":                        "16GB",
			"storageSpec":                          claim("20Gi"),
			"persistentVolumeClaimRetentionPolicy": kept,
			"resources":                            requests("150m", "640Mi"),
			// Otherwise only monitors of this very chart are used.
			"serviceMonitorSelectorNilUsesHelmValues": false,
			"podMonitorSelectorNilUsesHelmValues":     false,
			"ruleSelectorNilUsesHelmValues":           false,
			"probeSelectorNilUsesHelmValues":          false,
			"scrapeConfigSelectorNilUsesHelmValues":   false,
		})},
		"alertmanager": kube.Values{"alertmanagerSpec": place.onto(alertmanagerValues(cfg).Merge(kube.Values{
			"storage":                              claim("1Gi"),
			"persistentVolumeClaimRetentionPolicy": kept,
			"resources":                            requests("10m", "48Mi"),
		}))},
		"prometheusOperator": kube.Values{
			// The webhook finds a bad rule one step earlier than the operator, but costs two Jobs and a certificate.
			"admissionWebhooks": kube.Values{"enabled": false},
			"tls":               kube.Values{"enabled": false},
			"clusterDomain":     cfg.Cluster.DNSDomain,
			"resources":         requests("20m", "64Mi"),
			"prometheusConfigReloader": kube.Values{
				"resources": requests("5m", "16Mi"),
			},
		},
		"kube-state-metrics": kube.Values{"resources": requests("10m", "48Mi")},
		"prometheus-node-exporter": kube.Values{
			"resources":   requests("20m", "24Mi"),
			"tolerations": anywhere,
			"extraArgs": []string{
				`--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run/containerd/.+|var/lib/docker/.+|var/lib/kubelet/.+)($|/)`,
				`--collector.filesystem.fs-types-exclude=^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs|erofs)$`,
				"--collector.textfile.directory=/host/textfile",
			},
			// Metrics written by steps on the hosts: the age of the etcd snapshot, the expiry of certificates.
			"extraHostVolumeMounts": []kube.Values{{
				"name": "textfile", "hostPath": "/var/lib/node-exporter/textfile", "type": "DirectoryOrCreate",
				"mountPath": "/host/textfile", "readOnly": true, "mountPropagation": "HostToContainer",
			}},
		},
		"grafana": place.onto(grafanaValues(cfg)),
	}
	return values
}

// alertmanagerValues sets the Secret with the configuration. Without a receiver the chart creates its own.
func alertmanagerValues(cfg *config.Config) kube.Values {
	if cfg.Notifications.Receiver == "" {
		return nil
	}
	return kube.Values{"useExistingSecret": true, "configSecret": alertmanagerSecret}
}

func grafanaValues(cfg *config.Config) kube.Values {
	values := kube.Values{
		"fullnameOverride": "grafana",
		"admin": kube.Values{
			"existingSecret": "grafana-admin",
			"userKey":        "admin-user",
			"passwordKey":    "admin-password",
		},
		"persistence": kube.Values{"enabled": true, "type": "pvc", "size": "2Gi", "storageClassName": storageClass},
		// The volume can be attached to one node only, so the old pod has to stop first.
		"deploymentStrategy": kube.Values{"type": "Recreate"},
		// The group id on the volume replaces this init container, which would run as root.
		"initChownData": kube.Values{"enabled": false},
		"service":       kube.Values{"type": "NodePort"},
		"testFramework": kube.Values{"enabled": false},
		"resources":     requests("50m", "160Mi"),
		"sidecar":       kube.Values{"resources": requests("5m", "64Mi")},
	}
	if cfg.DNS.Domain != "" {
		values["grafana.ini"] = kube.Values{"server": kube.Values{"root_url": "https://" + grafanaHost(cfg)}}
	}
	if cfg.Addons.Logging.On() {
		values["additionalDataSources"] = []kube.Values{{"name": "Loki", "type": "loki", "uid": "loki", "url": lokiURL}}
	}
	return values
}

func grafanaHost(cfg *config.Config) string { return "grafana." + cfg.DNS.Domain }

// claim returns a volume claim template of a custom resource of the Prometheus operator.
func claim(size string) kube.Values {
	return kube.Values{"volumeClaimTemplate": kube.Values{"spec": kube.Values{
		"storageClassName": storageClass,
		"accessModes":      []string{"ReadWriteOnce"},
		"resources":        kube.Values{"requests": kube.Values{"storage": size}},
	}}}
}

// podMonitor lets Prometheus read the metrics of the pods with the given labels in the data namespace. Without
// monitoring, monitors is nil and podMonitor creates nothing.
func (b *builder) podMonitor(name, port string, labels map[string]string, needs []pulumi.Resource) {
	if !b.cfg.Addons.Monitoring.On() {
		return
	}
	b.object("podmonitor-"+name, kube.ObjectArgs{
		APIVersion: "monitoring.coreos.com/v1",
		Kind:       "PodMonitor",
		Name:       name,
		Namespace:  dataNamespace,
		Fields: kube.Values{"spec": kube.Values{
			"selector":            kube.Values{"matchLabels": labels},
			"podMetricsEndpoints": []kube.Values{{"port": port, "interval": "30s"}},
		}},
	}, needs)
}
