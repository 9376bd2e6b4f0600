// Package alerttest checks the alert rules with the code of Prometheus, and the configuration of Alertmanager with
// the code of Alertmanager. The input is the golden files of package addons, which the program renders, and the rules
// of the applications.
package alerttest

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

// ruleCase is a set of scraped series, one sample a minute from time 0, and the alerts that they cause.
type ruleCase struct {
	name   string
	alert  string
	series string
	// after is when the rules are evaluated.
	after time.Duration
	// fires are texts that must be in the annotations of each firing alert, sorted by labels. Empty: none fires.
	fires []string
}

// issued is the series of cert-manager for one of the statuses of a certificate.
func issued(condition string) string {
	return `certmanager_certificate_ready_status{name="web",namespace="shop",condition="` + condition + `"}`
}

const (
	renewal     = `certmanager_certificate_renewal_timestamp_seconds{name="web",namespace="shop",job="cert-manager",pod="cert-manager-1"}`
	expiring    = `apiserver_client_certificate_expiration_seconds_bucket{job="apiserver",instance="10.0.0.10:6443",`
	lastBackup  = `kubeadm_aws_etcd_backup_last_success_timestamp_seconds{job="node-exporter",instance="10.0.0.10:9100"}`
	backupFails = `kubeadm_aws_etcd_backup_last_run_failed{job="node-exporter",instance="10.0.0.10:9100"}`
	// From the same collector.
	lastDefinitions = `kubeadm_aws_rabbitmq_backup_last_success_timestamp_seconds{job="node-exporter",instance="10.0.0.10:9100"}`
	definitionsFail = `kubeadm_aws_rabbitmq_backup_last_run_failed{job="node-exporter",instance="10.0.0.10:9100"}`

	workerNode = `{job="node-exporter",instance="10.0.0.11:9100"}`

	postgres  = `{namespace="data",pod="postgresql-1",job="data/postgresql"}`
	rabbit    = `{namespace="data",pod="rabbitmq-server-0",job="data/rabbitmq"}`
	valkey    = `{namespace="data",pod="valkey-1",job="valkey"}`
	api       = `{namespace="apps",job="apps/api",pod="api-1",method="POST",`
	worker    = `{namespace="apps",job="apps/worker",pod="worker-1"}`
	fluentBit = `{namespace="logging",pod="fluent-bit-x",name="loki.0",job="fluent-bit"}`
)

