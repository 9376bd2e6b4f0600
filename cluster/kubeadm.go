package cluster

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"kubeadm-aws/config"
)

const (
	// StartupTaint repels pods from a worker until its labels and taints are set, so that no pod is scheduled before
	// its rules exist. The node step removes it.
	StartupTaint = "kubeadm-aws/unconfigured"

	kubeadmAPI = "kubeadm.k8s.io/v1beta4"
	criSocket  = "unix:///run/containerd/containerd.sock"
	// discoveryFile is the path at which join.sh writes the joining kubeconfig, in memory, during the join.
	discoveryFile  = "/run/kubeadm-aws/discovery.conf"
	encryptionFile = "/etc/kubernetes/apiserver/encryption.yaml"
	auditLog       = "/var/log/kubernetes/audit"
	// kubeletPlugins is the directory in which prepare.sh installs the kubelet's credential provider and its
	// settings.
	kubeletPlugins = "/usr/local/lib/kubelet"
)

// nodeFacts are the facts about the machine that kubeadm and the kubelet need.
type nodeFacts struct {
	config.Node
	privateIP, providerID string
	region, zone          string
}

// controlPlaneFacts are the addresses of the API.
type controlPlaneFacts struct {
	node     nodeFacts
	endpoint string
	certSANs []string
	// issuer signs service-account tokens; empty leaves kubeadm's.
	issuer string
	keys   TokenKeys
}

// initConfig is the input of `kubeadm init`.
func initConfig(cfg *config.Config, r config.Release, f controlPlaneFacts) (string, error) {
	return renderYAML(
		object{
			"apiVersion":       kubeadmAPI,
			"kind":             "InitConfiguration",
			"localAPIEndpoint": object{"advertiseAddress": f.node.privateIP, "bindPort": 6443},
			"nodeRegistration": registration(cfg, f.node, controlPlaneTaints()),
		},
		clusterConfig(cfg, r, f),
		kubeletConfig(cfg),
		kubeProxyConfig(cfg),
	)
}

func controlPlaneTaints() []any {
	return []any{object{"key": controlPlaneRole, "effect": "NoSchedule"}}
}

// joinConfig is the input of `kubeadm join`. It does not depend on labels and taints, so a change of them does not
// touch the host.
func joinConfig(cfg *config.Config, f nodeFacts) (string, error) {
	join := object{
		"apiVersion":       kubeadmAPI,
		"kind":             "JoinConfiguration",
		"discovery":        object{"file": object{"kubeConfigPath": discoveryFile}},
		"nodeRegistration": registration(cfg, f, []any{object{"key": StartupTaint, "effect": "NoSchedule"}}),
	}
	if f.Role == config.ControlPlane {
		join["controlPlane"] = object{"localAPIEndpoint": object{"advertiseAddress": f.privateIP, "bindPort": 6443}}
		join["nodeRegistration"] = registration(cfg, f, controlPlaneTaints())
	}
	return renderYAML(join)
}

// upgradeConfig is the input of `kubeadm upgrade apply` on a control plane and of `kubeadm upgrade node` on a worker.
func upgradeConfig(cfg *config.Config, r config.Release) object {
	apply := object{
		"kubernetesVersion": "v" + r.Version,
		// upgrade.sh upgrades etcd before.
		"etcdUpgrade": false,
	}
	node := object{"etcdUpgrade": false}
	if ignored := cfg.Kubernetes.IgnorePreflightErrors; len(ignored) > 0 {
		apply["ignorePreflightErrors"], node["ignorePreflightErrors"] = ignored, ignored
	}
	return object{"apiVersion": kubeadmAPI, "kind": "UpgradeConfiguration", "apply": apply, "node": node}
}

func registration(cfg *config.Config, f nodeFacts, taints []any) object {
	r := object{
		"name":      f.Name,
		"criSocket": criSocket,
		"taints":    taints,
		"kubeletExtraArgs": flags(map[string]string{
			"cloud-provider": "external",
			"node-ip":        f.privateIP,
			// Without these flags a node may pull from ECR but cannot log in.
			"image-credential-provider-bin-dir": kubeletPlugins,
			"image-credential-provider-config":  kubeletPlugins + "/credentials.yaml",
			// With this flag, load balancers and volumes work before the cloud controller manager has processed the
			// node, and the node's name need not be its name in AWS.
			"provider-id": f.providerID,
			// The kubelet may set these labels on its own node. Other labels need an administrator.
			"node-labels": fmt.Sprintf(
				"node.kubernetes.io/instance-type=%s,topology.kubernetes.io/region=%s,topology.kubernetes.io/zone=%s",
				f.InstanceType, f.region, f.zone),
		}, nil),
	}
	if len(cfg.Kubernetes.IgnorePreflightErrors) > 0 {
		r["ignorePreflightErrors"] = cfg.Kubernetes.IgnorePreflightErrors
	}
	return r
}

