package cluster

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// memberHost returns a machine with the keys of the cluster. 10.0.1.11 and 10.0.1.12 are control planes, 10.0.1.10 is
// this machine. The file /members is the list of etcd.
func memberHost(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	h.env = map[string]string{
		"NODE": "master", "ADDRESS": "10.0.1.10", "PEERS": "10.0.1.11 10.0.1.12", "ENDPOINT": "api.dev.internal:6443",
		"JOIN_CONFIG": "kind: JoinConfiguration", "SECRETS": h.at("/run/secrets"),
		"API_NAME": h.file("api-name.sh", `echo "named $* $API_SERVER" >>$ROOT/calls`),
	}
	h.write("/run/secrets/discovery.conf", "server: x", 0o600)
	h.write("/var/lib/kubeadm-aws/kubeadm.log", "", 0o600)
	h.stub("kubeadm", `echo "kubeadm $*" >>$ROOT/calls
[ ! -e $ROOT/kubeadm-fails ] || { echo "token abcdef.0123456789abcdef is wrong"; exit 1; }
case $* in *upload-config*) cat ${!#} >$ROOT/uploaded ;; join\ --config* | *kubelet-start*) cat $ROOT/run/kubeadm-aws/discovery.conf >>$ROOT/calls ;; esac`)
	h.write("/var/lib/kubeadm-aws/kubeadm.yaml", "kind: ClusterConfiguration\nkubernetesVersion: v1.36.3\n", 0o600)
	h.write("/settings", "kubernetesVersion: v1.36.3\n", 0o600)
	h.stub("kubectl", `echo "kubectl $*" >>$ROOT/calls
case $* in *"get configmap kubeadm-config"*) cat $ROOT/settings ;; esac
[ ! -e $ROOT/kubectl-fails ] || ! grep -q "$(cat $ROOT/kubectl-fails)" <<<"$*"`)
	h.stub("curl", `echo "curl $*" >>$ROOT/calls; case $* in *:10.0.1.12\ *) [ -e $ROOT/down ] || echo ok ;; *) exit 7 ;; esac`)
	h.stub("etcdctl", `echo "etcdctl $*" >>$ROOT/calls
case $* in
*"endpoint health") [ ! -e $ROOT/no-majority ] ;;
*"member list") cat $ROOT/members ;;
*"member remove"*) [ ! -e $ROOT/remove-fails ] || { echo "etcdserver: unhealthy cluster"; exit 1; } ;;
esac`)
	h.stub("systemctl", `echo "systemctl $*" >>$ROOT/calls`)
	h.stub("sleep", "")
	h.write("/members", others, 0o600)
	return h
}

const others = "b1, started, master-2, https://10.0.1.11:2380, https://10.0.1.11:2379, false\n" +
	"c1, started, master-3, https://10.0.1.12:2380, https://10.0.1.12:2379, false\n"

// TestMemberState decides whether a machine goes on with its membership of etcd or begins again.
func TestMemberState(t *testing.T) {
	for name, c := range map[string]struct {
		line    string
		data    bool
		prints  string
		removes string
	}{
		"a new machine":             {"", false, "new", ""},
		"one that votes":            {"a1, started, master, https://10.0.1.10:2380, https://10.0.1.10:2379, false", true, "member", ""},
		"one that lost a disk":      {"a1, started, master, https://10.0.1.10:2380, https://10.0.1.10:2379, false", false, "new", "a1"},
		"killed while it was added": {"a1, unstarted, , https://10.0.1.10:2380, , true", true, "new", "a1"},
		"killed while it learned": {"a1, started, master, https://10.0.1.10:2380, https://10.0.1.10:2379, true", true, "new",
			"a1"},
		"a replaced machine that learned": {"a1, unstarted, , https://10.0.1.77:2380, , true", false, "new", "a1"},
		"a machine of another name": {"a1, started, master-4, https://10.0.1.1:2380, https://10.0.1.1:2379, false",
			false, "new", "a1"},
		"the machine before": {"a1, started, master, https://10.0.1.99:2380, https://10.0.1.99:2379, false", false, "new", "a1"},
	} {
		t.Run(name, func(t *testing.T) {
			h := memberHost(t)
			h.write("/members", others+c.line+"\n", 0o600)
			if c.data {
				h.write("/var/lib/etcd/member/wal", "", 0o600)
			}
			h.succeeds(h.run("member.sh", "", "state", "10.0.1.12"), c.prints)
			calls := h.read("/calls")
			if c.removes == "" && strings.Contains(calls, "remove") ||
				!strings.Contains(calls, "https://10.0.1.12:2379") || strings.Contains(calls, "remove b1") ||
				c.removes != "" && !strings.Contains(calls, "member remove "+c.removes) {
				t.Errorf("removes %q: %s", c.removes, calls)
			}
		})
	}
}