var ruleCases = []ruleCase{
	{"two snapshots late", "EtcdBackupTooOld", lastBackup + " 0x3000", 49 * time.Hour,
		[]string{"journalctl -u etcd-snapshot"}},
	{"a snapshot in time", "EtcdBackupTooOld", lastBackup + " 86400x3000", 49 * time.Hour, nil},
	{"snapshots of another control plane are newer", "EtcdBackupTooOld",
		lastBackup + " 0x3000\n" + strings.ReplaceAll(lastBackup, "10.0.0.10", "10.0.0.11") + " 172800x3000", 49 * time.Hour,
		nil},
	{"failed snapshot", "EtcdBackupFailed", backupFails + " 1x60", 30 * time.Minute,
		[]string{"journalctl -u etcd-snapshot"}},
	{"snapshot that worked", "EtcdBackupFailed", backupFails + " 0x60", 30 * time.Minute, nil},
	{"no metric of snapshots", "EtcdBackupNeverReported", "up 1x2000", 25 * time.Hour, []string{"etcd-snapshot.timer"}},
	{"metric of snapshots", "EtcdBackupNeverReported", lastBackup + " 0x2000", 25 * time.Hour, nil},

	{"a kernel of nine days ago", "NodeNeedsReboot", "kubeadm_aws_reboot_required_since_timestamp_seconds" + workerNode + " 1x13000\n" +
		"kubeadm_aws_reboot_required_since_timestamp_seconds" + strings.ReplaceAll(workerNode, ".11:", ".12:") + " 0x13000",
		9 * 24 * time.Hour, []string{"journalctl -u kubeadm-aws-reboot-turn"}},
	{"a kernel of a week ago", "NodeNeedsReboot",
		"kubeadm_aws_reboot_required_since_timestamp_seconds" + workerNode + " 172800x13000", 9 * 24 * time.Hour, nil},

	{"requests with an old certificate", "ClientCertificateExpiresSoon", expiring + `le="604800.0"} 0+1x120`, time.Hour,
		[]string{"pulumi up"}},
	{"as Prometheus 2 wrote it", "ClientCertificateExpiresSoon", expiring + `le="604800"} 0+1x120`, time.Hour,
		[]string{"pulumi up"}},
	{"one of a hundred clients", "ClientCertificateExpiresSoon",
		expiring + `le="604800.0"} 0+1x120` + "\n" + expiring + `le="+Inf"} 0+1000x120`, time.Hour, []string{"pulumi up"}},
	{"requests with good certificates", "ClientCertificateExpiresSoon",
		expiring + `le="604800.0"} 5x120` + "\n" + expiring + `le="2592000.0"} 0+1x120`, 2 * time.Hour, nil},

	{"certificate of a day that should be renewed in four hours", "CertificateNotRenewed", renewal + " 14400x200",
		3 * time.Hour, nil},
	{"certificate whose renewal is three hours late", "CertificateNotRenewed", renewal + " 1x200", 3 * time.Hour,
		[]string{"kubectl -n shop describe certificate web"}},
	{"certificate that was never issued", "CertificateNotRenewed", renewal + " 0x200", 3 * time.Hour, nil},
	{"equal names in two namespaces", "CertificateNotRenewed",
		renewal + " 1x200\n" + strings.ReplaceAll(renewal, "shop", "blog") + " 1x200", 3 * time.Hour,
		[]string{"kubectl -n blog describe certificate web", "kubectl -n shop describe certificate web"}},
	{"certificate that is not issued", "CertificateNotReady",
		issued("True") + " 0x120\n" + issued("False") + " 1x120", 90 * time.Minute, []string{"kubectl -n shop describe certificate web"}},
	{"certificate that is issued", "CertificateNotReady",
		issued("True") + " 1x120\n" + issued("False") + " 0x120", 90 * time.Minute, nil},

	{"lines that Loki refuses", "LogsAreLost", "fluentbit_output_dropped_records_total" + fluentBit + " 0+10x60",
		30 * time.Minute, []string{"logs fluent-bit-x"}},
	{"no dropped lines", "LogsAreLost", "fluentbit_output_dropped_records_total" + fluentBit + " 7x60", 30 * time.Minute,
		nil},
	{"Loki does not answer", "LogsAreNotDelivered",
		"fluentbit_output_retries_total" + fluentBit + " 0+1x120\nfluentbit_output_proc_records_total" + fluentBit +
			" 500x120", 80 * time.Minute, []string{"logs loki-0"}},
	{"a retry now and then", "LogsAreNotDelivered",
		"fluentbit_output_retries_total" + fluentBit + " 0+1x120\nfluentbit_output_proc_records_total" + fluentBit +
			" 0+50x120", 80 * time.Minute, nil},

	{"the only server is missing", "RabbitMQDown", "up 1x60", 10 * time.Minute, []string{"rabbitmqcluster"}},
	{"a server of another namespace", "RabbitMQDown", `rabbitmq_identity_info{namespace="shop",pod="x"} 1x60`,
		10 * time.Minute, []string{"rabbitmqcluster"}},
	{"all servers answer", "RabbitMQDown", "rabbitmq_identity_info" + rabbit + " 1x60", 10 * time.Minute, nil},
	{"memory is short", "RabbitMQBlocksPublishers", "rabbitmq_alarms_memory_used_watermark" + rabbit + " 1x60",
		10 * time.Minute, []string{"addons.rabbitmq.memoryMiB"}},
	{"disk is short", "RabbitMQBlocksPublishers", "rabbitmq_alarms_free_disk_space_watermark" + rabbit + " 1x60",
		10 * time.Minute, []string{"rabbitmq-server-0"}},
	{"nothing is short", "RabbitMQBlocksPublishers",
		"rabbitmq_alarms_memory_used_watermark" + rabbit + " 0x60\nrabbitmq_alarms_free_disk_space_watermark" + rabbit +
			" 0x60", 10 * time.Minute, nil},
	{"two copies late", "RabbitMQBackupTooOld", lastDefinitions + " 0x3000", 49 * time.Hour,
		[]string{"journalctl -u rabbitmq-backup"}},
	{"a copy in time", "RabbitMQBackupTooOld", lastDefinitions + " 86400x3000", 49 * time.Hour, nil},
	{"failed copy", "RabbitMQBackupFailed", definitionsFail + " 1x60", 30 * time.Minute,
		[]string{"journalctl -u rabbitmq-backup"}},
	{"copy that worked", "RabbitMQBackupFailed", definitionsFail + " 0x60", 30 * time.Minute, nil},
	{"no metric of copies", "RabbitMQBackupNeverReported", "up 1x2000", 25 * time.Hour, []string{"rabbitmq-backup.timer"}},
	{"metric of copies", "RabbitMQBackupNeverReported", lastDefinitions + " 0x2000", 25 * time.Hour, nil},
	{"consumers are too slow", "RabbitMQQueueGrows", "rabbitmq_queue_messages_ready" + rabbit + " 11000+10x90",
		80 * time.Minute, []string{"consumers"}},
	{"a long queue gets shorter", "RabbitMQQueueGrows", "rabbitmq_queue_messages_ready" + rabbit + " 90000-10x90",
		80 * time.Minute, nil},

	{"no base backup for two days", "PostgreSQLBackupTooOld",
		"cnpg_collector_last_available_backup_timestamp" + postgres + " 0x3200", 52 * time.Hour, []string{"get backups"}},
	{"a base backup each night", "PostgreSQLBackupTooOld",
		"cnpg_collector_last_available_backup_timestamp" + postgres + " 86400x3200", 52 * time.Hour, nil},
	{"segments stay on the volume", "PostgreSQLLogNotArchived",
		"cnpg_pg_stat_archiver_last_failed_time" + postgres + " 100x60\ncnpg_pg_stat_archiver_last_archived_time" + postgres +
			" 50x60", 30 * time.Minute, []string{"postgresql-backup-credentials"}},
	{"a segment that was archived later", "PostgreSQLLogNotArchived",
		"cnpg_pg_stat_archiver_last_failed_time" + postgres + " 50x60\ncnpg_pg_stat_archiver_last_archived_time" + postgres +
			" 100x60", 30 * time.Minute, nil},

	{"the exporter cannot reach Redis", "RedisDown", "redis_up" + valkey + " 0x60", 10 * time.Minute,
		[]string{"kubectl -n data get pods"}},
	{"no exporter", "RedisDown", "up 1x60", 10 * time.Minute, []string{"kubectl -n data get pods"}},
	{"Redis answers", "RedisDown", "redis_up" + valkey + " 1x60", 10 * time.Minute, nil},
	{"keys are dropped", "RedisEvictsKeys", "redis_evicted_keys_total" + valkey + " 0+5x60", 20 * time.Minute,
		[]string{"maxMemoryMiB"}},
	{"no keys are dropped", "RedisEvictsKeys", "redis_evicted_keys_total" + valkey + " 5x60", 20 * time.Minute, nil},
	{"memory is nearly full", "RedisMemoryFull",
		"redis_memory_used_bytes" + valkey + " 990x60\nredis_memory_max_bytes" + valkey + " 1000x60", 20 * time.Minute,
		[]string{"maxMemoryMiB"}},
	{"half of the memory is used", "RedisMemoryFull",
		"redis_memory_used_bytes" + valkey + " 500x60\nredis_memory_max_bytes" + valkey + " 1000x60", 20 * time.Minute, nil},
	{"memory without a limit", "RedisMemoryFull",
		"redis_memory_used_bytes" + valkey + " 990x60\nredis_memory_max_bytes" + valkey + " 0x60", 20 * time.Minute, nil},
	{"the log of writes fails", "RedisNotPersisted",
		"redis_aof_last_write_status" + valkey + " 0x60\nredis_rdb_last_bgsave_status" + valkey + " 1x60", 20 * time.Minute,
		[]string{"volume"}},
	{"both are written", "RedisNotPersisted",
		"redis_aof_last_write_status" + valkey + " 1x60\nredis_rdb_last_bgsave_status" + valkey + " 1x60", 20 * time.Minute,
		nil},

	{"a tenth of the requests fails", "ApiRequestsFail",
		"http_requests_total" + api + `code="200"} 0+540x60` + "\nhttp_requests_total" + api + `code="503"} 0+60x60`,
		20 * time.Minute, []string{"10% of the requests"}},
	{"one of a hundred requests fails", "ApiRequestsFail",
		"http_requests_total" + api + `code="200"} 0+594x60` + "\nhttp_requests_total" + api + `code="503"} 0+6x60`,
		20 * time.Minute, nil},
	{"new jobs are taken in two seconds", "ApiIsSlow",
		"http_request_duration_seconds_bucket" + api + `le="1"} 0+1x60` + "\nhttp_request_duration_seconds_bucket" + api +
			`le="2.5"} 0+60x60` + "\nhttp_request_duration_seconds_bucket" + api + `le="+Inf"} 0+60x60`,
		30 * time.Minute, []string{"kubectl -n apps top pods"}},
	{"new jobs are taken at once", "ApiIsSlow",
		"http_request_duration_seconds_bucket" + api + `le="1"} 0+60x60` + "\nhttp_request_duration_seconds_bucket" + api +
			`le="+Inf"} 0+60x60`, 30 * time.Minute, nil},
	{"no pod of the API answers", "ApiIsGone", "up" + api + "} 0x60", 20 * time.Minute, []string{"get rollout api"}},
	{"one pod of the API answers", "ApiIsGone", "up" + api + "} 1x60", 20 * time.Minute, nil},
	// The exporter's own namespace is the label namespace; that of the Rollout is exported_namespace.
	{"a release was aborted", "ApiReleaseAborted",
		`rollout_info{namespace="argo-rollouts",exported_namespace="apps",name="api",phase="Abort"} 1x60`,
		20 * time.Minute, []string{"tools/app-release.sh rollback"}},
	{"a release goes on", "ApiReleaseAborted",
		`rollout_info{namespace="argo-rollouts",exported_namespace="apps",name="api",phase="Progressing"} 1x60`,
		20 * time.Minute, nil},
	{"no pod of the worker answers", "WorkerIsGone", "up" + worker + " 0x60", 20 * time.Minute, []string{"describe pods"}},
	{"one pod of the worker answers", "WorkerIsGone", "up" + worker + " 1x60", 20 * time.Minute, nil},

	{"no database", "PostgreSQLDown", "up 1x60", 10 * time.Minute, []string{"kubectl -n data"}},
	{"a database that answers", "PostgreSQLDown", `cnpg_collector_up{namespace="data",pod="postgresql-1"} 1x60`,
		10 * time.Minute, nil},
}