func clusterConfig(cfg *config.Config, r config.Release, f controlPlaneFacts) object {
	k := cfg.Kubernetes
	return object{
		"apiVersion":           kubeadmAPI,
		"kind":                 "ClusterConfiguration",
		"clusterName":          cfg.Cluster.Name,
		"kubernetesVersion":    "v" + r.Version,
		"controlPlaneEndpoint": f.endpoint + ":" + apiPort,
		// ECDSA is faster than RSA to create and to verify, and every client of the API supports it.
		"encryptionAlgorithm": "ECDSA-P256",
		// kubeadm renews its certificates only in upgrades. With its default of one year, the control plane would
		// then stop. The certificates are next to the key of their authority, so a shorter lifetime would not limit a
		// thief.
		"certificateValidityPeriod": "43800h0m0s",
		"networking": object{
			"podSubnet":     cfg.Network.PodCIDR,
			"serviceSubnet": cfg.Network.ServiceCIDR,
			"dnsDomain":     cfg.Cluster.DNSDomain,
		},
		"apiServer": object{
			"certSANs": f.certSANs,
			"extraArgs": slices.Concat(flags(map[string]string{
				"audit-log-maxage":                            "30",
				"audit-log-maxbackup":                         "10",
				"audit-log-maxsize":                           "100",
				"audit-log-path":                              auditLog + "/audit.log",
				"audit-policy-file":                           auditPolicyFile(),
				"encryption-provider-config":                  encryptionFile,
				"encryption-provider-config-automatic-reload": "true",
				"profiling":                                   "false",
				// The token of a service account ends after the requested hour, not after a year.
				"service-account-extend-token-expiration": "false",
				"tls-min-version":                         "VersionTLS12",
			}, k.APIServer), issuerFlags(f.issuer, cfg.ClusterIssuer()), f.keys.apiServerFlags()),
			"extraVolumes": []any{
				object{"name": "apiserver-config", "hostPath": "/etc/kubernetes/apiserver",
					"mountPath": "/etc/kubernetes/apiserver", "readOnly": true, "pathType": "DirectoryOrCreate"},
				object{"name": "audit-log", "hostPath": auditLog, "mountPath": auditLog, "pathType": "DirectoryOrCreate"},
			},
		},
		// Metrics listen on all addresses for Prometheus. The security groups block them from outside.
		"controllerManager": object{"extraArgs": append(flags(map[string]string{
			"bind-address":                "0.0.0.0",
			"cloud-provider":              "external",
			"profiling":                   "false",
			"terminated-pod-gc-threshold": "1000",
			"tls-min-version":             "VersionTLS12",
		}, k.ControllerManager), f.keys.controllerManagerFlags()...)},
		"scheduler": object{"extraArgs": flags(map[string]string{
			"bind-address":    "0.0.0.0",
			"profiling":       "false",
			"tls-min-version": "VersionTLS12",
		}, k.Scheduler)},
		"etcd": object{"local": object{
			"dataDir": "/var/lib/etcd",
			"extraArgs": flags(map[string]string{
				"listen-metrics-urls": "http://0.0.0.0:2381",
			}, nil),
		}},
	}
}

// kubeletConfig returns one configuration for all nodes. kubeadm stores it in the cluster.
// The serving certificate of each kubelet is self-signed. The alternative, serverTLSBootstrap, leaves a kubelet
// without any certificate until a request is approved, at the first start and at every rotation; meanwhile the node
// has no logs and no exec. An approver that does not check the names in a request against the node's real addresses
// gives less security than it seems to. Port 10250 is open only to the cluster's own nodes. Therefore metrics-server
// does not verify kubelets.
func kubeletConfig(cfg *config.Config) object {
	return merge(object{
		"apiVersion":            "kubelet.config.k8s.io/v1beta1",
		"kind":                  "KubeletConfiguration",
		"cgroupDriver":          "systemd",
		"maxParallelImagePulls": 4,
		"podPidsLimit":          4096,
		"rotateCertificates":    true,
		"seccompDefault":        true,
		"serializeImagePulls":   false,
		// A node that shuts down ends its pods in order, so that volumes detach immediately and not after six
		// minutes.
		"shutdownGracePeriod":             "45s",
		"shutdownGracePeriodCriticalPods": "15s",
		// Without a reserve, the pods of a small node starve the kubelet and containerd, and the node becomes
		// NotReady.
		"systemReserved": object{"cpu": "100m", "memory": "256Mi"},
		"tlsMinVersion":  "VersionTLS12",
	}, cfg.Kubernetes.Kubelet)
}

// shutdownSeconds is how long the kubelet may delay a shutdown of its node: the period that kubeletConfig requests
// from logind.
func shutdownSeconds(cfg *config.Config) int {
	kubelet := kubeletConfig(cfg)
	total := 0
	if text, ok := kubelet["shutdownGracePeriod"].(string); ok {
		if period, err := time.ParseDuration(text); err == nil {
			total = int(math.Ceil(period.Seconds()))
		}
	}
	priorities, _ := kubelet["shutdownGracePeriodByPodPriority"].([]any)
	for _, p := range priorities {
		fields, _ := p.(object)
		seconds, _ := fields["shutdownGracePeriodSeconds"].(int)
		total += seconds
	}
	return total
}

func kubeProxyConfig(cfg *config.Config) object {
	return merge(object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"metricsBindAddress": "0.0.0.0:10249",
		"mode":               "iptables",
	}, cfg.Kubernetes.KubeProxy)
}

// flags returns kubeadm's list form of command-line flags, with the user's flags over the program's.
func flags(own, user map[string]string) []any {
	all := maps.Clone(own)
	maps.Copy(all, user)
	list := make([]any, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, object{"name": name, "value": all[name]})
	}
	return list
}
