package addons

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// redis installs Valkey, the continuation of Redis under its old licence. Clients talk to it as to Redis.
func (b *builder) redis(data, monitors pulumi.Resource, vol volumes) error {
	settings := b.cfg.Addons.Redis
	if !settings.On() {
		return nil
	}
	password, err := b.password("redis")
	if err != nil {
		return err
	}
	credentials, err := b.secret("valkey-users", dataNamespace, "Opaque", nil,
		map[string]pulumi.StringInput{"default": password}, needs(data))
	if err != nil {
		return err
	}
	server, err := b.release("valkey", valkeyChart, kube.ReleaseArgs{
		Namespace: dataNamespace,
		Values:    valkeyValues(b.cfg, monitors != nil).Merge(settings.Values),
	}, needs(b.root.NodesReady, credentials, vol.class, vol.gate, monitors))
	if err != nil {
		return err
	}
	return b.applyPassword("redis", "default", password, server)
}

func valkeyValues(cfg *config.Config, monitored bool) kube.Values {
	return storagePlacement(cfg).onto(kube.Values{
		"clusterDomain": cfg.Cluster.DNSDomain,
		"auth": kube.Values{
			"enabled":             true,
			"usersExistingSecret": "valkey-users",
			"aclUsers":            kube.Values{"default": kube.Values{"permissions": "~* &* +@all"}},
		},
		"dataStorage": kube.Values{
			"enabled":       true,
			"requestedSize": fmt.Sprintf("%dGi", cfg.Addons.Redis.StorageGiB),
			"className":     storageClass,
		},
		// Every write goes to the log on disk within a second; without it a restart loses minutes.
		"valkeyConfig": "appendonly yes\n",
		// The volume can be attached to one node only, so the old pod has to go first.
		"deploymentStrategy": "Recreate",
		"readinessProbe":     kube.Values{"enabled": true},
		"resources":          requests("50m", "128Mi"),
		"initResources":      requests("10m", "16Mi"),
		"metrics": kube.Values{
			"enabled":        true,
			"exporter":       kube.Values{"resources": requests("5m", "24Mi")},
			"serviceMonitor": kube.Values{"enabled": monitored},
		},
	})
}