func TestMemberJoins(t *testing.T) {
	h := memberHost(t)
	h.succeeds(h.run("member.sh", "", "peer", "0"), "10.0.1.12")
	if calls := h.read("/calls"); !strings.Contains(calls, "--resolve api.dev.internal:6443:10.0.1.12 ") ||
		!strings.Contains(calls, "--cacert "+h.at("/run/secrets/pki/ca.crt")) {
		t.Errorf("a peer is known by %s", calls)
	}
	h.write("/down", "", 0o600)
	if o := h.run("member.sh", "", "peer", "0"); o.code != 1 || o.stdout != "" {
		t.Errorf("without a control plane that is ready: %+v", o)
	}
	testMemberIsAlive(t)
	testNewMachines(t)
	h.succeeds(h.run("member.sh", "", "majority", "0"), "")
	h.write("/no-majority", "", 0o600)
	if o := h.run("member.sh", "", "majority", "0"); o.code != 1 {
		t.Errorf("without a majority of etcd: %+v", o)
	}
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("member.sh", "", "join", "10.0.1.12"), "")
	inOrder(t, h.read("/calls"), "named api.dev.internal 10.0.1.12", "kubectl --request-timeout=20s delete node master",
		"kubeadm join --config", "server: x", "named api.dev.internal 10.0.1.10 https://10.0.1.12:6443")
	if h.read("/run/kubeadm-aws/discovery.conf") != "" {
		t.Error("the credentials of the join stay on the machine")
	}
	if h.read("/uploaded") != "" {
		t.Error("a machine with the keys of the cluster changes its settings")
	}
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("member.sh", "", "finish", "10.0.1.12"), "")
	inOrder(t, h.read("/calls"), "named api.dev.internal 10.0.1.12", "kubeadm join phase kubelet-start --config",
		"server: x", "kubeadm join phase kubelet-wait-bootstrap")
	h.write("/etc/kubernetes/kubelet.conf", "", 0o600)
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("member.sh", "", "finish", "10.0.1.12"), "")
	if calls := h.read("/calls"); strings.Contains(calls, "kubelet-start") {
		t.Errorf("a kubelet with its credentials gets others: %s", calls)
	}
	inOrder(t, h.read("/calls"), "named api.dev.internal 10.0.1.12", "kubeadm join phase control-plane-join all",
		"named api.dev.internal 10.0.1.10 https://10.0.1.12:6443")
}

