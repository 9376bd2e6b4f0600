package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

func balancerHost(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	h.env = map[string]string{
		"TIME_LIMIT": "540", "ENDPOINT": "api.dev.internal:6443",
		"BALANCER_CONFIG": "global", "BALANCER_CA": "authority",
		"API_NAME": h.file("api-name.sh", `echo "named $*" >>$ROOT/calls`),
	}
	h.stub("apt-get", `echo "apt-get ${*: -1}" >>$ROOT/calls
[ ! -e $ROOT/apt-fails ] && echo -n installed >$ROOT/status`)
	h.stub("dpkg-query", "cat $ROOT/status")
	h.stub("dpkg", `echo "dpkg $*" >>$ROOT/calls
case $* in --audit) cat $ROOT/audit 2>/dev/null; exit 0 ;; esac
[ ! -e $ROOT/dpkg-fails ]`)
	h.stub("haproxy", `echo "haproxy $*" >>$ROOT/calls; [ ! -e $ROOT/refused ]`)
	h.stub("systemctl", `echo "systemctl $*" >>$ROOT/calls
[ ! -e $ROOT/systemctl-fails ] || ! grep -q "$(cat $ROOT/systemctl-fails)" <<<"$*"`)
	h.stub("pgrep", "[ -e $ROOT/balances ]")
	return h
}

// TestBalancer starts haproxy once, and loads a changed list without a restart.
func TestBalancer(t *testing.T) {
	h := balancerHost(t)
	h.succeeds(h.run("balancer.sh", ""), "balances api.dev.internal")
	inOrder(t, h.read("/calls"), "apt-get haproxy", "haproxy -c", "systemctl restart haproxy",
		"named api.dev.internal 127.0.0.1")
	if h.read("/etc/haproxy/kubernetes.cfg") != "global\n" || h.read("/etc/haproxy/kubernetes-ca.crt") != "authority\n" {
		t.Error("the configuration is not there")
	}
	h.write("/balances", "", 0o600)
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("balancer.sh", ""), "balances api.dev.internal")
	if calls := h.read("/calls"); !strings.Contains(calls, "reload haproxy") || strings.Contains(calls, "restart haproxy") ||
		strings.Contains(calls, "apt-get") {
		t.Errorf("a changed list: %s", calls)
	}
}

// TestBalancerIsInstalledOnceMore runs after a run that was killed during the installation.
func TestBalancerIsInstalledOnceMore(t *testing.T) {
	for _, status := range []string{"half-installed", "unpacked", "half-configured"} {
		h := balancerHost(t)
		h.write("/status", status, 0o600)
		h.write("/audit", "haproxy", 0o600)
		h.succeeds(h.run("balancer.sh", ""), "balances api.dev.internal")
		inOrder(t, h.read("/calls"), "dpkg --configure -a --force-confold", "apt-get haproxy", "haproxy -c")
	}
}

func testBalancerFailures(t *testing.T) {
	file := func(path, content string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write(path, content, 0o600); return "" }
	}
	fresh := func(t *testing.T) (*scriptHost, string) { return balancerHost(t), "" }
	refuses(t, "balancer.sh", fresh, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "another run is still changing this machine", spoil: stubbed("flock", "exit 1")},
		{says: "haproxy cannot be installed from the repositories of the operating system; the whole output is in",
			spoil: file("/apt-fails", "")},
		{says: "dpkg --configure -a fails", spoil: func(h *scriptHost) string {
			h.write("/audit", "haproxy", 0o600)
			h.write("/dpkg-fails", "", 0o600)
			return ""
		}},
		{says: "haproxy refuses its configuration", spoil: file("/refused", ""), after: func(h *scriptHost) {
			if h.read("/etc/haproxy/kubernetes.cfg") != "" {
				h.t.Error("a refused configuration is in place")
			}
		}},
		{says: "haproxy does not start", spoil: file("/systemctl-fails", "restart haproxy")},
		{says: "haproxy does not load its configuration", spoil: func(h *scriptHost) string {
			h.write("/balances", "", 0o600)
			h.write("/systemctl-fails", "reload haproxy", 0o600)
			return ""
		}},
	})
}

