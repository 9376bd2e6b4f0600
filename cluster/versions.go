package cluster

import (
	"fmt"
	"strings"
)

// What hosts install is pinned here and not by the server that it comes from: repositories by the fingerprint of the key
// that signs them, archives by checksum. cluster/pins.sh compares this table with the sources and updates it.
const (
	// EtcdToolsVersion is the release of etcdctl and etcdutl on control planes. Both read snapshots of every etcd
	// 3.6 server.
	EtcdToolsVersion = "3.6.14"
	// etcdToolsSHA256 is the checksum of etcd-v<version>-linux-amd64.tar.gz.
	etcdToolsSHA256 = "ffe840ff9295808e88cce2794a18a5ac87f12a5203c8314d0bf6aa119b41bac5"

	// kubernetesAptKey is the key of isv:kubernetes, which signs the repositories of all minor releases.
	kubernetesAptKey = "DE15B14486CD377B9E876E1A234654DA9A296436"
	// containerdAptKey is the key of Docker Release (CE deb), for Debian and Ubuntu.
	containerdAptKey = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
)

const (
	// containerdVersion is a pattern for apt. 2.2 is the oldest series that Kubernetes 1.36 supports and the newest
	// whose configuration has version 3 only.
	containerdVersion = "2.2.*"

	defaultKubernetesApt = "https://pkgs.k8s.io"
	defaultContainerdApt = "https://download.docker.com/linux"
	defaultEtcdReleases  = "https://github.com/etcd-io/etcd/releases/download"

	imageRegistry = "registry.k8s.io"
)

// companions are the images that a minor release of kubeadm installs beside Kubernetes' own.
type companions struct{ pause, etcd, coreDNS string }

var companionsOf = map[string]companions{
	"1.35": {pause: "3.10.1", etcd: "3.6.6-0", coreDNS: "v1.13.1"},
	"1.36": {pause: "3.10.2", etcd: "3.6.8-0", coreDNS: "v1.14.2"},
}

// release is a Kubernetes version and what goes with it.
type release struct {
	version string // such as 1.36.3
	minor   string // such as 1.36
	companions
}

func releaseOf(version string) (release, error) {
	parts := strings.Split(version, ".")
	if len(parts) != 3 {
		return release{}, fmt.Errorf("kubernetes version %q is not of the form 1.36.3", version)
	}
	minor := parts[0] + "." + parts[1]
	c, ok := companionsOf[minor]
	if !ok {
		return release{}, fmt.Errorf("kubernetes %s is not supported: this program knows 1.35 and 1.36", version)
	}
	return release{version: version, minor: minor, companions: c}, nil
}

func (r release) sandboxImage() string { return imageRegistry + "/pause:" + r.pause }

// images are the ones that kubeadm starts on a node. dns.go says where CoreDNS runs.
func (r release) images(controlPlane bool) []string {
	images := []string{r.sandboxImage(), imageRegistry + "/kube-proxy:v" + r.version, imageRegistry + "/coredns/coredns:" + r.coreDNS}
	if controlPlane {
		images = append(images,
			imageRegistry+"/etcd:"+r.etcd,
			imageRegistry+"/kube-apiserver:v"+r.version,
			imageRegistry+"/kube-controller-manager:v"+r.version,
			imageRegistry+"/kube-scheduler:v"+r.version,
		)
	}
	return images
}
