package hosts

import "fmt"

// Overrides are settings that a test host needs and an EC2 instance does not, and the addresses of the mirror: keys of
// the configuration's namespace, to be merged over the stack's own, map by map. They are the same in each process as long
// as the network exists, so that they never look like a change.
func (g *Ground) Overrides() map[string]any {
	gateway := g.network.gateway()
	mirror := fmt.Sprintf("http://%s:%d", gateway, g.mirror.port)
	return map[string]any{
		"image": map[string]any{"os": "debian-12"},
		"mirrors": map[string]any{
			"kubernetesApt": mirror + "/apt/kubernetes",
			"containerdApt": mirror + "/apt/docker/linux",
			"etcd":          mirror + "/etcd",
			"registries":    map[string]any{"registry.k8s.io": mirror},
			"s3Endpoint":    fmt.Sprintf("http://%s:%d", gateway, objectPort),
		},
		"kubernetes": map[string]any{
			"kubelet":               map[string]any{"failCgroupV1": false},
			"kubeProxy":             map[string]any{"conntrack": map[string]any{"maxPerCore": 0, "min": 0}},
			"containerd":            containerdTOML,
			"ignorePreflightErrors": []any{"SystemVerification"},
		},
	}
}

// objectPort is where the hosts find the object store, on the address of this machine in their network.
const objectPort = 8098

// A host may not lower the OOM score of a process, which containerd does for each container otherwise.
const containerdTOML = "[plugins.'io.containerd.cri.v1.runtime']\nrestrict_oom_score_adj = true\n"
