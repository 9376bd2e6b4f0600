package cluster

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"kubeadm-aws/cluster/stepline"
)

const (
	etcdArchive   = "etcd-v3.6.14-linux-amd64"
	logindFile    = "/etc/systemd/logind.conf.d/unattended-upgrades-logind-maxdelay.conf"
	kubeletPlugin = "/usr/local/lib/kubelet"
)

// freshMachine returns a machine as AWS starts it, with the sources of packages.
func freshMachine(t *testing.T) *scriptHost {
	t.Helper()
	h := newScriptHost(t)
	h.write("/etc/os-release", "ID=debian\nVERSION_CODENAME=bookworm\n", 0o644)
	h.write("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n/swap none swap sw 0 0\n", 0o644)
	h.write("/proc/swaps", "Filename Type Size Used Priority\n/swap file 1 0 -2\n", 0o644)
	h.write("/usr/local/bin/none", "", 0o644)
	archive := etcdTools(t)
	h.write("/served/etcd.tar.gz", string(archive), 0o644)
	plugins := h.at(kubeletPlugin)
	h.env = map[string]string{
		"TIME_LIMIT": "60", "VOLUME_SIZE": "40", "SHUTDOWN_SECONDS": "45",
		"KUBERNETES_VERSION": "1.36.3", "KUBERNETES_APT": "https://pkgs.example.com",
		"KUBERNETES_APT_KEY": strings.Repeat("A", 40),
		"CONTAINERD_VERSION": "2.2.*", "CONTAINERD_APT": "https://docker.example.com",
		"CONTAINERD_APT_KEY": strings.Repeat("B", 40),
		"CONTAINERD_CONFIG":  "version = 3", "ECR_CREDENTIALS": h.file("ecr-credentials.sh", "#!/bin/sh"), "KUBELET_PLUGINS": plugins,
		"REBOOT": h.file("reboot.sh", "#!/bin/sh"), "NODE": "worker-1",
		"IMAGES":       "registry.k8s.io/pause:3.10.2 registry.k8s.io/kube-proxy:v1.36.3",
		"ETCD_VERSION": "3.6.14", "ETCD_RELEASES": "https://etcd.example.com",
		"ETCD_SHA256": fmt.Sprintf("%x", sha256.Sum256(archive)),
	}
	for name, lines := range map[string]string{
		"modprobe":   "",
		"swapoff":    "",
		"sysctl":     `[ "$1" != -n ] || echo 1`,
		"dpkg":       "",
		"apt-mark":   `echo "$*" >"$ROOT/apt-mark"`,
		"dpkg-query": `[ ! -e "$ROOT/packages/$4" ] || echo "installed $(cat "$ROOT/packages/$4")"`,
		"apt-get": `mkdir -p "$ROOT/packages"
echo "$*" >>"$ROOT/apt-get.calls"
for a in "$@"; do case $a in
	containerd.io=*) echo 2.2.9-1 >"$ROOT/packages/containerd.io" ;;
	kube*=*) echo "${a#*=}" | sed 's/\*$/1.1/' >"$ROOT/packages/${a%%=*}" ;;
	cloud-guest-utils) printf '#!/bin/sh\n' >"$ROOT/bin/growpart"; chmod 755 "$ROOT/bin/growpart" ;;
esac; done`,
		"curl": `while [ $# -gt 1 ]; do [ "$1" != -o ] || file=$2; shift; done
case $1 in *.tar.gz) cat "$ROOT/served/etcd.tar.gz" >"$file" ;; *) echo "key of $1" >"$file" ;; esac`,
		"etcdutl":         "",
		"systemctl":       `echo "$*" >>"$ROOT/systemctl.calls"; [ "$*" != "-q is-active kubelet" ]`,
		"containerd":      "",
		"ctr":             `[ "$3" != plugins ] || echo "io.containerd.grpc.v1   cri   linux/amd64   ok"`,
		"busctl":          `echo "t $(($(sed -n 's/InhibitDelayMaxSec=//p' "$ROOT` + logindFile + `") * 1000000))"`,
		"systemd-inhibit": "",
		// The root file system of a container is not a partition.
		"findmnt": `case $* in *MAJ*) echo 0:99 ;; *) echo overlay ;; esac`,
		"df":      "printf '1G-blocks\\n  39\\n'",
	} {
		h.stub(name, lines)
	}
	return h
}