// render returns the rules that the program creates and those of the applications, by the name of the alert.
func render(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	var files []string
	for pattern, least := range map[string]int{
		"../testdata/objects/prometheusrule-*.yaml": 5, "../../apps/*/base/monitoring.yaml": 2,
	} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) < least {
			t.Fatalf("%d files %s, %v", len(found), pattern, err)
		}
		files = append(files, found...)
	}
	all := map[string]rulefmt.Rule{}
	for _, file := range files {
		groups, errs := rulefmt.Parse(specOf(t, file), false, model.UTF8Validation, parser.NewParser(parser.Options{}),
			slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			t.Fatalf("%s: Prometheus refuses it: %v", file, errs)
		}
		for _, group := range groups.Groups {
			for _, rule := range group.Rules {
				all[rule.Alert] = rule
			}
		}
	}
	return all
}

// specOf returns the spec of the PrometheusRule in a file of one or more objects.
func specOf(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var object struct {
			Kind string    `yaml:"kind"`
			Spec yaml.Node `yaml:"spec"`
		}
		if err := documents.Decode(&object); err != nil {
			t.Fatalf("%s: no PrometheusRule: %v", file, err)
		}
		if object.Kind == "PrometheusRule" {
			spec, err := yaml.Marshal(&object.Spec)
			if err != nil {
				t.Fatal(err)
			}
			return spec
		}
	}
}