// namedHost is a machine on which api-name.sh runs.
func namedHost(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	h.env["NODE"] = "worker-1"
	h.stub("systemctl", `echo "systemctl $*" >>$ROOT/systemctl
case $* in restart*) $ROOT/usr/local/sbin/kubeadm-aws-api-name ;; esac`)
	h.stub("kubectl", `echo "$KUBECONFIG $*" >>$ROOT/kubectl-calls; [ ! -e $ROOT/down ]`)
	h.stub("sleep", "")
	return h
}

// TestTheAPIsNameHasOneLine runs what a machine runs at every boot.
func TestTheAPIsNameHasOneLine(t *testing.T) {
	h := namedHost(t)
	const others = "127.0.0.1 localhost\n10.0.1.11 api-dev.internal\n"
	h.write("/etc/hosts", "10.0.1.10 api.dev.internal\n"+others+"10.0.1.12 api.dev.internal\n", 0o644)
	named := func(address string) outcome { return h.run("api-name.sh", "", "api.dev.internal", address) }
	has := func(want string) {
		t.Helper()
		if got := h.read("/etc/hosts"); got != want {
			t.Errorf("the file is\n%s, want\n%s", got, want)
		}
		if left, _ := filepath.Glob(h.at("/etc/hosts?*")); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	}
	for _, address := range []string{"10.0.1.11", "127.0.0.1"} {
		h.succeeds(named(address), "")
		has(address + " api.dev.internal\n" + others)
	}

	// A boot without a change writes nothing.
	writes := "#!/bin/sh\necho cat >>$ROOT/calls; exec /bin/cat \"$@\"\n"
	h.write("/bin/cat", writes, 0o755)
	h.succeeds(named("127.0.0.1"), "")
	if calls := h.read("/calls"); calls != "" {
		t.Errorf("the file is written again: %s", calls)
	}
	// Wherever the run is interrupted, the next one has all lines.
	h.write("/bin/cat", "#!/bin/sh\nkill -KILL $PPID\n", 0o755)
	h.fails(named("10.0.1.13"), 1, "/etc/hosts cannot be written")
	if h.read("/etc/hosts") != "" {
		t.Error("the run was not interrupted while it wrote")
	}
	h.remove("/bin/cat")
	h.succeeds(named("10.0.1.14"), "")
	has("10.0.1.14 api.dev.internal\n" + others)
	// A full disk has no room for the copy.
	h.stub("mv", "case $* in */hosts.*) exit 1 ;; *) exec /bin/mv \"$@\" ;; esac")
	h.fails(named("10.0.1.15"), 1, "/etc/hosts cannot be written")
	h.remove("/etc/hosts.kubeadm-aws.new")
	has("10.0.1.14 api.dev.internal\n" + others)
}

// proxy writes what the kubelet keeps of a kube-proxy whose copy of /etc/hosts has the line. A pod of a user has none.
func (h *scriptHost) proxy(line string) {
	h.write("/var/lib/kubelet/pods/1/volumes/kubernetes.io~configmap/kube-proxy/config.conf", "", 0o600)
	h.write("/var/lib/kubelet/pods/1/etc-hosts", "127.0.0.1 localhost\n"+line, 0o600)
	h.write("/var/lib/kubelet/pods/2/etc-hosts", "127.0.0.1 localhost\n", 0o600)
}

