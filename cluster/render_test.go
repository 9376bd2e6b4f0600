package cluster

import (
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares text with testdata/<name>. cluster/schematest decodes the same files with the types of Kubernetes.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./cluster -update", err)
	}
	if text != string(want) {
		t.Errorf("%s differs from what is rendered now; look at the difference after: go test ./cluster -update\n%s", path,
			firstDifference(string(want), text))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			at := func(lines []string) string {
				if i < len(lines) {
					return lines[i]
				}
				return "(end)"
			}
			return "want: " + at(w) + "\ngot:  " + at(g)
		}
	}
	return ""
}

func settings() *config.Config {
	return &config.Config{
		Region: "eu-central-1",
		Stack:  "dev",
		Cluster: config.Cluster{
			Name:              "dev",
			KubernetesVersion: "1.36.3",
			DNSDomain:         "cluster.local",
		},
		Network: config.Network{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/12"},
		Backup:  config.Backup{EveryHours: 6},
	}
}

// extended are settings with a value in every place where a user may set one.
func extended() *config.Config {
	cfg := settings()
	cfg.Kubernetes = config.Kubernetes{
		Kubelet: map[string]any{"maxPods": 60, "failCgroupV1": false,
			"systemReserved": map[string]any{"memory": "1Gi"}},
		KubeProxy:             map[string]any{"mode": "nftables", "conntrack": map[string]any{"maxPerCore": 0, "min": 0}},
		APIServer:             map[string]string{"audit-log-maxage": "7", "event-ttl": "2h"},
		ControllerManager:     map[string]string{"node-monitor-grace-period": "30s"},
		Scheduler:             map[string]string{"v": "2"},
		IgnorePreflightErrors: []string{"SystemVerification"},
		Containerd:            "[plugins.'io.containerd.cri.v1.runtime']\n  restrict_oom_score_adj = true\n",
	}
	return cfg
}

// mirrored are registries with every kind of mirror.
func mirrored() map[string]config.RegistryMirror {
	return map[string]config.RegistryMirror{
		"registry.k8s.io": {URL: "https://mirror.example.com"},
		"docker.io": {URL: "https://harbor.example.com/v2/hub",
			CA: "-----BEGIN CERTIFICATE-----\nAUTHORITY\n-----END CERTIFICATE-----\n", Username: "robot$nodes",
			Password: `a"b'$(c)`},
		"quay.io": {URL: "https://nexus.example.com/repository/quay"},
	}
}

func controlPlane() controlPlaneFacts {
	return controlPlaneFacts{
		node: nodeFacts{
			Node:       config.Node{Name: "master", Role: config.ControlPlane, InstanceType: "t3.large"},
			privateIP:  "10.0.1.10",
			providerID: "aws:///eu-central-1a/i-0123456789abcdef0",
			region:     "eu-central-1",
			zone:       "eu-central-1a",
		},
		endpoint: "api.dev.internal",
		certSANs: []string{"api.dev.internal", "10.0.1.10", "203.0.113.7"},
	}
}

func worker() nodeFacts {
	return nodeFacts{
		Node: config.Node{
			Name: "storage", Role: config.Worker, InstanceType: "t3.large",
			Labels: map[string]string{"workload": "storage"},
			Taints: []config.Taint{{Key: "workload", Value: "storage", Effect: "NoSchedule"}},
		},
		privateIP:  "10.0.2.10",
		providerID: "aws:///eu-central-1b/i-0fedcba9876543210",
		region:     "eu-central-1",
		zone:       "eu-central-1b",
	}
}

// patchZero returns the first patch of a minor release. Files rendered for it do not change when a row gets another
// patch.
func patchZero(t *testing.T, r config.Release) config.Release {
	t.Helper()
	r, err := config.ReleaseOf(r.Minor() + ".0")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// cluster/schematest compares the images with those of kubeadm.
func TestContainerdPinsTheSandboxImage(t *testing.T) {
	for _, r := range config.Releases {
		if text := containerdConfig(r, ""); !strings.Contains(text, "sandbox = '"+r.Images(false)[0]+"'") {
			t.Errorf("%s has the sandbox image %s, and containerd is told\n%s", r.Version, r.SandboxImage(), text)
		}
	}
}

func TestRendered(t *testing.T) {
	must := func(text string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	newest := patchZero(t, config.DefaultRelease())
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	registries, err := registryFiles(mirrored())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"kubeadm/init-extended.yaml":  must(initConfig(extended(), newest, controlPlane())),
		"kubeadm/init-identity.yaml":  must(initConfig(settings(), newest, withIssuer())),
		"kubeadm/join.yaml":           must(joinConfig(settings(), worker())),
		"kubeadm/join-extended.yaml":  must(joinConfig(extended(), worker())),
		"kubeadm/upgrade.yaml":        must(renderYAML(upgradeConfig(extended(), newest))),
		"apiserver/encryption.yaml":   must(encryptionConfig(key)),
		"apiserver/audit-policy.yaml": auditPolicy,
		"containerd/config.toml":      containerdConfig(newest, ""),
		"containerd/config-extended":  containerdConfig(newest, extended().Kubernetes.Containerd),
		"kubeconfig.yaml": must(renderKubeconfig(
			kubeconfigArgs{"dev", "203.0.113.7", "admin", "AUTHORITY", "CERTIFICATE", "KEY"})),
		"containerd/registry-mirrors": registryMirrors(mirrored()),
	}
	for _, r := range config.Releases {
		r = patchZero(t, r)
		files["kubeadm/init-"+r.Minor()+".yaml"] = must(initConfig(settings(), r, controlPlane()))
		files["images-control-plane-"+r.Minor()+".txt"] = strings.Join(r.Images(true), "\n") + "\n"
	}
	for name, text := range registries {
		files["containerd/certs.d/"+name] = text
	}
	for name, text := range files {
		t.Run(name, func(t *testing.T) { golden(t, name, text) })
	}
}

func TestRenderingIsTheSameEveryTime(t *testing.T) {
	first, err := initConfig(extended(), config.DefaultRelease(), controlPlane())
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		again, err := initConfig(extended(), config.DefaultRelease(), controlPlane())
		if err != nil {
			t.Fatal(err)
		}
		if again != first {
			t.Fatal("two renderings of the same settings differ, so every `up` would change the cluster")
		}
	}
}

func TestJoinDoesNotDependOnLabelsAndTaints(t *testing.T) {
	with, without := worker(), worker()
	without.Labels, without.Taints = nil, nil
	a, errA := joinConfig(settings(), with)
	b, errB := joinConfig(settings(), without)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a != b {
		t.Error("a changed label or taint would run the join again")
	}
}

func TestMergeGoesIntoMappingsAndLeavesTheBaseAlone(t *testing.T) {
	base := object{"a": object{"one": 1, "two": 2}, "list": []any{1, 2}}
	got := merge(base, object{"a": object{"two": 3}, "list": []any{4}, "new": true})
	want := "a:\n  one: 1\n  two: 3\nlist:\n  - 4\nnew: true\n"
	if text, err := renderYAML(got); err != nil || text != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, text, want)
	}
	if base["a"].(object)["two"] != 2 {
		t.Error("merge changed its base")
	}
}

func TestEncryptionKeyHasToBe32Bytes(t *testing.T) {
	for _, key := range []string{"", "no base64!", base64.StdEncoding.EncodeToString([]byte("short"))} {
		text, err := encryptionConfig(key)
		if err == nil {
			t.Errorf("key %q was accepted", key)
		}
		if key != "" && err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("the error shows the key: %v", err)
		}
		if text != "" {
			t.Errorf("something was rendered with key %q", key)
		}
	}
}

func TestUserFlagsWin(t *testing.T) {
	got := flags(map[string]string{"profiling": "false", "v": "1"}, map[string]string{"v": "4", "a": "b"})
	var names []string
	for _, f := range got {
		names = append(names, f.(object)["name"].(string)+"="+f.(object)["value"].(string))
	}
	if want := []string{"a=b", "profiling=false", "v=4"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
