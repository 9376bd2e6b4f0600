package config

import (
	"fmt"
	"slices"
	"strings"
)

// Release is a minor release of Kubernetes with the versions that belong to it.
type Release struct {
	// Version is a patch release such as 1.36.3. Tests, schematest and the mirror use the one in Releases. A stack
	// may name another patch of the same minor release.
	Version string
	// Pause, Etcd and CoreDNS are the tags of the images that kubeadm installs in addition to those of Kubernetes.
	Pause, Etcd, CoreDNS string
	// CloudController is the image tag of the AWS cloud controller manager. It may not be newer than the API server,
	// and at most one minor release older.
	CloudController string
}

// Releases are the supported minor releases, oldest first. The last one is the default of new stacks.
// tools/mirror/new-release changes a row and the files that follow it; TestFilesFollowTheReleases names any that do
// not.
var Releases = []Release{
	{Version: "1.35.4", Pause: "3.10.1", Etcd: "3.6.6-0", CoreDNS: "v1.13.1", CloudController: "v1.35.2"},
	{Version: "1.36.3", Pause: "3.10.2", Etcd: "3.6.8-0", CoreDNS: "v1.14.2", CloudController: "v1.36.1"},
}

// The versions that hosts install in addition to Kubernetes, the same for all releases. A package is trusted by the
// fingerprint of its repository's signing key and an archive by its checksum, whichever server delivers it.
// config/pins.sh compares these pins with the sources and updates the checksum.
const (
	// EtcdToolsVersion is the release of etcdctl and etcdutl on control planes. Both read snapshots of every etcd 3.6
	// server.
	EtcdToolsVersion = "3.6.14"
	// EtcdToolsSHA256 is the checksum of etcd-v<version>-linux-amd64.tar.gz.
	EtcdToolsSHA256 = "ffe840ff9295808e88cce2794a18a5ac87f12a5203c8314d0bf6aa119b41bac5"

	// KubernetesAptKey is the fingerprint of the key isv:kubernetes, which signs the repositories of all minor
	// releases.
	KubernetesAptKey = "DE15B14486CD377B9E876E1A234654DA9A296436"
	// ContainerdAptKey is the fingerprint of the key Docker Release (CE deb), for Debian and Ubuntu.
	ContainerdAptKey = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"

	// ContainerdVersion is a version pattern for apt. 2.2 is the oldest series that Kubernetes 1.36 supports, and the
	// newest whose configuration has only version 3.
	ContainerdVersion = "2.2.*"

	DefaultKubernetesApt = "https://pkgs.k8s.io"
	DefaultContainerdApt = "https://download.docker.com/linux"
	DefaultEtcdReleases  = "https://github.com/etcd-io/etcd/releases/download"

	imageRegistry = "registry.k8s.io"
)

// DefaultRelease is the release of a stack that does not set one.
func DefaultRelease() Release { return Releases[len(Releases)-1] }

// ReleaseOf returns the row of a version's minor release, with that version as its Version.
func ReleaseOf(version string) (Release, error) {
	if !fullVersion.MatchString(version) {
		return Release{}, fmt.Errorf("kubernetes version %q is not of the form %s", version, DefaultRelease().Version)
	}
	r := Release{Version: version}
	i := slices.Index(minors(), r.Minor())
	if i < 0 {
		return Release{}, fmt.Errorf("kubernetes %s is not supported: this program supports %s", version, listMinors())
	}
	r = Releases[i]
	r.Version = version
	return r, nil
}

// Release returns the row of the stack's Kubernetes version. Load refuses a version without a row.
func (c *Config) Release() Release {
	r, _ := ReleaseOf(c.Cluster.KubernetesVersion)
	return r
}

// Minor returns the minor release, such as 1.36.
func (r Release) Minor() string { return r.Version[:strings.LastIndex(r.Version, ".")] }

// MutatesPods reports whether the API server has MutatingAdmissionPolicies. They are stable, and on, from 1.36 on.
func (r Release) MutatesPods() bool { return r.Minor() != "1.35" }

// SandboxImage returns the image of the container that holds a pod's namespaces.
func (r Release) SandboxImage() string { return imageRegistry + "/pause:" + r.Pause }

// Images returns the images that kubeadm starts on a node. cluster/dns.go decides on which nodes CoreDNS runs.
func (r Release) Images(controlPlane bool) []string {
	images := []string{r.SandboxImage(), imageRegistry + "/kube-proxy:v" + r.Version,
		imageRegistry + "/coredns/coredns:" + r.CoreDNS}
	if controlPlane {
		images = append(images,
			imageRegistry+"/etcd:"+r.Etcd,
			imageRegistry+"/kube-apiserver:v"+r.Version,
			imageRegistry+"/kube-controller-manager:v"+r.Version,
			imageRegistry+"/kube-scheduler:v"+r.Version,
		)
	}
	return images
}

// minors returns the minor releases in the order of Releases.
func minors() []string {
	var all []string
	for _, r := range Releases {
		all = append(all, r.Minor())
	}
	return all
}

// listMinors returns text such as "1.35 and 1.36".
func listMinors() string { return strings.Join(minors(), " and ") }