// onPartition gives the machine a root partition on a disk, in GiB, with a file system.
func onPartition(h *scriptHost, filesystem string, partition, disk int) {
	h.t.Helper()
	for name, content := range map[string]int{"size": disk << 21, "root/start": 2048, "root/size": partition << 21,
		"root/partition": 1} {
		h.write("/sys/devices/nvme0n1/"+name, strconv.Itoa(content)+"\n", 0o644)
	}
	h.write("/sys/dev/block/none", "", 0o644)
	if err := os.Symlink(h.at("/sys/devices/nvme0n1/root"), h.at("/sys/dev/block/259:1")); err != nil {
		h.t.Fatal(err)
	}
	h.stub("findmnt", "case $* in *MAJ*) echo 259:1 ;; *) echo "+filesystem+" ;; esac")
	h.stub("growpart", `echo "growpart $* in $TMPDIR" >>"$ROOT/disk.calls"`)
	h.stub("resize2fs", `echo "resize2fs $*" >>"$ROOT/disk.calls"`)
	h.stub("xfs_growfs", `echo "xfs_growfs $*" >>"$ROOT/disk.calls"`)
}

// withoutProgram removes a program of this machine from PATH for the rest of the test.
func withoutProgram(h *scriptHost, name string) {
	h.t.Helper()
	var path []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			path = append(path, dir)
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			h.t.Fatal(err)
		}
		others := h.t.TempDir()
		for _, e := range entries {
			if e.Name() == name {
				continue
			}
			if err := os.Symlink(filepath.Join(dir, e.Name()), filepath.Join(others, e.Name())); err != nil {
				h.t.Fatal(err)
			}
		}
		path = append(path, others)
	}
	h.t.Setenv("PATH", strings.Join(path, string(filepath.ListSeparator)))
}

