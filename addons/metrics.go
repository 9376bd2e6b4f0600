package addons

import (
	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// metricsServer is the add-on that serves `kubectl top` and autoscalers.
type metricsServer struct{ *builder }

func (m metricsServer) install() {
	settings := m.cfg.Addons.MetricsServer
	if !settings.On() {
		return
	}
	m.release("metrics-server", kube.ReleaseArgs{
		Values: metricsServerValues(m.cfg).Merge(settings.Values),
	}, needs(m.root.NodesReady))
}

func metricsServerValues(cfg *config.Config) kube.Values {
	return kube.Values{
		// The serving certificates of kubelets are self-signed. The connection is encrypted, but not verified.
		"args":      []string{"--kubelet-insecure-tls"},
		"tls":       kube.Values{"clusterDomain": cfg.Cluster.DNSDomain},
		"resources": requests("50m", "64Mi"),
	}
}
