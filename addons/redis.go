package addons

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// redis is the add-on Valkey, the continuation of Redis under its old licence. Clients use it like Redis.
type redis struct{ *builder }

func (r redis) install(data, monitors pulumi.Resource, vol volumes) {
	settings := r.cfg.Addons.Redis
	if !settings.On() {
		return
	}
	password := r.password("redis")
	credentials := r.secret("valkey-users", secretArgs{namespace: dataNamespace,
		data: map[string]pulumi.StringInput{"default": password}}, needs(data))
	server := r.release("valkey", kube.ReleaseArgs{
		Values: valkeyValues(r.cfg, monitors != nil).Merge(settings.Values).Merge(kube.Values{
			"valkeyConfig": valkeyConfig(settings),
		}),
	}, needs(r.root.NodesReady, credentials, vol.class, vol.gate, monitors))
	r.applyPassword("redis", "default", password, server)
}

// valkeyConfig writes every change to the log on disk within a second; without the log a restart would lose minutes.
// Memory is limited, because a growing cache would take down the node with PostgreSQL, RabbitMQ and Prometheus on it.
// Keys with an expiry are cache, and are evicted first. The user's lines follow: the last line of a directive decides.
func valkeyConfig(settings config.Redis) string {
	own, _ := settings.Values["valkeyConfig"].(string)
	return fmt.Sprintf("appendonly yes\nmaxmemory %dmb\nmaxmemory-policy volatile-lru\n", settings.MaxMemoryMiB) + own
}

func valkeyValues(cfg *config.Config, monitored bool) kube.Values {
	memory := cfg.Addons.Redis.MaxMemoryMiB
	resources := requests("50m", mebibytes(memory))
	resources["limits"] = kube.Values{"memory": mebibytes(2 * memory)}
	return storagePlacement(cfg).onto(kube.Values{
		"clusterDomain": cfg.Cluster.DNSDomain,
		"auth": kube.Values{
			"enabled":             true,
			"usersExistingSecret": "valkey-users",
			"aclUsers":            kube.Values{"default": kube.Values{"permissions": "~* &* +@all"}},
		},
		"dataStorage": kube.Values{
			"enabled":       true,
			"requestedSize": gibibytes(cfg.Addons.Redis.StorageGiB),
			"className":     storageClass,
		},
		// The volume can be attached to one node only, so the old pod has to stop first.
		"deploymentStrategy": "Recreate",
		"readinessProbe":     kube.Values{"enabled": true},
		"resources":          resources,
		"initResources":      requests("10m", "16Mi"),
		"metrics": kube.Values{
			"enabled":        true,
			"exporter":       kube.Values{"resources": requests("5m", "24Mi")},
			"serviceMonitor": kube.Values{"enabled": monitored},
		},
	})
}