func TestEveryAlertFiresWhenItHasToAndOnlyThen(t *testing.T) {
	all := render(t)
	covered := map[string]map[bool]bool{}
	for _, c := range ruleCases {
		t.Run(c.alert+"/"+c.name, func(t *testing.T) {
			rule, ok := all[c.alert]
			if !ok {
				t.Fatalf("there is no alert %s", c.alert)
			}
			if covered[c.alert] == nil {
				covered[c.alert] = map[bool]bool{}
			}
			covered[c.alert][len(c.fires) > 0] = true
			firing := evaluate(t, rule, c)
			if len(firing) != len(c.fires) {
				t.Fatalf("%d alerts fire, want %d: %v", len(firing), len(c.fires), firing)
			}
			for i, want := range c.fires {
				texts := firing[i].Annotations.Get("summary") + " " + firing[i].Annotations.Get("description")
				if !strings.Contains(texts, want) || strings.Contains(texts, "<no value>") || strings.Contains(texts, "{{") {
					t.Errorf("alert %s says %q, want %q in it", firing[i].Labels, texts, want)
				}
				if severity := firing[i].Labels.Get("severity"); severity != "warning" && severity != "critical" {
					t.Errorf("alert %s has no severity that is sent", firing[i].Labels)
				}
			}
		})
	}
	for name := range all {
		if !covered[name][true] || !covered[name][false] {
			t.Errorf("%s needs a case in which it fires and one in which it does not", name)
		}
	}
}

// evaluate runs a rule once a minute, as Prometheus does, and returns the alerts that fire at the end.
func evaluate(t *testing.T, rule rulefmt.Rule, c ruleCase) []*rules.Alert {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n  "+strings.ReplaceAll(c.series, "\n", "\n  "))
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
	if err != nil {
		t.Fatal(err)
	}
	alerting := rules.NewAlertingRule(rule.Alert, expression, time.Duration(rule.For), time.Duration(rule.KeepFiringFor),
		labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", false,
		slog.New(slog.DiscardHandler))
	query := rules.EngineQueryFunc(engine, storage)
	for at := time.Duration(0); at <= c.after; at += time.Minute {
		if _, err := alerting.Eval(context.Background(), 0, time.Unix(0, 0).Add(at), query, &url.URL{}, 0); err != nil {
			t.Fatalf("after %s: %v", at, err)
		}
	}
	var firing []*rules.Alert
	for _, a := range alerting.ActiveAlerts() {
		if a.State == rules.StateFiring {
			firing = append(firing, a)
		}
	}
	slices.SortFunc(firing, func(a, b *rules.Alert) int { return labels.Compare(a.Labels, b.Labels) })
	return firing
}
