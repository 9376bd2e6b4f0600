package config

import "strings"

// Settings of Kubernetes that the program controls. Each text is the predicate of a sentence about the setting: where
// it is decided, or why it cannot change.
var (
	ownKubelet = map[string]string{
		"address":                  "is what the security groups and metrics-server count on",
		"apiVersion":               "names the type of the file",
		"authentication":           "is the cluster's PKI; weakening it opens every node to its pods",
		"authorization":            "is the API server's word; weakening it opens every node to its pods",
		"cgroupDriver":             "must be the one that containerd uses, which is systemd",
		"cgroupRoot":               "is made by systemd",
		"clusterDNS":               "follows from network.serviceCidr",
		"clusterDomain":            "is cluster.dnsDomain",
		"containerRuntimeEndpoint": "is where this program installs containerd",
		"enableDebuggingHandlers":  "must stay true: logs, exec and the gates of a destroy need it",
		"enableServer":             "must stay true: logs, exec and metrics need it",
		"healthzBindAddress":       "is where kubeadm waits for the kubelet",
		"healthzPort":              "is where kubeadm waits for the kubelet",
		"imageServiceEndpoint":     "is where this program installs containerd",
		"kind":                     "names the type of the file",
		"podCIDR":                  "is different on every node",
		"podLogsDir":               "is where Fluent Bit reads the logs",
		"port":                     "is the one that the security groups let through",
		"providerID":               "is different on every node",
		"readOnlyPort":             "would serve without asking who is calling",
		"registerNode":             "must stay true: the kubelet has to register the node",
		"registerWithTaints":       "is the same for all nodes here; use nodes[].taints",
		"resolvConf":               "is chosen by kubeadm for the host's resolver",
		"rotateCertificates":       "must stay true: the certificate of a node ends after a year",
		"runOnce":                  "would end the kubelet after its first pods",
		"serverTLSBootstrap": "needs an approver that this program does not install; without one, logs and exec " +
			"stop working",
		"staticPodPath":      "is where kubeadm puts the control plane",
		"staticPodURL":       "would let another host start pods next to the control plane",
		"staticPodURLHeader": "goes with staticPodURL",
		"tlsCertFile":        "is the cluster's PKI",
		"tlsPrivateKeyFile":  "is the cluster's PKI",
	}
	ownKubeProxy = map[string]string{
		"apiVersion":          "names the type of the file",
		"bindAddress":         "decides the IP family, which is IPv4",
		"clientConnection":    "is made by kubeadm",
		"clusterCIDR":         "is network.podCidr",
		"hostnameOverride":    "is different on every node",
		"kind":                "names the type of the file",
		"metricsBindAddress":  "is where Prometheus and the security groups look for it",
		"windowsRunAsService": "is for Windows",
		"winkernel":           "is for Windows",
	}
	ownAPIServer = map[string]string{
		"admission-control":                           "is replaced by enable-admission-plugins",
		"advertise-address":                           "is the control plane's private address",
		"allow-privileged":                            "must stay true: CNI and CSI agents need it",
		"anonymous-auth":                              "must stay true: kubeadm's probes ask without a certificate",
		"api-audiences":                               "is written into the tokens of all pods",
		"apiserver-count":                             "is kubeadm's",
		"bind-address":                                "must stay at all addresses",
		"cloud-provider":                              "was removed in Kubernetes 1.33: the API server would not start",
		"enable-bootstrap-token-auth":                 "is kubeadm's",
		"encryption-provider-config":                  "is written by this program",
		"encryption-provider-config-automatic-reload": "is set by this program",
		"endpoint-reconciler-type":                    "must stay lease: it keeps the addresses of the API",
		"kubelet-certificate-authority":               "is the cluster's PKI",
		"kubelet-port":                                "is the one that the security groups let through",
		"kubelet-preferred-address-types":             "must begin with InternalIP: no DNS knows the names of the nodes",
		"kubelet-read-only-port":                      "is closed on every node",
		"kubernetes-service-node-port":                "would open the API on every node",
		"runtime-config-emulation-forward-compatible": "is decided by cluster.kubernetesVersion",
		"secure-port":                                 "is the one that the security groups let through",
		"service-account-issuer":                      "is written into the tokens of all pods, and IAM trusts tokens by it",
		"service-account-jwks-uri":                    "goes with the issuer of the tokens",
		"service-cluster-ip-range":                    "is network.serviceCidr",
		"service-node-port-range":                     "is what the security groups and the kernel keep free, 30000-32767",
		"storage-backend":                             "must stay etcd3",
	}
	ownControllerManager = map[string]string{
		"allocate-node-cidrs":             "is kubeadm's",
		"allow-untagged-cloud":            "is the cloud controller manager's",
		"bind-address":                    "is where Prometheus looks for it",
		"cidr-allocator-type":             "is kubeadm's",
		"cloud-provider":                  "must stay external: the cloud controller manager does its work",
		"cluster-cidr":                    "is network.podCidr",
		"cluster-name":                    "is cluster.name",
		"configure-cloud-routes":          "is the cloud controller manager's; the overlay needs no routes",
		"controllers":                     "is kubeadm's list",
		"enable-leader-migration":         "is for the move to a cloud controller manager, which is done",
		"external-cloud-volume-plugin":    "is the EBS CSI driver's",
		"leader-elect-resource-lock":      "must stay leases",
		"leader-elect-resource-name":      "is the one that the component may write",
		"leader-elect-resource-namespace": "is the one that the component may write",
		"master":                          "is kubeadm's",
		"node-cidr-mask-size":             "must stay 24: network.podCidr is checked by it",
		"node-cidr-mask-size-ipv4":        "must stay 24: network.podCidr is checked by it",
		"node-cidr-mask-size-ipv6":        "is for IPv6, which the VPC does not have",
		"secure-port":                     "is the one that the security groups let through",
		"service-cluster-ip-range":        "is network.serviceCidr",
		"use-service-account-credentials": "is kubeadm's",
	}
	ownScheduler = map[string]string{
		"bind-address":                    "is where Prometheus looks for it",
		"config":                          "names a file that is not on the host",
		"leader-elect-resource-lock":      "must stay leases",
		"leader-elect-resource-name":      "is the one that the component may write",
		"leader-elect-resource-namespace": "is the one that the component may write",
		"master":                          "is kubeadm's",
		"secure-port":                     "is the one that the security groups let through",
		"write-config-to":                 "would end the scheduler after it has written the file",
	}
)