// testNewMachines expects a machine to wait for another one that has a kubelet, and not for machines without one.
func testNewMachines(t *testing.T) {
	h := memberHost(t)
	address := fmt.Sprintf("127.%d.%d.3", 1+os.Getpid()/256%250, os.Getpid()%256)
	h.waits = true // otherwise each loop tries once
	h.env["PEERS"], h.env["WITHOUT_KUBELET"] = "127.0.0.2 "+address, "0"
	h.stub("curl", `[ ! -e $ROOT/slept ] || echo ok`)
	h.stub("sleep", "touch $ROOT/slept")
	if o := h.run("member.sh", "", "peer", "300"); o.code != 1 || o.stdout != "" {
		t.Errorf("machines without a kubelet: %+v", o)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(address, "10250"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h.succeeds(h.run("member.sh", "", "peer", "300"), "127.0.0.2")
}

// testMemberIsAlive listens as an etcd does that has no majority: it accepts connections, and answers nothing.
func testMemberIsAlive(t *testing.T) {
	h := memberHost(t)
	// An address of this test alone, because the port is fixed.
	address := fmt.Sprintf("127.%d.%d.2", 1+os.Getpid()/256%250, os.Getpid()%256)
	h.env["PEERS"] = "127.0.0.2 " + address
	if o := h.run("member.sh", "", "alive", "0"); o.code != 1 || o.stdout != "" {
		t.Errorf("machines without a control plane: %+v", o)
	}
	for _, port := range []string{"2379", "6443"} {
		l, err := net.Listen("tcp", net.JoinHostPort(address, port))
		if err != nil {
			t.Fatal(err)
		}
		h.succeeds(h.run("member.sh", "", "alive", "0"), address)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func testMemberFailures(t *testing.T) {
	for _, c := range []struct {
		part, says string
		spoil      func(*scriptHost) string
	}{
		{"state", "needs root", stubbed("id", "echo 1000")},
		{"state", "does not list its members: connection refused", stubbed("etcdctl", "echo connection refused; exit 1")},
		{"state", "etcd does not remove its member a1: etcdserver: unhealthy cluster", func(h *scriptHost) string {
			h.write("/members", "a1, started, master, https://10.0.1.99:2380, x, false\n", 0o600)
			h.write("/remove-fails", "", 0o600)
			return ""
		}},
		{"join", "kubeadm init fails; the whole output is in", func(h *scriptHost) string {
			h.write("/kubeadm-fails", "", 0o600)
			return ""
		}},
		{"join", "the API of 10.0.1.12 does not show the settings of the cluster", func(h *scriptHost) string {
			h.write("/kubectl-fails", "kubeadm-config", 0o600)
			h.write("/settings", "", 0o600)
			return ""
		}},
		{"join", "the former node master cannot be deleted", func(h *scriptHost) string {
			h.write("/kubectl-fails", "delete node", 0o600)
			return ""
		}},
	} {
		h := memberHost(t)
		c.spoil(h)
		h.fails(h.run("member.sh", "", c.part, "10.0.1.12"), 1, c.says)
	}
}

// TestSeveralControlPlanes runs init.sh on control planes that join, and on the one that begins.
func TestSeveralControlPlanes(t *testing.T) {
	stdin := initFiles(t, authorityPEM(t, newKeyPair(t), time.Now().AddDate(10, 0, 0)))
	host := func(answers, state string, env ...string) *scriptHost {
		h := initHost(t)
		h.env["PEERS"], h.env["ENDPOINT"] = "10.0.1.11", "api.dev.internal:6443"
		h.env["API_NAME"] = h.file("api-name.sh", `echo "named $*" >>$ROOT/calls`)
		h.env["MEMBER"] = h.file("member.sh", `echo "member $* $ADDRESS" >>$ROOT/calls
case $1 in
peer) `+answers+` ;;
alive) [ -e $ROOT/alive ] && echo 10.0.1.11 ;;
majority) [ ! -e $ROOT/no-majority ] ;;
state) echo `+state+` ;;
join) [ ! -e $ROOT/join-fails ] || exit 1
  mkdir -p $ROOT/etc/kubernetes/manifests $ROOT/var/lib/kubelet; touch $ROOT/etc/kubernetes/admin.conf
  cp $ROOT/former/*.yaml $ROOT/etc/kubernetes/manifests/; cat $ROOT/kubelet >$ROOT/var/lib/kubelet/config.yaml
  : >$ROOT/var/lib/kubelet/kubeadm-flags.env ;;
esac`)
		for _, v := range env {
			h.env[v] = "yes"
		}
		for _, c := range components {
			h.write("/former/"+c+".yaml", manifest(c, "--v=1"), 0o600)
		}
		h.write("/new/etcd.yaml", manifest("etcd", "--v=1"), 0o600)
		return h
	}
	const alive, dead = "echo 10.0.1.11", "exit 1"

	h := host(dead, "new")
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	inOrder(t, h.read("/calls"), "member peer 0 10.0.1.10", "named api.dev.internal 10.0.1.10", "kubeadm init --config")

	// The machine that began the cluster is replaced: it joins, and nothing is restored.
	h = host(alive, "new", "RESTORE_FROM")
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	calls := h.read("/calls")
	if !strings.Contains(calls, "member peer 300") || strings.Contains(calls, "snapshot fetch") ||
		strings.Contains(calls, "kubeadm init --config") {
		t.Errorf("a replaced machine: %s", calls)
	}
	// It joined with the settings that the cluster had before.
	inOrder(t, calls, "member join 10.0.1.11", "kubeadm init phase control-plane all",
		"kubeadm init phase upload-config all")
	if got := h.read("/etc/kubernetes/manifests/kube-apiserver.yaml"); !strings.Contains(got, "--v=2") {
		t.Errorf("a replaced machine runs with %s", got)
	}

	// Settings that fail after a join are tried again by the next run.
	h = host(alive, "new")
	h.write("/crash", "kube-scheduler", 0o600)
	h.fails(h.run("init.sh", stdin), 1, "kube-scheduler does not run with its new flags",
		"the manifests of before are back")
	if h.read("/var/lib/kubeadm-aws/init.applied") != "" {
		t.Error("failed settings are taken for applied")
	}
	h.remove("/crash")
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	calls = h.read("/calls")
	if strings.Contains(calls, "member join") || !strings.Contains(calls, "upload-config all") {
		t.Errorf("after settings that failed: %s", calls)
	}

	// A member whose join was interrupted keeps its data while the others are not ready.
	for file, content := range map[string]string{"/ours": "dev/etcd/1.db", "/s3-down": ""} {
		h = host(dead, "new")
		h.write("/var/lib/kubeadm-aws/init.started", "", 0o600)
		h.write("/var/lib/etcd/member/wal", "votes", 0o600)
		h.write(file, content, 0o600)
		o := h.run("init.sh", stdin)
		h.fails(o, 1)
		if file == "/ours" {
			inOrder(t, o.stderr, "init: no other control plane (10.0.1.11) is ready; repair those first",
				"backup.restoreFrom")
		}
		calls := h.read("/calls")
		if strings.Contains(calls, "member peer 300") != (file == "/ours") || strings.Contains(calls, "kubeadm") ||
			h.read("/var/lib/etcd/member/wal") != "votes" {
			t.Errorf("%s: a member of etcd: %s%s", file, o.stderr, calls)
		}
	}

	// Nothing is restored next to an etcd that lives without a majority.
	h = host(dead, "new", "RESTORE_FROM")
	h.write("/alive", "", 0o600)
	h.fails(h.run("init.sh", stdin), 1, "the control plane 10.0.1.11 is alive, but not ready")
	if calls := h.read("/calls"); strings.Contains(calls, "kubeadm") || strings.Contains(calls, "snapshot fetch") {
		t.Errorf("next to a control plane that is alive: %s", calls)
	}

	h = host(dead, "new", "JOINS")
	h.fails(h.run("init.sh", stdin), 1, "the API of no other control plane (10.0.1.11) is ready, so master cannot join")
	if calls := h.read("/calls"); strings.Contains(calls, "kubeadm") || !strings.Contains(calls, "member peer 300") {
		t.Errorf("a control plane that joins nothing: %s", calls)
	}

	// An interrupted join begins again, unless the machine votes in etcd.
	h = host(alive, "new", "JOINS")
	h.write("/join-fails", "", 0o600)
	h.fails(h.run("init.sh", stdin), 1)
	if h.read("/var/lib/kubeadm-aws/init.done") != "" {
		t.Error("a failed join is taken for done")
	}
	h.remove("/join-fails")
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	inOrder(t, h.read("/calls"), "member state 10.0.1.11", "kubeadm reset", "member join 10.0.1.11", "snapshot mark")
	h = host(alive, "member", "JOINS")
	h.write("/var/lib/kubeadm-aws/init.started", "", 0o600)
	h.write("/etc/kubernetes/manifests/kube-apiserver.yaml", manifest("kube-apiserver", "--v=2"), 0o600)
	h.write("/var/lib/kubelet/config.yaml", "good", 0o600)
	h.write("/var/lib/kubelet/kubeadm-flags.env", "", 0o600)
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	inOrder(t, h.read("/calls"), "member state 10.0.1.11", "member finish 10.0.1.11")
	if strings.Contains(h.read("/calls"), "reset") {
		t.Error("a member that votes is reset, and etcd loses its majority")
	}

	// A changed setting leaves the manifest of etcd alone: kubeadm init would write one without the other members.
	h.env["KUBEADM_CONFIG"] += "\nchanged: true"
	for _, c := range components {
		h.write("/etc/kubernetes/manifests/"+c+".yaml", manifest(c, "--v=2"), 0o600)
	}
	// Without a majority of etcd nothing changes: it would take minutes, and end with a word on the settings.
	h.write("/calls", "", 0o600)
	h.write("/no-majority", "", 0o600)
	h.fails(h.run("init.sh", stdin), 1, "etcd on master has no majority", "terminate the machine of master too")
	if calls := h.read("/calls"); strings.Contains(calls, "kubeadm") {
		t.Errorf("without a majority of etcd: %s", calls)
	}
	h.remove("/no-majority")
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
	if calls := h.read("/calls"); strings.Contains(calls, "phase etcd") || !strings.Contains(calls, "phase control-plane all") {
		t.Errorf("a changed setting: %s", calls)
	}
}
