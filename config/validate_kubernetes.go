package config

import (
	"fmt"
	"strings"
)

// Settings of Kubernetes that the program answers for. Each says where else to turn, or why it must stay.
var (
	ownKubelet = map[string]string{
		"apiVersion":               "names the type of the file",
		"kind":                     "names the type of the file",
		"authentication":           "is the cluster's PKI; weakening it opens every node to its pods",
		"authorization":            "is the API server's word; weakening it opens every node to its pods",
		"cgroupDriver":             "must be the one that containerd uses, which is systemd",
		"clusterDNS":               "follows from network.serviceCidr",
		"clusterDomain":            "is cluster.dnsDomain",
		"containerRuntimeEndpoint": "is where this program installs containerd",
		"healthzBindAddress":       "is where kubeadm waits for the kubelet",
		"healthzPort":              "is where kubeadm waits for the kubelet",
		"port":                     "is the one that the security groups let through",
		"providerID":               "is different on every node",
		"readOnlyPort":             "would serve without asking who is calling",
		"registerNode":             "must stay on: a node that does not register is none",
		"registerWithTaints":       "is the same for all nodes here; use nodes[].taints",
		"rotateCertificates":       "must stay on: the certificate of a node ends after a year",
		"serverTLSBootstrap":       "needs an approver that this program does not install; without one, logs and exec stop working",
		"staticPodPath":            "is where kubeadm puts the control plane",
	}
	ownKubeProxy = map[string]string{
		"apiVersion":         "names the type of the file",
		"kind":               "names the type of the file",
		"clientConnection":   "is made by kubeadm",
		"clusterCIDR":        "is network.podCidr",
		"hostnameOverride":   "is different on every node",
		"metricsBindAddress": "is where Prometheus and the security groups look for it",
	}
	ownAPIServer = map[string]string{
		"advertise-address":                           "is the control plane's private address",
		"allow-privileged":                            "must stay on: CNI and CSI agents need it",
		"anonymous-auth":                              "must stay on: kubeadm's probes ask without a certificate",
		"audit-log-path":                              "is where the audit log is mounted",
		"audit-policy-file":                           "is written by this program",
		"authorization-mode":                          "must stay Node,RBAC",
		"bind-address":                                "must stay at all addresses",
		"client-ca-file":                              "is the cluster's PKI",
		"cloud-provider":                              "is gone since Kubernetes 1.33: the API server would not start",
		"enable-bootstrap-token-auth":                 "is kubeadm's",
		"encryption-provider-config":                  "is written by this program",
		"encryption-provider-config-automatic-reload": "is set by this program",
		"secure-port":                                 "is the one that the security groups let through",
		"service-cluster-ip-range":                    "is network.serviceCidr",
	}
	ownControllerManager = map[string]string{
		"allocate-node-cidrs":             "is kubeadm's",
		"authentication-kubeconfig":       "is kubeadm's",
		"authorization-kubeconfig":        "is kubeadm's",
		"bind-address":                    "is where Prometheus looks for it",
		"client-ca-file":                  "is the cluster's PKI",
		"cloud-provider":                  "must stay external: the cloud controller manager does its work",
		"cluster-cidr":                    "is network.podCidr",
		"cluster-name":                    "is cluster.name",
		"controllers":                     "is kubeadm's list",
		"kubeconfig":                      "is kubeadm's",
		"root-ca-file":                    "is the cluster's PKI",
		"secure-port":                     "is the one that the security groups let through",
		"service-cluster-ip-range":        "is network.serviceCidr",
		"use-service-account-credentials": "is kubeadm's",
	}
	ownScheduler = map[string]string{
		"authentication-kubeconfig": "is kubeadm's",
		"authorization-kubeconfig":  "is kubeadm's",
		"bind-address":              "is where Prometheus looks for it",
		"config":                    "names a file that is not on the host",
		"kubeconfig":                "is kubeadm's",
		"secure-port":               "is the one that the security groups let through",
	}
	// pkiFlags begin flags whose files are the cluster's PKI.
	pkiFlags = []string{"etcd-", "tls-cert-file", "tls-private-key-file", "kubelet-client-", "proxy-client-", "requestheader-", "service-account-key", "service-account-signing", "service-account-private", "cluster-signing-"}
)

