package addons

import (
	"fmt"

	"kubeadm-aws/config"
)

// dataAlerts returns the rules of the enabled data services.
func dataAlerts(cfg *config.Config) map[string][]alert {
	groups := map[string][]alert{}
	if cfg.Addons.RabbitMQ.On() {
		groups["rabbitmq"] = rabbitmqAlerts(cfg)
	}
	if cfg.Addons.Redis.On() {
		groups["redis"] = redisAlerts()
	}
	if cfg.Addons.PostgreSQL.On() {
		groups["postgresql"] = postgresqlAlerts(cfg.Addons.PostgreSQL.BacksUp())
	}
	return groups
}

// Names of the metrics that addons/scripts/rabbitmq-backup.sh writes for the node exporter.
const (
	definitionsTime   = "kubeadm_aws_rabbitmq_backup_last_success_timestamp_seconds"
	definitionsFailed = "kubeadm_aws_rabbitmq_backup_last_run_failed"
)

func rabbitmqAlerts(cfg *config.Config) []alert {
	replicas := cfg.Addons.RabbitMQ.Replicas
	return []alert{
		{"RabbitMQDown",
			fmt.Sprintf(`count(rabbitmq_identity_info{namespace=%q}) < %d or absent(rabbitmq_identity_info{namespace=%[1]q})`,
				dataNamespace, replicas),
			"5m", "critical", "A RabbitMQ server does not answer.", "Look at: kubectl -n data get rabbitmqcluster,pods."},
		{"RabbitMQBlocksPublishers",
			`max by (pod) (rabbitmq_alarms_memory_used_watermark) > 0 or max by (pod) (rabbitmq_alarms_free_disk_space_watermark) > 0`,
			"2m", "critical", "{{ $labels.pod }} has run short of memory or disk and holds publishers back.",
			"Drain queues, or raise addons.rabbitmq.memoryMiB or addons.rabbitmq.storageGiB. Which of the two is short: " +
				"kubectl -n data exec {{ $labels.pod }} -c rabbitmq -- rabbitmq-diagnostics alarms."},
		{"RabbitMQQueueGrows",
			`sum by (pod) (rabbitmq_queue_messages_ready) > 10000 and sum by (pod) (deriv(rabbitmq_queue_messages_ready[15m])) > 0`,
			"30m", "warning", "Messages on {{ $labels.pod }} are published faster than they are consumed.",
			"Look at the consumers."},
		{"RabbitMQBackupTooOld", fmt.Sprintf("time() - max(%s) > %.0f", definitionsTime, 2*cfg.Backup.Interval().Seconds()),
			"15m", "warning",
			"RabbitMQ's definitions have not reached the bucket twice in a row.",
			"Look at: journalctl -u rabbitmq-backup on the control plane."},
		{"RabbitMQBackupFailed", "max(" + definitionsFailed + ") > 0", "15m", "warning",
			"The last copy of RabbitMQ's definitions failed.", "Look at: journalctl -u rabbitmq-backup on the control plane."},
		{"RabbitMQBackupNeverReported", "absent(" + definitionsTime + ")", "24h", "warning",
			"No copy of RabbitMQ's definitions has been reported for a day.",
			"Look at: systemctl list-timers rabbitmq-backup.timer on the control plane."},
	}
}

func redisAlerts() []alert {
	return []alert{
		{"RedisDown", `max(redis_up{namespace="data"}) < 1 or absent(redis_up{namespace="data"})`, "5m", "critical",
			"Redis does not answer.", "Look at: kubectl -n data get pods -l app.kubernetes.io/name=valkey."},
		{"RedisEvictsKeys", `increase(redis_evicted_keys_total{namespace="data"}[10m]) > 0`, "5m", "warning",
			"Redis drops keys because its memory is full.", "Raise addons.redis.maxMemoryMiB, or shorten the life of keys."},
		// Keys without an expiry are never dropped: if they fill the memory, Redis refuses writes.
		{"RedisMemoryFull",
			`redis_memory_used_bytes{namespace="data"} / (redis_memory_max_bytes{namespace="data"} > 0) > 0.95`, "10m",
			"critical",
			"Redis is full. It drops keys with an expiry, and refuses writes if there are none.",
			"Raise addons.redis.maxMemoryMiB, or give keys an expiry."},
		{"RedisNotPersisted",
			`redis_aof_last_write_status{namespace="data"} == 0 or redis_rdb_last_bgsave_status{namespace="data"} == 0`, "10m",
			"critical",
			"Redis cannot write to its volume.", "Look at the free space of its volume."},
	}
}

func postgresqlAlerts(backsUp bool) []alert {
	alerts := []alert{
		{"PostgreSQLDown", `max(cnpg_collector_up{namespace="data"}) < 1 or absent(cnpg_collector_up{namespace="data"})`,
			"5m", "critical",
			"PostgreSQL does not answer.",
			"Look at: kubectl -n data describe cluster postgresql, and kubectl -n data get pods -l cnpg.io/cluster=postgresql."},
	}
	if !backsUp {
		return alerts
	}
	return append(alerts,
		// 0 is a database that has no backup yet.
		alert{"PostgreSQLBackupTooOld",
			`time() - max(cnpg_collector_last_available_backup_timestamp{namespace="data"}) > 2 * 24 * 3600`, "3h", "critical",
			"PostgreSQL has had no base backup for two days.",
			"Look at: kubectl -n data get backups, and kubectl -n data describe cluster postgresql."},
		alert{"PostgreSQLLogNotArchived",
			`max(cnpg_pg_stat_archiver_last_failed_time{namespace="data"}) > max(cnpg_pg_stat_archiver_last_archived_time{namespace="data"})`, "20m", "critical",
			"PostgreSQL's write-ahead log does not reach the bucket. A restore ends where it stopped, and the log fills the " +
				"volume.",
			"Look at: journalctl -u postgresql-backup-credentials on the control plane, and kubectl -n data logs " +
				"postgresql-1 -c postgres."})
}