// TestKubeProxyFollowsTheAPIsName starts kube-proxy again if it has a copy of another line, also after a run that was
// interrupted before that.
func TestKubeProxyFollowsTheAPIsName(t *testing.T) {
	h := namedHost(t)
	h.write("/etc/hosts", "127.0.0.1 localhost\n", 0o644)
	for _, c := range []struct {
		copied, address, server string
		asks                    string
	}{
		{"127.0.0.1 api.dev.internal\n", "127.0.0.1", "", ""},
		{"", "127.0.0.1", "", "/etc/kubernetes/kubelet.conf --request-timeout=20s -n kube-system delete pod -l k8s-app=kube-proxy " +
			"--field-selector spec.nodeName=worker-1 --ignore-not-found --wait=false"},
		{"127.0.0.1 api.dev.internal\n", "dns", "", "kubelet.conf"},
		{"", "dns", "", ""},
		{"10.0.1.11 api.dev.internal\n", "10.0.1.12", "https://10.0.1.11:6443", "--server https://10.0.1.11:6443 -n kube-system"},
	} {
		h.proxy(c.copied)
		h.write("/kubectl-calls", "", 0o600)
		h.env["API_SERVER"] = c.server
		h.succeeds(h.run("api-name.sh", "", "api.dev.internal", c.address), "")
		if calls := h.read("/kubectl-calls"); (calls != "") != (c.asks != "") || !strings.Contains(calls, c.asks) {
			t.Errorf("%+v: %s", c, calls)
		}
		if got := h.read("/etc/hosts"); strings.Contains(got, "127.0.0.1 api.dev.internal") != (c.address == "127.0.0.1") {
			t.Errorf("%+v leaves %s", c, got)
		}
	}
	if calls := h.read("/systemctl"); !strings.Contains(calls, "-q disable kubeadm-aws-api-name.service") {
		t.Errorf("a boot still names the API: %s", calls)
	}
}

// TestBalancerStops frees the name before the balancer ends.
func TestBalancerStops(t *testing.T) {
	h := balancerHost(t)
	h.env["NODE"] = "worker-1"
	h.stub("flock", "")
	h.succeeds(h.run("balancer-stop.sh", ""), "balances nothing")
	inOrder(t, h.read("/calls"), "named api.dev.internal dns", "systemctl -q disable --now haproxy")
}

func testBalancerStopFailures(t *testing.T) {
	fresh := func(t *testing.T) (*scriptHost, string) {
		h := balancerHost(t)
		h.env["NODE"] = "worker-1"
		return h, ""
	}
	refuses(t, "balancer-stop.sh", fresh, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "another run has been changing this machine", spoil: stubbed("flock", "exit 1")},
		{says: "haproxy does not stop", spoil: stubbed("systemctl", "exit 1")},
	})
}

func testAPINameFailures(t *testing.T) {
	h := namedHost(t)
	h.write("/etc/kubernetes/admin.conf", "", 0o600)
	h.proxy("127.0.0.1 api.dev.internal\n")
	h.write("/down", "", 0o600)
	h.fails(h.run("api-name.sh", "", "api.dev.internal", "10.0.1.11"), 1, "kube-proxy of worker-1 cannot be started again")
	if calls := h.read("/kubectl-calls"); !strings.Contains(calls, "/etc/kubernetes/admin.conf ") {
		t.Errorf("a control plane asks with %s", calls)
	}
	h.stub("systemctl", `case $* in restart*) exit 1 ;; esac`)
	h.fails(h.run("api-name.sh", "", "api.dev.internal", "127.0.0.1"), 1, "/etc/hosts cannot be written")
	h.fails(h.run("api-name.sh", ""), 2, "usage: ")
	h.stub("id", "echo 1000")
	h.fails(h.run("api-name.sh", "", "api.dev.internal", "127.0.0.1"), 1, "needs root")
}

// TestHaproxyAcceptsTheConfiguration lets the real haproxy check the configuration.
func TestHaproxyAcceptsTheConfiguration(t *testing.T) {
	planes := []Host{{Node: config.Node{Name: "master"}}, {Node: config.Node{Name: "master-2"}}}
	text := balancerConfig("api.dev.internal", planes, []any{"10.0.1.10", "10.0.1.11"})
	golden(t, "balancer.cfg", text)
	program := testenv.NeedProgram(t, "haproxy", "haproxy")
	dir := t.TempDir()
	file := filepath.Join(dir, "balancer.cfg")
	text = strings.ReplaceAll(text, "/etc/haproxy/kubernetes-ca.crt", "/etc/ssl/certs/ca-certificates.crt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "-c", "-f", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