func (v *validator) kubernetes() {
	k := v.c.Kubernetes
	v.ownFields("kubernetes.kubelet", k.Kubelet, ownKubelet)
	v.ownFields("kubernetes.kubeProxy", k.KubeProxy, ownKubeProxy)
	if mode, ok := k.KubeProxy["mode"]; ok && mode != "iptables" && v.c.Cluster.CNI == "calico" {
		v.fault("kubernetes.kubeProxy.mode", mode, "must be iptables, as Calico's data plane is: with two kinds of rules packets get lost", "iptables, or cluster.cni: none with a CNI of your own")
	}
	v.flags("kubernetes.apiServer", k.APIServer, ownAPIServer)
	v.flags("kubernetes.controllerManager", k.ControllerManager, ownControllerManager)
	v.flags("kubernetes.scheduler", k.Scheduler, ownScheduler)
	for i, name := range k.IgnorePreflightErrors {
		path := fmt.Sprintf("kubernetes.ignorePreflightErrors[%d]", i)
		switch {
		case strings.EqualFold(name, "all"):
			v.fault(path, name, "would hide every fault of a host; name the checks that may fail", "NumCPU")
		case !preflight.MatchString(name):
			v.fault(path, name, "must be the name of a kubeadm check, as kubeadm prints it in brackets", "NumCPU")
		}
	}
	v.unique("kubernetes.ignorePreflightErrors", k.IgnorePreflightErrors)
	v.containerd(k.Containerd)
}

// ownFields refuses fields of a Kubernetes configuration file that the program answers for.
func (v *validator) ownFields(path string, fields map[string]any, own map[string]string) {
	for _, name := range sortedKeys(fields) {
		if !fieldName.MatchString(name) {
			v.fault(child(path, name), fields[name], "is not the name of a field, which begins with a small letter", "maxPods")
		} else if why, ok := own[name]; ok {
			v.fault(child(path, name), fields[name], "cannot be set here: it "+why, "remove it")
		}
	}
}

func (v *validator) flags(path string, flags, own map[string]string) {
	for _, name := range sortedKeys(flags) {
		at, value := child(path, name), flags[name]
		why, owned := own[name]
		for _, prefix := range pkiFlags {
			if !owned && strings.HasPrefix(name, prefix) {
				why, owned = "is the cluster's PKI", true
			}
		}
		switch {
		case strings.HasPrefix(name, "-"):
			v.fault(at, value, "is written without the dashes", strings.TrimLeft(name, "-")+": value")
		case !flagName.MatchString(name):
			v.fault(at, value, "is not the name of a flag: small letters, digits and dashes", `max-requests-inflight: "600"`)
		case owned:
			v.fault(at, value, "cannot be set here: it "+why, "remove it")
		case strings.ContainsAny(value, "\r\n"):
			v.fault(at, value, "must be one line", `max-requests-inflight: "600"`)
		}
	}
}

// ownTables begin the tables of containerd's configuration that the program writes. TOML has no second of a table.
var ownTables = []string{
	"plugins.io.containerd.cri.v1.images.pinned_images",
	"plugins.io.containerd.cri.v1.images.registry",
	"plugins.io.containerd.cri.v1.runtime.containerd.runtimes.runc",
}

// containerd checks as much of the TOML as decides whether it can be appended; containerd itself checks the rest.
func (v *validator) containerd(text string) {
	const path, example = "kubernetes.containerd", "[debug]\n  level = \"debug\""
	inTable := false
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			table := strings.NewReplacer("'", "", `"`, "", " ", "").Replace(strings.Trim(strings.SplitN(line, "#", 2)[0], "[] "))
			for _, own := range ownTables {
				if table == own || own == ownTables[2] && table == own+".options" {
					v.fault(path, line, fmt.Sprintf("line %d opens a table that this program writes, and TOML allows each table once", number+1), example)
				}
			}
			inTable = true
		case !inTable:
			v.fault(path, line, fmt.Sprintf("line %d stands before the first table: it would become part of the program's last one", number+1), example)
			return
		}
	}
}
