package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/cluster/stepline"
)

// manifest returns what kubeadm writes for a component, as far as init.sh reads it.
func manifest(component, flags string) string {
	text := "spec:\n  containers:\n  - command:\n    - " + component + "\n"
	for _, flag := range strings.Fields(flags) {
		text += "    - " + flag + "\n"
	}
	return text + "    image: registry.k8s.io/" + component + ":v1.36.3\n"
}

var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// initHost returns a prepared machine on which every program works. Components apply the flags of their manifests
// immediately.
func initHost(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	h.env = map[string]string{
		"NODE": "master", "KUBERNETES_VERSION": "1.36.3", "KUBEADM_CONFIG": "advertiseAddress: 10.0.1.10",
		"AUDIT_POLICY":      "policy",
		"AUDIT_POLICY_FILE": h.at("/etc/kubernetes/apiserver/audit.yaml"), "IDENTITY": "pods 10.244.0.0/16",
		"COREDNS": `{"spec": {}}`, "SETTLE": "0", "STEADY": "0",
		"BUCKET": "bucket", "PREFIX": "dev/etcd", "S3_ENDPOINT": "https://s3",
		"KUBELET": h.file("kubelet.sh", h.text("kubelet.sh")),
		"UPGRADE": h.file("upgrade.sh", `echo "upgrade $*" >>$ROOT/calls
[ ! -e $ROOT/upgrade-fails ] || ! grep -q "$(cat $ROOT/upgrade-fails)" <<<"$*" || exit 1
case $1 in control-plane) sed -i "s#:v1.35.4#:v$KUBERNETES_VERSION#" $ROOT/etc/kubernetes/manifests/*.yaml; [ ! -e $ROOT/upgrade-stops ] ;; esac`),
		// It replaces etcd-snapshot.sh, whose failures have their own tests.
		"ETCD_SNAPSHOT": h.file("etcd-snapshot.sh", `echo "snapshot $*" >>$ROOT/calls
case $1 in
ours) cat $ROOT/ours 2>/dev/null; [ ! -e $ROOT/s3-down ] ;;
fetch) [ ! -e $ROOT/s3-down ] && echo db >"$3" ;;
mark) [ ! -e $ROOT/s3-down ] ;;
esac`),
	}
	h.stub("kubeadm", `echo "kubeadm $*" >>$ROOT/calls
[ ! -e $ROOT/kubeadm-fails ] || { echo "token abcdef.0123456789abcdef is wrong"; exit 1; }
mkdir -p $ROOT/etc/kubernetes/manifests $ROOT/etc/kubernetes/pki $ROOT/var/lib/etcd/member $ROOT/var/lib/kubelet
case $* in
config\ images\ list*) echo registry.k8s.io/coredns/coredns:v1.13.1 ;;
init\ --config* | "init phase control-plane"*) cp $ROOT/new/*.yaml $ROOT/etc/kubernetes/manifests/ ;;
esac
case $* in
init\ --config*) touch $ROOT/etc/kubernetes/admin.conf $ROOT/etc/kubernetes/super-admin.conf ;;&
init\ --config* | "init phase kubelet-start"*) cat $ROOT/kubelet >$ROOT/var/lib/kubelet/config.yaml; : >$ROOT/var/lib/kubelet/kubeadm-flags.env ;;
esac`)
	h.stub("kubectl", `shift; echo "kubectl $*" >>$ROOT/calls
case $* in
"get --raw=/readyz") grep -q bad $ROOT/etc/kubernetes/manifests/kube-apiserver.yaml || [ -e $ROOT/api-down ] || echo ok ;;
*"get deployment coredns"*) echo deployment.apps/coredns ;;
esac
if [ -e $ROOT/kubectl-fails ] && grep -q "$(cat $ROOT/kubectl-fails)" <<<"$*"; then exit 1; fi`)
	h.stub("pgrep", `component=${3#^}; component=${component% --}
[ ! -e $ROOT/crash ] || [ "$(cat $ROOT/crash)" != "$component" ] || exit 1
mkdir -p $ROOT/proc/1; { echo "$component"; sed -n 's/^    - --/--/p' $ROOT/etc/kubernetes/manifests/$component.yaml; } | tr '\n' '\0' >$ROOT/proc/1/cmdline; echo 1`)
	h.stub("curl", "! grep -q bad $ROOT/var/lib/kubelet/config.yaml")
	h.stub("crictl", "case $* in *' ps '*) echo id ;; esac")
	for _, name := range []string{"systemctl", "systemd-run", "etcdctl", "etcdutl", "journalctl", "sleep"} {
		h.stub(name, `echo "`+name+` $*" >>$ROOT/calls`)
	}
	h.stub("etcdutl", "mkdir -p $ROOT/var/lib/kubeadm-aws/restore/member")
	for _, c := range components {
		h.write("/new/"+c+".yaml", manifest(c, "--v=2"), 0o600)
	}
	h.write("/kubelet", "good", 0o600)
	return h
}

