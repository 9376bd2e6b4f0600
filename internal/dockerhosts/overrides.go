package dockerhosts

import (
	"fmt"
	"maps"
)

// Overrides are settings, by path in the configuration's namespace, that a test host needs and an EC2 instance does
// not, and the addresses of the mirror. They are the same in each process as long as the network exists, so that they
// never look like a change.
func (b *Backend) Overrides() map[string]any {
	settings := map[string]any{
		"image.os":                        "debian-12",
		"mirrors.s3Endpoint":              b.s3Endpoint(),
		"kubernetes.kubelet.failCgroupV1": false,
		// The hosts share this machine's disk. Other programs fill it, which must not evict pods or delete images.
		"kubernetes.kubelet.evictionHard":                map[string]any{"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
		"kubernetes.kubelet.imageGCHighThresholdPercent": 100,
		"kubernetes.kubeProxy.conntrack":                 map[string]any{"maxPerCore": 0, "min": 0},
		"kubernetes.containerd":                          containerdTOML,
		"kubernetes.ignorePreflightErrors":               []any{"SystemVerification"},
	}
	if !b.options.Public {
		mirror := fmt.Sprintf("http://%s:%d", b.network.gateway(), b.mirror.port)
		settings["mirrors.kubernetesApt"] = mirror + "/apt/kubernetes"
		settings["mirrors.kubernetesAptKey"] = b.mirror.pins.kubernetesKey
		settings["mirrors.containerdApt"] = mirror + "/apt/docker/linux"
		settings["mirrors.containerdAptKey"] = b.mirror.pins.containerdKey
		settings["mirrors.etcd"] = mirror + "/etcd"
		settings["mirrors.etcdSha256"] = b.mirror.pins.etcdSHA256
		settings["mirrors.registries"] = map[string]any{"registry.k8s.io": mirror}
	}
	if b.store.read().Platform.real() {
		maps.Copy(settings, b.installer.overrides(fmt.Sprintf("http://%s:%d", b.network.gateway(), b.mirror.port)))
	}
	if b.options.Domain != "" {
		// As long as a zone that the stack has made is not delegated, administrators reach the API by its address.
		settings["dns.createZone"] = true
	}
	return settings
}

func (s *stack) s3Endpoint() string {
	return fmt.Sprintf("http://%s:%d", s.network.gateway(), objectPort)
}

// objectPort is where the hosts find the object store, on the address of this machine in their network.
const objectPort = 8098

// A host may not lower the OOM score of a process, which containerd does for each container otherwise.
const containerdTOML = "[plugins.'io.containerd.cri.v1.runtime']\nrestrict_oom_score_adj = true\n"
