package cluster

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// A node from an image compares what it has with its own settings, so those of the builder have to be the same.
func TestAnImageIsPreparedAsAControlPlane(t *testing.T) {
	cfg := settings()
	cfg.Mirrors.Registries = map[string]config.RegistryMirror{
		"docker.io": {URL: "https://mirror.example.com", Username: "u", Password: "mirror-secret"},
	}
	commands, err := ImageCommands(cfg, []string{"quay.io/calico/node:v3"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
		if strings.Contains(c.Text, "mirror-secret") {
			t.Errorf("the command of %s holds a secret", c.Name)
		}
	}
	if !slices.Equal(names, []string{"ready", "prepare", "image-clean"}) {
		t.Fatalf("the commands are %v", names)
	}
	got, err := stepline.Parse(commands[1].Text)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"KUBERNETES_VERSION": cfg.Cluster.KubernetesVersion, "VOLUME_SIZE": "20",
		"ETCD_VERSION": config.EtcdToolsVersion, "CONTAINERD_VERSION": config.ContainerdVersion} {
		if got.Env[key] != want {
			t.Errorf("%s is %q, want %q", key, got.Env[key], want)
		}
	}
	release, err := config.ReleaseOf(cfg.Cluster.KubernetesVersion)
	if err != nil {
		t.Fatal(err)
	}
	want := append(release.Images(true), "quay.io/calico/node:v3")
	if images := strings.Fields(got.Env["IMAGES"]); !slices.Equal(images, want) {
		t.Errorf("it pulls %v, want %v", images, want)
	}
	files, err := stepline.Unpack(commands[1].Stdin)
	if err != nil || len(files) != 1 {
		t.Errorf("standard input has %d files (%v), want the settings of the mirror", len(files), err)
	}
	first, err := stepline.Parse(commands[0].Text)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := stepline.Unpack(first.Args[3])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		line, _ := stepline.Parse(c.Text)
		for _, arg := range append(line.Args[len(line.Args)-1:], line.Env["ECR_CREDENTIALS"], line.Env["REBOOT"]) {
			if name := strings.TrimPrefix(arg, stepline.ScriptDir+"/"); name != "" && archive[name] == "" {
				t.Errorf("%s needs %s, which the first command does not bring", c.Name, name)
			}
		}
	}
}

// No node gets the script that makes it useless.
func TestNoNodeHasTheScriptOfImages(t *testing.T) {
	byRole, err := newScripts(nil)
	if err != nil {
		t.Fatal(err)
	}
	for role, scripts := range byRole {
		if _, has := scripts[imageClean]; has {
			t.Errorf("a %s gets %s.sh", role, imageClean)
		}
	}
}

// preparedMachine is a machine on which prepare.sh has run, with what it must not hand on.
func preparedMachine(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	for _, file := range secretsOfAMachine {
		h.write(file, "secret\n", 0o600)
	}
	h.write("/etc/machine-id", "0123\n", 0o444)
	h.write("/var/lib/kubeadm-aws/etcd-tools", "3.6.14 sum\n", 0o644)
	h.stub("dpkg-query", "printf 2.2.9-1")
	h.stub("systemctl", `echo "$*" >>"$ROOT/systemctl.calls"`)
	h.stub("cloud-init", `echo "$*" >>"$ROOT/cloud-init.calls"`)
	h.stub("apt-get", "")
	h.stub("getent", `echo "root:x:0:0:root:$ROOT/root:/bin/bash"; echo "admin:x:1000:1000:Admin:$ROOT/home/admin:/bin/bash"`)
	return h
}

var secretsOfAMachine = []string{
	"/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key.pub", "/root/.ssh/authorized_keys",
	"/home/admin/.ssh/authorized_keys", "/home/admin/.bash_history", "/etc/containerd/certs.d/docker.io/hosts.toml",
	"/var/lib/kubelet/pki/kubelet.key", "/var/lib/systemd/random-seed", "/var/lib/kubeadm-aws/containerd-config",
	"/var/lib/kubeadm-aws/scripts/prepare.sh", "/etc/systemd/system/kubeadm-aws-reboot.timer", "/var/log/journal/1/system.journal",
}

func TestAnImageHoldsNothingOfItsMachine(t *testing.T) {
	h := preparedMachine(t)
	h.succeeds(h.run("image-clean.sh", ""), "cleaned 2.2.9-1")
	for _, file := range secretsOfAMachine {
		if h.read(file) != "" {
			t.Errorf("%s is still there", file)
		}
	}
	if id := h.read("/etc/machine-id"); id != "" {
		t.Errorf("the machine id is %q", id)
	}
	if h.read("/var/lib/kubeadm-aws/etcd-tools") == "" {
		t.Error("a control plane from the image would fetch the tools of etcd again")
	}
	if calls := h.read("/cloud-init.calls"); calls != "clean --logs --seed\n" {
		t.Errorf("cloud-init is called with %q: it would not run again", calls)
	}
	if calls := h.read("/systemctl.calls"); !strings.Contains(calls, "stop containerd\n") ||
		!strings.Contains(calls, "disable --now kubelet kubeadm-aws-reboot.timer\n") {
		t.Errorf("containerd writes while its disk is copied, or the kubelet starts with the image: %s", calls)
	}
}

func testImageCleanFailures(t *testing.T) {
	refuses(t, "image-clean.sh", func(t *testing.T) (*scriptHost, string) { return preparedMachine(t), "" }, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "this machine is a node of a cluster: ", spoil: func(h *scriptHost) string {
			h.write("/etc/kubernetes/kubelet.conf", "kubeconfig", 0o600)
			return ""
		}, after: func(h *scriptHost) {
			if h.read("/etc/ssh/ssh_host_ed25519_key") == "" {
				h.t.Error("a node has lost its host key")
			}
		}},
		{says: "containerd.io is not installed", spoil: stubbed("dpkg-query", "exit 1")},
		{says: "the kubelet and the timer of reboots cannot be stopped", spoil: stubbed("systemctl", "exit 1")},
		{says: "containerd cannot be stopped; see", spoil: stubbed("systemctl", `[ "$1" != stop ]`)},
		{says: "cloud-init clean fails", spoil: stubbed("cloud-init", "exit 1")},
		{says: "apt-get clean fails", spoil: stubbed("apt-get", "exit 1")},
		{says: "what belongs to this machine cannot be removed", spoil: stubbed("rm", "exit 1")},
	})
}