func etcdTools(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	for _, name := range []string{"etcd", "etcdctl", "etcdutl"} {
		if err := archive.WriteHeader(&tar.Header{Name: etcdArchive + "/" + name, Mode: 0o755,
			Size: int64(len(name))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mirrorsOf configures mirrors and returns the standard input that contains them.
func mirrorsOf(h *scriptHost) string {
	h.t.Helper()
	files, err := registryFiles(mirrored())
	if err != nil {
		h.t.Fatal(err)
	}
	stdin, err := stepline.Pack(files)
	if err != nil {
		h.t.Fatal(err)
	}
	h.env["REGISTRY_MIRRORS"] = registryMirrors(mirrored())
	return stdin
}

func TestPrepareAFreshMachine(t *testing.T) {
	h := freshMachine(t)
	h.succeeds(h.run("prepare.sh", mirrorsOf(h)), "prepared 1.36.3")
	want, err := registryFiles(mirrored())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range want {
		if got := h.read(certsDir + "/" + name); got != content {
			t.Errorf("%s is %q, want %q", name, got, content)
		}
	}
	info, err := os.Stat(h.at(certsDir + "/docker.io/hosts.toml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file with a password has mode %v, %v", info.Mode(), err)
	}
	left, _ := filepath.Glob(h.at("/run/kubeadm-aws/*"))
	if len(left) > 0 {
		t.Errorf("passwords are left in %v", left)
	}
	sources := h.read("/etc/apt/sources.list.d/kubeadm-aws.list")
	for _, pinned := range []string{"kubernetes.asc," + strings.Repeat("A", 40) + "]",
		"docker.asc," + strings.Repeat("B", 40) + "]"} {
		if !strings.Contains(sources, pinned) {
			t.Errorf("no %s in\n%s", pinned, sources)
		}
	}
	if got := h.read("/usr/local/bin/etcdctl"); got != "etcdctl" {
		t.Errorf("etcdctl is %q", got)
	}
	if strings.Contains(h.read("/etc/fstab"), "\n/swap") {
		t.Error("the swap comes back at the next boot")
	}

	// A mirror that is removed from the settings is removed from the machine. Nothing else changes in a second run.
	before := h.read("/apt-get.calls")
	delete(h.env, "REGISTRY_MIRRORS")
	h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
	if _, err := os.Stat(h.at(certsDir + "/docker.io")); err == nil {
		t.Error("the mirror stays although the settings have none")
	}
	if h.read("/apt-get.calls") != before {
		t.Error("packages are installed again")
	}
}

// A run that was interrupted after the installation leaves packages that the next upgrade of the system would move.
func TestPrepareHoldsThePackages(t *testing.T) {
	h := freshMachine(t)
	h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
	h.remove("/apt-mark")
	h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
	if got := h.read("/apt-mark"); got != "hold containerd.io kubelet kubeadm kubectl\n" {
		t.Errorf("apt-mark %s", got)
	}
}

func TestPrepareGrowsTheDisk(t *testing.T) {
	for name, c := range map[string]struct {
		filesystem      string
		partition, disk int
		want            string
	}{
		"a grown ext4":     {"ext4", 20, 40, "growpart /dev/nvme0n1 1 in /run\nresize2fs /dev/root\n"},
		"a grown xfs":      {"xfs", 20, 40, "growpart /dev/nvme0n1 1 in /run\nxfs_growfs /\n"},
		"a partition only": {"ext4", 40, 40, "resize2fs /dev/root\n"}, // a run was killed between the two
		"a larger disk":    {"ext4", 100, 100, "resize2fs /dev/root\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h := freshMachine(t)
			onPartition(h, c.filesystem, c.partition, c.disk)
			h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
			if got := h.read("/disk.calls"); got != c.want {
				t.Errorf("the disk sees %q, want %q", got, c.want)
			}
		})
	}
	t.Run("without growpart", func(t *testing.T) {
		h := freshMachine(t)
		onPartition(h, "ext4", 20, 40)
		if err := os.Remove(h.at("/bin/growpart")); err != nil {
			t.Fatal(err)
		}
		withoutProgram(h, "growpart")
		h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
		if !strings.Contains(h.read("/apt-get.calls"), "cloud-guest-utils") {
			t.Error("growpart is not installed")
		}
	})
}

// A kubelet requests the period from logind only when it starts.
func TestPrepareRestartsAKubeletThatCannotDelayAShutdown(t *testing.T) {
	h := freshMachine(t)
	h.stub("systemctl", `echo "$*" >>"$ROOT/systemctl.calls"
[ "$*" != "restart kubelet" ] || printf '#!/bin/sh\necho "kubelet 0 root 1 kubelet shutdown"\n' >"$ROOT/bin/systemd-inhibit"`)
	h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
	if got := h.read(logindFile); got != "[Login]\nInhibitDelayMaxSec=45\n" {
		t.Errorf("logind reads %q", got)
	}
	h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
	if got := strings.Count(h.read("/systemctl.calls"), "restart kubelet\n"); got != 1 {
		t.Errorf("the kubelet is restarted %d times in two runs, want 1", got)
	}

	h = freshMachine(t)
	h.env["SHUTDOWN_SECONDS"] = "0"
	h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
	if h.read(logindFile) != "" {
		t.Error("logind is told of a period that the kubelet does not want")
	}
}

// A failing machine: its fault, and the script's message.
var prepareFailures = []struct {
	name string
	make func(h *scriptHost)
	says string
}{
	{"not root", func(h *scriptHost) { h.stub("id", "echo 1000") }, "needs root"},
	{"no state directory", func(h *scriptHost) { h.write("/var/lib/kubeadm-aws", "", 0o644) },
		"is the disk full or read-only?"},
	{"a newer Kubernetes", func(h *scriptHost) {
		h.write("/packages/kubelet", "1.37.0-1.1", 0o644)
		h.write("/var/lib/kubeadm-aws/join.done", "", 0o644)
	}, "this node runs Kubernetes 1.37.0, and 1.36.3 is asked for: a running cluster does not go back"},
	{"no forwarding", func(h *scriptHost) { h.stub("sysctl", "echo 0") }, "sysctl net.ipv4.ip_forward cannot be set to 1"},
	{"a full disk", func(h *scriptHost) { full(h, "/etc/modules-load.d/kubernetes.conf.new") },
		"cannot be written: is the disk full"},
	{"a full disk at a later file", func(h *scriptHost) { full(h, "/etc/containerd/config.toml.new") },
		"config.toml cannot be written: is the disk full"},
	{"a file that stays", func(h *scriptHost) {
		h.stub("mv", `case $2 in */99-kubernetes.conf) exit 1 ;; *) exec /bin/mv "$@" ;; esac`)
	}, "99-kubernetes.conf cannot be replaced"},
	{"no log", func(h *scriptHost) { h.write("/var/lib/kubeadm-aws/apt.log/x", "", 0o644) },
		"kubeadm-aws cannot be written"},
	{"no network", func(h *scriptHost) { h.stub("curl", "echo 'curl: (6) Could not resolve host' >&2; exit 6") },
		"cannot be fetched (mirrors.kubernetesApt, mirrors.containerdApt)"},
	{"no etcd archive", func(h *scriptHost) { failFor(h, "curl", "*etcd*") },
		"the etcd tools cannot be fetched (mirrors.etcd)"},
	{"another etcd archive", func(h *scriptHost) { h.write("/served/etcd.tar.gz", "other", 0o644) },
		"is not the expected archive: its SHA-256 is"},
	{"no room for the etcd archive", func(h *scriptHost) { failFor(h, "mktemp", "*/etcd.*") },
		"is the disk full or read-only?"},
	{"no room for the etcd tools", func(h *scriptHost) { h.write("/usr/local/lib/etcd", "", 0o644) },
		"the etcd tools cannot be unpacked"},
	{"broken packages", func(h *scriptHost) { h.stub("dpkg", `[ "$1" != --audit ] && exit 1; echo broken`) },
		"dpkg --configure -a fails; the whole output"},
	{"no package lists", func(h *scriptHost) { failFor(h, "apt-get", "*update*") },
		"apt-get update fails; the whole output"},
	{"another key", func(h *scriptHost) { h.stub("apt-get", "echo \"E: The repository is not signed.\"; exit 100") },
		"a package repository is not signed by the key that was meant: https://pkgs.example.com by AAAA"},
	{"no packages", func(h *scriptHost) { failFor(h, "apt-get", "*containerd.io=*") },
		"the packages cannot be installed; the whole output"},
	{"a volume that AWS does not grow", func(h *scriptHost) { onPartition(h, "ext4", 20, 20); h.env["TIME_LIMIT"] = "1" },
		"smaller than the 40 GiB of nodes[].volumeSize"},
	{"no growpart", func(h *scriptHost) {
		onPartition(h, "ext4", 20, 40)
		_ = os.Remove(h.at("/bin/growpart"))
		withoutProgram(h, "growpart")
		failFor(h, "apt-get", "*cloud-guest-utils*")
	}, "growpart (cloud-guest-utils) cannot be installed"},
	{"a growpart that fails", func(h *scriptHost) {
		onPartition(h, "ext4", 20, 40)
		h.stub("growpart", "echo 'FAILED: disk is busy'; exit 2")
	}, "growpart fails: FAILED: disk is busy"},
	{"a resize2fs that fails", func(h *scriptHost) {
		onPartition(h, "ext4", 40, 40)
		h.stub("resize2fs",
			"echo bad; exit 1")
	}, "resize2fs fails: bad"},
	{"an xfs_growfs that fails", func(h *scriptHost) {
		onPartition(h, "xfs", 40, 40)
		h.stub("xfs_growfs",
			"echo bad; exit 1")
	}, "xfs_growfs fails: bad"},
	{"a file system that stays small", func(
		h *scriptHost) {
		onPartition(h, "ext4", 40, 40)
		h.stub("df", "echo x; echo 20")
	},
		"the root file system has 20 GiB of a disk with 40"},
	{"a logind that others rule", func(h *scriptHost) { h.stub("busctl", "echo 't 30000000'"); h.env["TIME_LIMIT"] = "1" },
		"logind does not let the kubelet delay a shutdown by 45 s"},
	{"no logind", func(h *scriptHost) { h.stub("busctl", "exit 1"); h.env["TIME_LIMIT"] = "1" },
		"logind does not let the kubelet"},
	{"a control plane without room for an upgrade", func(h *scriptHost) {
		h.write("/packages/kubelet", "1.35.4-1.1", 0o644)
		h.write("/var/lib/kubeadm-aws/init.done", "", 0o644)
		h.write("/var/lib/etcd/member/wal", "", 0o644)
		h.stub("df", "echo x; case $* in *avail*) echo 2048 ;; *) echo 39 ;; esac")
	}, "has 2 MiB left, and the upgrade to Kubernetes 1.36.3 needs 1024: make its nodes[].volumeSize larger"},
	{"a containerd without the CRI", func(h *scriptHost) { h.stub("ctr", ""); h.env["TIME_LIMIT"] = "1" },
		"containerd does not offer the CRI"},
	{"a package mirror that never answers", func(
		h *scriptHost) {
		h.stub("apt-get", "exec sleep 1000")
		h.env["TIME_LIMIT"] = "1"
	}, "there was no time left"},
	{"a key server that never answers", func(
		h *scriptHost) {
		h.stub("curl", "exec sleep 1000")
		h.env["TIME_LIMIT"] = "1"
	}, "cannot be fetched"},
}

// full makes a file unwritable, as on a full disk.
func full(h *scriptHost, path string) {
	h.write(filepath.Dir(path)+"/none", "", 0o644)
	if err := os.Symlink("/dev/full", h.at(path)); err != nil {
		h.t.Fatal(err)
	}
}

// failFor makes a program fail when its arguments match a shell pattern.
func failFor(h *scriptHost, program, pattern string) {
	old := h.read("/bin/" + program)
	if old == "" {
		old = "exec /usr/bin/" + program + ` "$@"`
	}
	h.stub(program, "case $* in "+pattern+") echo \"$* fails\" >&2; exit 1 ;; esac\n"+
		strings.TrimPrefix(old, "#!/bin/bash\n"))
}

func testPrepareFailures(t *testing.T) {
	for _, c := range prepareFailures {
		t.Run(c.name, func(t *testing.T) {
			h := freshMachine(t)
			c.make(h)
			h.fails(h.run("prepare.sh", ""), 1, c.says)
		})
	}
	t.Run("a wrong configuration of containerd", testWrongContainerd)
	t.Run("no archive on standard input", func(t *testing.T) {
		h := freshMachine(t)
		mirrorsOf(h)
		h.fails(h.run("prepare.sh", "none"), 1, "standard input is not base64 of a compressed tar archive")
	})
	t.Run("another archive on standard input", func(t *testing.T) {
		h := freshMachine(t)
		stdin := mirrorsOf(h)
		h.env["REGISTRY_MIRRORS"] += "ghcr.io https://mirror.example.com\n"
		h.fails(h.run("prepare.sh", stdin), 1, "standard input lacks ghcr.io/hosts.toml")
	})
	t.Run("another run", func(t *testing.T) {
		h := freshMachine(t)
		h.env["TIME_LIMIT"] = "1"
		lock, err := os.Create(h.at("/run/kubeadm-aws-host.lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		h.fails(h.run("prepare.sh", ""), 1, "another run is still changing this machine")
	})
	t.Run("an image that cannot be pulled ahead", func(t *testing.T) {
		h := freshMachine(t)
		h.env["TIME_LIMIT"] = "3"
		failFor(h, "ctr", "*pull*")
		o := h.run("prepare.sh", "")
		h.succeeds(o, "prepared 1.36.3")
		if !strings.Contains(o.stderr, "pause:3.10.2 could not be pulled ahead") {
			t.Errorf("it says %q", o.stderr)
		}
	})
}

// A full disk must not replace a good file by a part of it.
func TestPrepareKeepsFilesOnAFullDisk(t *testing.T) {
	h := freshMachine(t)
	h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
	h.env["CONTAINERD_CONFIG"] = "version = 3\n# changed"
	full(h, "/etc/containerd/config.toml.new")
	h.fails(h.run("prepare.sh", ""), 1, "config.toml cannot be written")
	if got := h.read("/etc/containerd/config.toml"); got != "version = 3\n" {
		t.Errorf("config.toml is %q", got)
	}
}

// A node of another release keeps its packages. The new ones are downloaded. A machine that is no node gets them.
func TestPrepareDownloadsForARunningNode(t *testing.T) {
	for _, c := range []struct {
		done, containerd   string
		downloads, replace bool
	}{
		{"init.done", "2.2.4-1", true, false}, {"join.done", "2.2.4-1", true, false}, {"join.done", "2.1.0-1", true, true},
		{"join.started", "2.2.4-1", false, true},
	} {
		h := freshMachine(t)
		h.write("/var/lib/kubeadm-aws/"+c.done, "", 0o644)
		h.write("/packages/containerd.io", c.containerd, 0o644)
		for _, p := range []string{"kubelet", "kubeadm", "kubectl"} {
			h.write("/packages/"+p, "1.35.4-1.1", 0o644)
		}
		h.stub("apt-get", `echo "$*" >>"$ROOT/apt-get.calls"`)
		h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
		calls := h.read("/apt-get.calls")
		const download = "--download-only kubelet=1.36.3-* kubeadm=1.36.3-* kubectl=1.36.3-*"
		if got := strings.Contains(calls, download); got != c.downloads {
			t.Errorf("%v: %s", c, calls)
		}
		if got := strings.Contains(calls, "containerd.io=2.2.*"); got != c.replace {
			t.Errorf("%v: %s", c, calls)
		}
	}
}

// The script is killed at one command, then at a later one, and so on. The next run brings the machine to the same
// result.
func TestPrepareContinuesAfterItWasKilled(t *testing.T) {
	clean := freshMachine(t)
	clean.succeeds(clean.run("prepare.sh", mirrorsOf(clean)), "prepared 1.36.3")
	want := contentOf(t, clean)
	const step = 16
	for at := 5; ; at += step {
		h := freshMachine(t)
		stdin := mirrorsOf(h)
		h.write("/kill.sh", "unset BASH_ENV\nset -T\ntrap '((++commands != "+strconv.Itoa(at)+")) || kill -9 $$' DEBUG\n",
			0o644)
		h.env["BASH_ENV"] = h.at("/kill.sh")
		if killed := h.run("prepare.sh", stdin); killed.code == 0 {
			if at < 10*step {
				t.Errorf("the script has ended after %d commands", at)
			}
			return
		}
		delete(h.env, "BASH_ENV")
		h.succeeds(h.run("prepare.sh", stdin), "prepared 1.36.3")
		for name, content := range contentOf(t, h) {
			if want[name] != content {
				t.Errorf("killed at command %d: %s is %q, want %q", at, name, content, want[name])
			}
		}
	}
}

// contentOf returns the files that a script has created, without the path of the test's root in them.
func contentOf(t *testing.T, h *scriptHost) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range []string{"/etc", "/usr", "/var", "/packages", "/run/kubeadm-aws"} {
		err := filepath.WalkDir(h.at(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "/apt.log") {
				return err
			}
			text, err := os.ReadFile(path)
			found[strings.TrimPrefix(path, h.root)] = strings.ReplaceAll(string(text), h.root, "")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
