package addons

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// lokiURL is the address inside the cluster to which logs are written and from which they are read.
const lokiURL = "http://loki.logging.svc:3100"

// logging is the add-on that collects the logs of all pods and kubelets, and stores them in S3.
type logging struct{ *builder }

// install installs Loki, which stores the logs, and Fluent Bit, which reads them on each node.
func (l logging) install(monitors pulumi.Resource, vol volumes) {
	settings := l.cfg.Addons.Logging
	if !settings.On() || l.args.LogBucket == nil {
		return
	}
	// Fluent Bit reads the logs from the host's disk.
	namespace := l.namespace("logging", privileged)
	loki := l.release("loki", kube.ReleaseArgs{
		Values: lokiValues(l.cfg, l.args.LogBucket).Merge(lokiIdentity(l.args)).Merge(section(settings.Values, "loki")),
	}, append(l.outlived(namespace, vol.class, vol.gate), l.growClaims("loki", settings)...))
	l.release("fluent-bit", kube.ReleaseArgs{
		Values: fluentBitValues(monitors != nil).Merge(section(settings.Values, "fluentBit")),
	}, needs(loki, monitors))
}

// section returns the part of an add-on's user values for one of its two charts.
func section(values map[string]any, name string) map[string]any {
	part, _ := values[name].(map[string]any)
	return part
}

func lokiValues(cfg *config.Config, bucket pulumi.StringPtrInput) kube.Values {
	none := kube.Values{"replicas": 0}
	off := kube.Values{"enabled": false}
	return kube.Values{
		"deploymentMode": "Monolithic",
		// Loki resolves its own members by a full name, and exits if it cannot.
		"global": kube.Values{"clusterDomain": cfg.Cluster.DNSDomain},
		"loki": kube.Values{
			"auth_enabled": false,
			"commonConfig": kube.Values{"replication_factor": 1},
			"schemaConfig": kube.Values{"configs": []kube.Values{{
				"from": "2024-04-01", "store": "tsdb", "object_store": "s3", "schema": "v13",
				"index": kube.Values{"prefix": "loki_index_", "period": "24h"},
			}}},
			"storage": kube.Values{
				"type":        "s3",
				"bucketNames": kube.Values{"chunks": bucket, "ruler": bucket},
				"s3":          lokiS3(cfg),
			},
			// Without these two settings Loki keeps everything forever.
			"compactor":     kube.Values{"retention_enabled": true, "delete_request_store": "s3"},
			"limits_config": kube.Values{"retention_period": fmt.Sprintf("%dh", logRetentionDays*24)},
		},
		"singleBinary": kube.Values{
			"replicas": 1,
			// Only the role of the control plane may use the bucket. A pod has that role only on the host's network
			// there.
			"nodeSelector":      controlPlaneSelector,
			"tolerations":       controlPlaneTolerations,
			"priorityClassName": onHostNetwork("system-cluster-critical", 2),
			"resources":         requests("100m", "256Mi"),
			"persistence": kube.Values{
				"size":                           "10Gi",
				"storageClass":                   storageClass,
				"enableStatefulSetAutoDeletePVC": true,
				"whenDeleted":                    "Retain",
			},
		},
		"read": none, "write": none, "backend": none,
		// The caches request ten gigabytes of memory.
		"chunksCache": off, "resultsCache": off,
		// A single process needs no gateway.
		"gateway": off,
		// The canary and its test only check Loki itself.
		"lokiCanary": off, "test": off,
		// The sidecar reads alerting rules from ConfigMaps; Prometheus evaluates the alerts here.
		"sidecar": kube.Values{"rules": off},
	}
}

// lokiIdentity returns the values with which Loki uses its own role, or nil if it has none.
func lokiIdentity(args Args) kube.Values {
	token := args.webIdentity(config.LokiAccount)
	if token == nil {
		return nil
	}
	return kube.Values{
		"serviceAccount": kube.Values{"name": config.LokiAccount.Name},
		"singleBinary": kube.Values{
			"priorityClassName": "system-cluster-critical",
			"extraEnv":          token.env(),
			"extraVolumes":      token.volumes(),
			"extraVolumeMounts": token.mounts(),
		},
	}
}

// lokiS3 lets Loki derive the S3 endpoint from the region if it can.
func lokiS3(cfg *config.Config) kube.Values {
	if cfg.FindsS3ByRegion() {
		return kube.Values{"region": cfg.Region}
	}
	return kube.Values{"region": cfg.Region, "endpoint": cfg.S3Endpoint()}
}

// logRetentionDays is how long logs are kept.
const logRetentionDays = 30

// In these files on the host Fluent Bit records its read position, so that a restart loses no line.
const fluentBitInputs = `[INPUT]
    Name tail
    Path /var/log/containers/*.log
    multiline.parser docker, cri
    Tag kube.*
    DB /var/log/fluent-bit-containers.db
    Read_from_Head On
    Mem_Buf_Limit 5MB
    Skip_Long_Lines On
[INPUT]
    Name systemd
    Tag host.*
    Systemd_Filter _SYSTEMD_UNIT=kubelet.service
    DB /var/log/fluent-bit-kubelet.db
    Read_From_Tail On
`

// The labels of a stream are the terms that people search by. Records that Loki cannot accept are sent again until it
// can. The inputs stop reading meanwhile.
const fluentBitOutputs = `[OUTPUT]
    Name loki
    Match kube.*
    Host loki.logging.svc
    Port 3100
    Retry_Limit False
    Labels job=fluent-bit, namespace=$kubernetes['namespace_name'], pod=$kubernetes['pod_name'], container=$kubernetes['container_name']
[OUTPUT]
    Name loki
    Match host.*
    Host loki.logging.svc
    Port 3100
    Retry_Limit False
    Labels job=kubelet, node=$_HOSTNAME
`

func fluentBitValues(monitored bool) kube.Values {
	return kube.Values{
		"config":         kube.Values{"inputs": fluentBitInputs, "outputs": fluentBitOutputs},
		"tolerations":    anywhere,
		"resources":      requests("20m", "48Mi"),
		"testFramework":  kube.Values{"enabled": false},
		"serviceMonitor": kube.Values{"enabled": monitored},
	}
}
