package addons

import (
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// metricsServer serves `kubectl top` and autoscalers.
func (b *builder) metricsServer() {
	settings := b.cfg.Addons.MetricsServer
	if !settings.On() {
		return
	}
	b.release("metrics-server", kube.ReleaseArgs{
		Values: metricsServerValues(b.cfg).Merge(settings.Values),
	}, needs(b.root.NodesReady))
}

func metricsServerValues(cfg *config.Config) kube.Values {
	return kube.Values{
		// The serving certificates of kubelets are self-signed. The connection is encrypted, but not verified.
		"args":      []string{"--kubelet-insecure-tls"},
		"tls":       kube.Values{"clusterDomain": cfg.Cluster.DNSDomain},
		"resources": requests("50m", "64Mi"),
	}
}