// ownPrefixes and ownSuffixes match the names of flags that the program controls, in every component. The rule for
// files covers files on the host; the flags that name those files are in the tables above.
var (
	ownPrefixes = []struct{ prefix, why string }{
		{"audit-policy", "is written by this program"},
		{"audit-log-path", "is where the audit log is mounted"},
		{"audit-webhook-", "needs a file that is not on the host"},
		{"authentication-", "is decided by kubeadm"},
		{"authorization-", "is decided by kubeadm: it must stay Node,RBAC"},
		{"client-ca-file", "is the cluster's PKI"},
		{"cluster-signing-", "is the cluster's PKI"},
		{"emulat", "is decided by cluster.kubernetesVersion"},
		{"etcd-", "is the cluster's PKI"},
		{"help", "would end the component at once"},
		{"kubeconfig", "is kubeadm's"},
		{"kubelet-client-", "is the cluster's PKI"},
		{"min-compatibility-version", "is decided by cluster.kubernetesVersion"},
		{"oidc-ca-file", "names a file that is not on the host; the authorities of the system are trusted"},
		{"peer-", "is for API servers of different versions"},
		{"proxy-client-", "is the cluster's PKI"},
		{"requestheader-", "is the cluster's PKI"},
		{"root-ca-file", "is the cluster's PKI"},
		{"service-account-key", "is the cluster's PKI"},
		{"service-account-private", "is the cluster's PKI"},
		{"service-account-signing", "is the cluster's PKI"},
		{"tls-cert-file", "is the cluster's PKI"},
		{"tls-private-key-file", "is the cluster's PKI"},
		{"tls-sni-cert-key", "is the cluster's PKI"},
		{"version", "would end the component at once"},
	}
	ownSuffixes = []string{"-file", "-config", "-dir", "-path", "-manifest", "-filepath-nfs", "-filepath-hostpath"}
)

// ownFlag returns why a flag cannot be set, or "".
func ownFlag(name string, own map[string]string) string {
	if why, ok := own[name]; ok {
		return why
	}
	for _, p := range ownPrefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.why
		}
	}
	for _, suffix := range ownSuffixes {
		if strings.HasSuffix(name, suffix) && name != "runtime-config" {
			return "names a file that is not on the host"
		}
	}
	return ""
}
