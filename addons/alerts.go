package addons

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// alert is one alerting rule.
type alert struct {
	name, expr, wait, severity string
	summary, action            string
}

// Names of the metrics that the snapshot timer on the control plane writes for the node exporter.
const (
	backupTime   = "kubeadm_aws_etcd_backup_last_success_timestamp_seconds"
	backupFailed = "kubeadm_aws_etcd_backup_last_run_failed"
)

// rebootRequired is the metric that every node writes for the node exporter. 0 is a node that needs no reboot.
const rebootRequired = "kubeadm_aws_reboot_required_since_timestamp_seconds"

// alerts returns the rules that the chart's own rules do not cover: the snapshots, the certificates and the data
// services of this platform. The chart covers nodes, pods and volumes.
func (m monitoring) alerts(definitions pulumi.Resource) {
	for group, rules := range alertGroups(m.cfg) {
		m.object("prometheusrule-"+group, prometheusRule(group, rules), needs(definitions))
	}
}

func alertGroups(cfg *config.Config) map[string][]alert {
	groups := map[string][]alert{
		"etcd-backup": {
			{"EtcdBackupTooOld", fmt.Sprintf("time() - max(%s) > %.0f", backupTime, 2*cfg.Backup.Interval().Seconds()), "15m",
				"critical",
				"Two etcd snapshots in a row did not reach the bucket.",
				"Look at: journalctl -u etcd-snapshot on the control plane."},
			{"EtcdBackupFailed", "max(" + backupFailed + ") > 0", "15m", "warning",
				"The last etcd snapshot failed.", "Look at: journalctl -u etcd-snapshot on the control plane."},
			{"EtcdBackupNeverReported", "absent(" + backupTime + ")", "24h", "warning",
				"No etcd snapshot has been reported for a day.",
				"Look at: systemctl list-timers etcd-snapshot.timer on the control plane."},
		},
		// Hours of maintenance come once a week at least.
		"reboots": {
			{"NodeNeedsReboot", fmt.Sprintf("time() - (%s > 0) > 8 * 24 * 3600", rebootRequired), "15m", "warning",
				"{{ $labels.instance }} has needed a reboot for an update for more than eight days.",
				"With maintenance.reboots, nodes reboot in the hours of maintenance. Look at what holds them: " +
					"journalctl -u kubeadm-aws-reboot-turn on the control plane."},
		},
		"certificates": {
			// A count, not a quantile, because the program's own certificates are a small share of the requests.
			// Prometheus 3 writes the bucket as 604800.0.
			{"ClientCertificateExpiresSoon",
				`sum(increase(apiserver_client_certificate_expiration_seconds_bucket{job="apiserver",le=~"604800(\\.0)?"}[1h])) > 0`,
				"5m", "warning", "A client certificate that is in use expires within a week.",
				"Run pulumi up: it renews the program's certificates in their last 90 days. A kubelet renews its own: look at " +
					"journalctl -u kubelet on the nodes. For kubeadm's certificates, which are valid for five years: kubeadm certs " +
					"check-expiration."},
		},
	}
	if cfg.Addons.CertManager.On() {
		groups["certificates"] = append(groups["certificates"],
			// Each certificate has its own time, a third of its duration before its end. 0 is one that was never issued.
			alert{"CertificateNotRenewed",
				"time() - max by (namespace, name) (certmanager_certificate_renewal_timestamp_seconds > 0) > 0", "2h", "warning",
				"Certificate {{ $labels.namespace }}/{{ $labels.name }} should have been renewed more than two hours ago.",
				"Look at: kubectl -n {{ $labels.namespace }} describe certificate {{ $labels.name }}."},
			alert{"CertificateNotReady",
				`max by (namespace, name) (certmanager_certificate_ready_status{condition="True"}) == 0`, "1h", "warning",
				"Certificate {{ $labels.namespace }}/{{ $labels.name }} has not been valid for more than an hour: it was never issued, " +
					"or has ended.",
				"Look at: kubectl -n {{ $labels.namespace }} describe certificate {{ $labels.name }}."})
	}
	if cfg.Addons.Logging.On() {
		groups["logging"] = []alert{
			{"LogsAreLost", `sum by (pod) (increase(fluentbit_output_dropped_records_total[15m])) > 0`, "5m", "warning",
				"{{ $labels.pod }} drops log lines, because Loki refuses them.",
				"Look at: kubectl -n logging logs {{ $labels.pod }}, and the limits of Loki."},
			{"LogsAreNotDelivered", `sum by (pod) (increase(fluentbit_output_retries_total[1h])) > 0 unless ` +
				`sum by (pod) (increase(fluentbit_output_proc_records_total[1h])) > 0`, "15m", "warning",
				"{{ $labels.pod }} has delivered no logs for an hour. They stay on the node until its files rotate.",
				"Look at: kubectl -n logging get pods, and kubectl -n logging logs loki-0."},
		}
	}
	maps.Copy(groups, dataAlerts(cfg))
	return groups
}

func prometheusRule(group string, alerts []alert) kube.ObjectArgs {
	var rules []kube.Values
	for _, a := range alerts {
		rules = append(rules, kube.Values{
			"alert":       a.name,
			"expr":        a.expr,
			"for":         a.wait,
			"labels":      kube.Values{"severity": a.severity},
			"annotations": kube.Values{"summary": a.summary, "description": a.action},
		})
	}
	return kube.ObjectArgs{
		APIVersion: "monitoring.coreos.com/v1",
		Kind:       "PrometheusRule",
		Name:       "platform-" + group,
		Namespace:  "monitoring",
		Fields:     kube.Values{"spec": kube.Values{"groups": []kube.Values{{"name": group, "rules": rules}}}},
	}
}

//go:embed dashboards/*.json
var dashboardFiles embed.FS

// dashboards gives the program's dashboards to Grafana, which searches for ConfigMaps with a label.
func (m monitoring) dashboards(definitions pulumi.Resource) {
	files, err := fs.Glob(dashboardFiles, "dashboards/*.json")
	for _, file := range files {
		var text []byte
		if text, err = dashboardFiles.ReadFile(file); err != nil {
			break
		}
		base := strings.TrimPrefix(file, "dashboards/")
		m.object("dashboard-"+strings.TrimSuffix(base, ".json"), kube.ObjectArgs{
			APIVersion: "v1",
			Kind:       "ConfigMap",
			Name:       "dashboard-" + strings.TrimSuffix(base, ".json"),
			Namespace:  "monitoring",
			Labels:     map[string]string{"grafana_dashboard": "1"},
			Fields:     kube.Values{"data": kube.Values{base: string(text)}},
		}, needs(definitions))
	}
	if err != nil {
		m.failed(fmt.Errorf("dashboards: %w", err))
	}
}