func authorityPEM(t *testing.T, key *ecdsa.PrivateKey, ends time.Time) string {
	t.Helper()
	cert := &x509.Certificate{SerialNumber: big.NewInt(ends.Unix()), Subject: pkix.Name{CommonName: "kubernetes"},
		NotAfter: ends, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func newKeyPair(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// initFiles returns the standard input of init.sh with the authority's certificate.
func initFiles(t *testing.T, authority string, without ...string) string {
	t.Helper()
	files := map[string]string{
		"pki/ca.crt": authority, "pki/ca.key": "k", "pki/front-proxy-ca.crt": "c", "pki/front-proxy-ca.key": "k",
		"pki/etcd/ca.crt": "c",
		"pki/etcd/ca.key": "k", "pki/sa.key": "k", "pki/sa.pub": "p", "apiserver/encryption.yaml": "e",
	}
	for _, name := range without {
		delete(files, name)
	}
	text, err := stepline.Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func testInitFailures(t *testing.T) {
	key := newKeyPair(t)
	now := authorityPEM(t, key, time.Now().AddDate(10, 0, 0))
	fresh := func(t *testing.T) (*scriptHost, string) { return initHost(t), initFiles(t, now) }
	nothingMade := func(h *scriptHost) {
		h.t.Helper()
		if strings.Contains(h.read("/calls"), "kubeadm init") {
			h.t.Errorf("a cluster was made: %s", h.read("/calls"))
		}
	}
	file := func(path, content string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write(path, content, 0o600); return "" }
	}
	both := func(all ...func(*scriptHost) string) func(*scriptHost) string {
		return func(h *scriptHost) (stdin string) {
			for _, f := range all {
				if s := f(h); s != "" {
					stdin = s
				}
			}
			return stdin
		}
	}
	restore := set("RESTORE_FROM", "latest")
	refuses(t, "init.sh", fresh, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "another run has been changing this machine for 10 minutes", spoil: stubbed("flock", "exit 1")},
		{says: "is not base64 of a compressed tar archive", spoil: func(*scriptHost) string { return "=" }},
		{says: "standard input lacks pki/sa.key",
			spoil: func(h *scriptHost) string { return initFiles(h.t, now, "pki/sa.key") }},
		{says: "kubeadm init --config fails; the whole output is in", spoil: file("/kubeadm-fails", "")},
		{says: "already holds a control plane", spoil: file("/etc/kubernetes/manifests/kube-apiserver.yaml", "x"),
			after: nothingMade},
		{says: "no cluster has been made from this snapshot", spoil: both(restore, file("/s3-down", "")), after: nothingMade},
		{says: "cannot be asked whether this cluster has run before", spoil: file("/s3-down", ""), after: nothingMade},
		{says: "the bucket has its snapshot dev/etcd/1.db", spoil: file("/ours", "dev/etcd/1.db"), after: nothingMade},
		{says: "An empty control plane would delete what runs on its workers", spoil: file("/ours", "dev/etcd/initialised"),
			after: nothingMade},
		{says: "etcdutl cannot restore the snapshot", spoil: both(restore, stubbed("etcdutl", "exit 1")), after: nothingMade},
		{says: "the restored etcd does not start", spoil: both(restore, stubbed("etcdctl", "exit 1")), after: nothingMade},
		{says: "the snapshot is of Kubernetes 1.37.0, and 1.36.3 cannot read what a newer release wrote",
			spoil: both(restore, stubbed("etcdctl", `case $* in *" get "*) echo 'kubernetesVersion: v1.37.0' ;; esac`)),
			after: nothingMade},
		{says: "the snapshot is of Kubernetes 1.34.9, and 1.36.3 is more than one minor release later",
			spoil: both(restore, stubbed("etcdctl", `case $* in *" get "*) echo 'kubernetesVersion: v1.34.9' ;; esac`)),
			after: nothingMade},
		{says: "the API does not answer; see: journalctl -u kubelet", spoil: file("/api-down", "")},
		{says: "the kubelet is not healthy", spoil: file("/kubelet", "bad")},
		{says: "the pod security level of namespace kube-public cannot be set", spoil: file("/kubectl-fails", "kube-public")},
		{says: "the Deployment of CoreDNS cannot be changed", spoil: file("/kubectl-fails", "patch deployment coredns")},
	})

	// A running cluster, and a change of its settings.
	running := func(t *testing.T) (*scriptHost, string) {
		h, stdin := fresh(t)
		h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
		h.env["KUBEADM_CONFIG"] += "\nchanged: true"
		h.write("/new/kube-apiserver.yaml", manifest("kube-apiserver", "--v=2 --event-ttl=2h"), 0o600)
		h.write("/calls", "", 0o600)
		return h, stdin
	}
	unchanged := func(h *scriptHost) {
		h.t.Helper()
		for _, c := range components {
			if got := h.read("/etc/kubernetes/manifests/" + c + ".yaml"); got != manifest(c, "--v=2") {
				h.t.Errorf("%s is left with %s", c, got)
			}
		}
		if strings.Contains(h.read("/calls"), "upload-config") {
			h.t.Error("workers would take the failed settings")
		}
	}
	put := "the manifests of before are back, and the API answers"
	refuses(t, "init.sh", running, []spoilt{
		{says: "these settings cannot be changed on a running cluster", spoil: set("IDENTITY", "pods 10.0.0.0/8"),
			after: unchanged},
		{says: "it is another cluster's control plane", spoil: func(h *scriptHost) string {
			return initFiles(h.t, authorityPEM(h.t, newKeyPair(h.t), time.Now().AddDate(10, 0, 0)))
		}, after: unchanged},
		{says: "A running cluster cannot change its authority", spoil: func(h *scriptHost) string {
			return initFiles(h.t, authorityPEM(h.t, key, time.Now().AddDate(20, 0, 0)))
		}, after: unchanged},
		{says: "kube-apiserver refuses a flag: unknown flag: --evnt-ttl. Nothing has been changed; correct " +
			"kubernetes.apiServer", spoil: both(
			set("FLAGS", "kube-apiserver --evnt-ttl=2h\nkube-scheduler --v=3"),
			stubbed("crictl", `case $* in *' ps '*) echo id ;; *) echo "Error: unknown flag: --evnt-ttl" >&2; exit 1 ;; esac`),
		), after: unchanged},
		{says: "kube-scheduler does not run with its new flags", spoil: file("/crash", "kube-scheduler"), after: unchanged},
		{says: "and kubernetes.controllerManager in the settings", spoil: file("/crash", "kube-controller-manager"),
			after: unchanged},
		{says: put, spoil: file("/crash", "etcd"), after: unchanged},
		{says: "the API does not answer after the change",
			spoil: file("/new/kube-apiserver.yaml", manifest("kube-apiserver", "--v=bad")), after: unchanged},
		{says: put, spoil: file("/new/kube-apiserver.yaml", manifest("kube-apiserver", "--v=bad")), after: unchanged},
		{says: "the API does not answer yet", spoil: both(file("/crash", "etcd"), file("/api-down", "")), after: unchanged},
		{says: "kubeadm init phase fails", spoil: file("/kubeadm-fails", ""), after: unchanged},
		{says: "no worker got the new ones", spoil: file("/kubelet", "bad"), after: func(h *scriptHost) {
			if got := h.read("/var/lib/kubelet/config.yaml"); got != "good" ||
				strings.Contains(h.read("/calls"), "upload-config") {
				h.t.Errorf("the kubelet has %q; %s", got, h.read("/calls"))
			}
		}},
		{says: "the kubelet ends again and again", spoil: both(set("STEADY", "1"), stubbed("systemctl", "echo $RANDOM")),
			after: func(h *scriptHost) {
				if strings.Contains(h.read("/calls"), "upload-config") {
					h.t.Error("workers got settings with which a kubelet does not stay up")
				}
			}},
		{says: "the bucket cannot be told that this cluster runs", spoil: func(h *scriptHost) string {
			// A cluster created before the marker was introduced.
			if err := os.Remove(h.at("/var/lib/kubeadm-aws/init.marked")); err != nil {
				h.t.Fatal(err)
			}
			h.write("/s3-down", "", 0o600)
			return ""
		}},
	})
	TestSeveralControlPlanes(t)
	testAnotherKey(t)
	t.Run("killed", func(t *testing.T) { testInitKilled(t, running) })
	testUpgradeInInit(t, running)
}

// testUpgradeInInit changes the release of a running control plane. The parts of upgrade.sh have tests of their own.
func testUpgradeInInit(t *testing.T, running func(*testing.T) (*scriptHost, string)) {
	older := func(t *testing.T) (*scriptHost, string) {
		h, stdin := running(t)
		for _, c := range components {
			path := "/etc/kubernetes/manifests/" + c + ".yaml"
			h.write(path, strings.ReplaceAll(h.read(path), "v1.36.3", "v1.35.4"), 0o600)
		}
		return h, stdin
	}
	runs := func(h *scriptHost) string { return h.read("/etc/kubernetes/manifests/kube-apiserver.yaml") }
	begun := func(h *scriptHost) string {
		return strings.TrimSpace(h.read("/var/lib/kubeadm-aws/upgrade.started"))
	}
	h, stdin := older(t)
	h.write("/var/lib/kubelet/cpu_manager_state", "none", 0o600)
	h.write("/var/lib/kubelet/memory_manager_state", "None", 0o600)
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	inOrder(t, h.read("/calls"), "upgrade check", "upgrade control-plane", "kubeadm init phase control-plane",
		"upgrade packages kubelet kubectl", "systemctl stop kubelet", "kubeadm init phase kubelet-start",
		"kubeadm init phase upload-config")
	if h.read("/var/lib/kubelet/cpu_manager_state")+h.read("/var/lib/kubelet/memory_manager_state") != "" {
		t.Error("the kubelet starts with assignments of its former settings")
	}
	if begun(h) != "" {
		t.Error("a finished upgrade is still begun")
	}
	testTurns(t, older)
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	if calls := h.read("/calls"); strings.Contains(calls, "upgrade ") || strings.Contains(calls, "annotate") {
		t.Errorf("a second run: %s", calls)
	}

	// A refused upgrade changes nothing.
	h, stdin = older(t)
	h.write("/upgrade-fails", "check", 0o600)
	h.fails(h.run("init.sh", stdin), 1)
	if !strings.Contains(runs(h), "v1.35.4") || begun(h) != "" || strings.Contains(h.read("/calls"), "kubeadm") {
		t.Errorf("after a refusal: %s", h.read("/calls"))
	}
	refuses(t, "init.sh", older, []spoilt{
		{says: "nodes have been draining for 10 minutes", spoil: stubbed("flock", `[ "$3" != 8 ]`),
			after: func(h *scriptHost) {
				if strings.Contains(h.read("/calls"), "upgrade") {
					h.t.Error("it is upgraded during a drain")
				}
			}},
		{says: "the API does not come to rest with the new kubelet", spoil: set("SETTLE", "1")},
	})

	// One that stops half way goes on without the checks, which an upgrade that has begun may fail.
	for _, part := range []string{"control-plane", "packages"} {
		h, stdin = older(t)
		if part == "control-plane" {
			h.write("/upgrade-stops", "", 0o600)
		} else {
			h.write("/upgrade-fails", part, 0o600)
		}
		h.fails(h.run("init.sh", stdin), 1)
		if begun(h) != "1.36.3" || strings.Contains(h.read("/calls"), "kubeadm-aws/upgrade-") {
			t.Errorf("%s: nothing records the upgrade: %q", part, begun(h))
		}
		if part == "control-plane" {
			h.remove("/upgrade-stops")
		}
		h.write("/upgrade-fails", "check", 0o600)
		h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
		if !strings.Contains(runs(h), "v1.36.3") || begun(h) != "" {
			t.Errorf("%s: left are %s %s", part, runs(h), begun(h))
		}
	}
	// One that fails before it changes etcd or the API server has not begun: the mark goes, and the checks follow.
	for file, again := range map[string]int{"check": 1, "none": 0} {
		h, stdin = older(t)
		h.write("/upgrade-fails", "control-plane", 0o600)
		h.fails(h.run("init.sh", stdin), 1)
		inOrder(t, h.read("/calls"), "kubeadm-aws/upgrade=upgrading", "annotate node master kubeadm-aws/upgrade-")
		if begun(h) != "" {
			t.Errorf("an upgrade that has changed nothing has begun: %q", begun(h))
		}
		h.write("/upgrade-fails", file, 0o600)
		if o := h.run("init.sh", stdin); o.code != again {
			t.Errorf("the next run exits %d: %s", o.code, o.stderr)
		}
	}
	// The release of before: a control plane that is upgraded refuses it, and one that is not goes back as a whole.
	for part, code := range map[string]int{"control-plane": 0, "packages": 1} {
		h, stdin = older(t)
		h.write("/upgrade-fails", part, 0o600)
		h.fails(h.run("init.sh", stdin), 1)
		h.write("/var/lib/kubeadm-aws/etcd.before", "former", 0o600)
		h.write("/upgrade-fails", "check", 0o600)
		h.env["KUBERNETES_VERSION"] = "1.35.4"
		if o := h.run("init.sh", stdin); o.code != code {
			t.Errorf("%s: set back exits %d: %s", part, o.code, o.stderr)
		}
		if left := h.read("/var/lib/kubeadm-aws/etcd.before") != ""; left != (code != 0) {
			t.Errorf("%s: the former manifest of etcd is left: %v", part, left)
		}
	}
}

// inOrder expects the texts one after the other.
func inOrder(t *testing.T, in string, texts ...string) {
	t.Helper()
	rest := in
	for _, text := range texts {
		at := strings.Index(rest, text)
		if at < 0 {
			t.Errorf("no %q at its place in:\n%s", text, in)
			return
		}
		rest = rest[at:]
	}
}

// A run that is killed between two lines leaves everything that the next run needs.
func testInitKilled(t *testing.T, running func(*testing.T) (*scriptHost, string)) {
	for signal, code := range map[string]int{"TERM": 143, "KILL": -1} {
		h, stdin := running(t)
		kubeadm := h.read("/bin/kubeadm")
		// The parent of kubeadm is timeout, whose parent is the script.
		h.stub("kubeadm", strings.TrimPrefix(kubeadm, "#!/bin/bash\n")+"\ncase $* in *control-plane*) kill -"+signal+
			" $(ps -o ppid= -p $PPID) ;; esac")
		h.write("/new/kube-apiserver.yaml", manifest("kube-apiserver", "--v=bad"), 0o600)
		o := h.run("init.sh", stdin)
		if signal == "TERM" {
			if !strings.Contains(o.stderr, "the manifests of before are back") {
				t.Errorf("a stopped run leaves the new manifests: %s", o.stderr)
			}
		}
		if o.code != code {
			t.Errorf("%s: ends with %d: %s", signal, o.code, o.stderr)
		}
		// The next run with the same bad settings restores the last manifests that worked, not the bad ones.
		h.stub("kubeadm", strings.TrimPrefix(kubeadm, "#!/bin/bash\n"))
		h.fails(h.run("init.sh", stdin), 1, "the manifests of before are back, and the API answers")
		if got := h.read("/etc/kubernetes/manifests/kube-apiserver.yaml"); got != manifest("kube-apiserver", "--v=2") {
			t.Errorf("the API server is left with %s", got)
		}
		// With correct settings it succeeds.
		h.write("/new/kube-apiserver.yaml", manifest("kube-apiserver", "--v=3"), 0o600)
		h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
		if left, _ := filepath.Glob(h.at("/var/lib/kubeadm-aws/manifests*")); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	}
}

func TestInit(t *testing.T) {
	h := initHost(t)
	stdin := initFiles(t, authorityPEM(t, newKeyPair(t), time.Now().AddDate(10, 0, 0)))
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	calls := h.read("/calls")
	for _, want := range []string{
		"snapshot mark", `kubectl -n kube-system patch deployment coredns --type=merge -p {"spec": {}}`,
		"kubectl label namespace kube-system --overwrite pod-security.kubernetes.io/enforce=privileged",
		"kubectl label namespace kube-public --overwrite pod-security.kubernetes.io/enforce=restricted",
		"kubectl label namespace kube-node-lease --overwrite pod-security.kubernetes.io/enforce=restricted",
	} {
		if !strings.Contains(calls, want) {
			t.Errorf("no %q in %s", want, calls)
		}
	}
	if _, err := os.Stat(h.at("/etc/kubernetes/super-admin.conf")); err == nil {
		t.Error("super-admin.conf stays")
	}
	// A second run only checks. The marker is written once.
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	if calls := h.read("/calls"); strings.Contains(calls, "kubeadm ") || strings.Contains(calls, "snapshot") {
		t.Errorf("a second run: %s", calls)
	}
	// A cluster whose user changed its DNS keeps that change.
	h.stub("kubectl", `echo "kubectl $*" >>$ROOT/calls; case $* in *readyz*) echo ok ;; esac`)
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	if calls := h.read("/calls"); strings.Contains(calls, "patch") {
		t.Errorf("without CoreDNS: %s", calls)
	}
	h.env = maps.Clone(h.env)
	delete(h.env, "COREDNS")
	h.fails(h.run("init.sh", stdin), 2, "COREDNS is not set")
}
