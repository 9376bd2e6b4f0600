package cluster

import (
	"os"
	"strings"
	"testing"
)

// oneOfThree returns upgradeHost as a control plane next to 10.0.1.11 and 10.0.1.12. The etcd of this machine leads
// until the file /led exists. A file such as /api-10.0.1.11 makes that API not ready, and /etcd-10.0.1.11 that etcd.
func oneOfThree(t *testing.T) *scriptHost {
	h := upgradeHost(t)
	h.env["PEERS"], h.env["ENDPOINT"] = "10.0.1.11 10.0.1.12", "api.dev.internal:6443"
	h.write("/etc/kubernetes/manifests/etcd.yaml", "    - --name=n\n    - --initial-cluster=a=https://10.0.1.10:2380,"+
		"b=https://10.0.1.11:2380\n    - --initial-cluster-state=existing\n    image: registry.k8s.io/etcd:3.6.6-0\n", 0o600)
	h.write("/members", "a1, started, master, https://10.0.1.10:2380, https://10.0.1.10:2379, false\n"+others, 0o600)
	h.stub("curl", `for a; do case $a in api.dev.internal:6443:*) [ -e $ROOT/api-${a##*:} ] || echo ok ;; esac; done`)
	h.stub("etcdctl", `at=${2#https://} at=${at%:*}
[ ! -e $ROOT/etcd-$at ] || { echo connection refused; exit 1; }
case $* in
*"member list") cat $ROOT/members ;;
*"endpoint status"*) leader=10; [ ! -e $ROOT/led ] || leader=11
  echo '[{"Status":{"header":{"cluster_id":1,"member_id":10,"revision":5},"leader":'$leader'}}]' ;;
*move-leader*) echo "etcdctl $*" | sed 's/ --cacert.*client.key//' >>$ROOT/calls
  [ ! -e $ROOT/stays ] || { echo "etcdserver: timed out"; exit 1; }; touch $ROOT/led ;;
esac`)
	return h
}

// TestUpgradeOfOneOfThree upgrades the first of three control planes, then another one.
func TestUpgradeOfOneOfThree(t *testing.T) {
	h := oneOfThree(t)
	h.succeeds(h.run("upgrade.sh", "", "check"), "")
	for _, server := range []string{"get --raw=/metrics", "--server https://10.0.1.11:6443 get --raw=/metrics",
		"--server https://10.0.1.12:6443 get --raw=/metrics"} {
		if !strings.Contains(h.read("/calls"), "kubectl "+server) {
			t.Errorf("no %q in %s", server, h.read("/calls"))
		}
	}
	h.succeeds(h.run("upgrade.sh", "", "control-plane"), "upgraded 1.36.3")
	inOrder(t, h.read("/calls"), "snapshot now", "kubeadm init phase etcd local --dry-run",
		"etcdctl --endpoints https://127.0.0.1:2379 move-leader b1", "pkill -TERM -o -f ^kube-apiserver",
		"kubeadm upgrade apply --yes")
	const want = "    - --name=n\n    - --initial-cluster=a=https://10.0.1.10:2380,b=https://10.0.1.11:2380\n" +
		"    - --initial-cluster-state=existing\n    image: registry.k8s.io/etcd:3.6.8-0\n"
	if got := h.read("/etc/kubernetes/manifests/etcd.yaml"); got != want {
		t.Errorf("etcd gets the manifest\n%s", got)
	}

	// The snapshot of before the upgrade stays the newest, and clients do not stop an upgrade that has begun.
	h = oneOfThree(t)
	h.env["JOINS"] = "yes"
	h.write("/led", "", 0o600)
	h.write("/metrics", deprecated("flow.k8s.io", "schemas", "1.36"), 0o600)
	h.write("/nodes", "master True v1.35.4 - half\nmaster-2 True v1.36.3 - \n", 0o600)
	h.succeeds(h.run("upgrade.sh", "", "check"), "")
	h.succeeds(h.run("upgrade.sh", "", "control-plane"), "upgraded 1.36.3")
	calls := h.read("/calls")
	inOrder(t, calls, "kubeadm init phase etcd local --dry-run", "kubeadm upgrade node --config")
	for _, not := range []string{"snapshot", "move-leader", "upgrade apply"} {
		if strings.Contains(calls, not) {
			t.Errorf("another control plane does %q: %s", not, calls)
		}
	}
}

// testUpgradeKeepsTheMajority refuses to touch etcd while another member or API server does not serve, also in a run
// that goes on.
func testUpgradeKeepsTheMajority(t *testing.T) {
	const learner = "c1, started, master-3, https://10.0.1.12:2380, https://10.0.1.12:2379, true\n"
	write := func(path, content string) func(*scriptHost) {
		return func(h *scriptHost) { h.write(path, content, 0o600) }
	}
	members := func(old, now string) func(*scriptHost) {
		return func(h *scriptHost) {
			h.write("/members", strings.Replace(h.read("/members"), old, now, 1), 0o600)
		}
	}
	third := strings.Replace(learner, "true", "false", 1)
	for says, spoil := range map[string]func(*scriptHost){
		"the API of 10.0.1.12 is not ready":                           write("/api-10.0.1.12", ""),
		"etcd of 10.0.1.11 is not healthy":                            write("/etcd-10.0.1.11", ""),
		"etcd of 10.0.1.12 has other members than the control planes": members(third, learner),
		"etcd of 10.0.1.11 has other members":                         members(third, ""),
		"or one that does not vote": members(third,
			"c1, unstarted, , https://10.0.1.12:2380, , false\n"),
		"etcd on master leads, and no other member takes over: etcdserver: timed out": write("/stays", ""),
	} {
		for _, part := range []string{"check", "control-plane", "packages kubelet kubectl"} {
			if part == "check" && strings.Contains(says, "leads") {
				continue
			}
			h := oneOfThree(t)
			spoil(h)
			h.fails(h.run("upgrade.sh", "", strings.Fields(part)...), 1, says, "master stays as it is")
			calls := h.read("/calls")
			if strings.Contains(h.read("/etc/kubernetes/manifests/etcd.yaml"), "3.6.8") || strings.Contains(calls, "pkill") ||
				strings.Contains(calls, "upgrade apply") || strings.Contains(calls, "kubelet=") {
				t.Errorf("%s: %s changes the control plane: %s", says, part, calls)
			}
		}
	}
	h := oneOfThree(t)
	h.write("/fails", "10.0.1.12.*metrics", 0o600)
	h.fails(h.run("upgrade.sh", "", "check"), 1, "the API server of 10.0.1.12 does not say which APIs are used")
}

// testControlPlaneHasItsTurn gives a control plane its turn. Its pods are not drained, and another machine under its
// name gets none.
func testControlPlaneHasItsTurn(t *testing.T, host func(*testing.T) (*scriptHost, string)) {
	for state, prints := range map[string]string{
		"worker-1 True v1.35.4 open - ":               "drained",
		"worker-1 True v1.35.4 cordoned - ":           "drained",
		"worker-1 False v1.35.4 open - upgrading":     "drained",
		"worker-1 True v1.36.3 open - ":               "stays",
		"worker-1 False v1.35.4 open -  # aws:///a/0": "stays",
	} {
		h, _ := host(t)
		h.write("/nodes", "master True v1.36.3 open - \n"+state+"\n", 0o600)
		h.env["ROLE"], h.env["PROVIDER_ID"] = "control-plane", ""
		if strings.Contains(state, "#") {
			h.env["PROVIDER_ID"] = "aws:///a/1"
		}
		h.succeeds(h.run("node-drain.sh", ""), "node worker-1 "+prints)
		calls := h.read("/calls")
		if strings.Contains(calls, "drain ") || strings.Contains(calls, "patch") ||
			strings.Contains(calls, "kubeadm-aws/upgrade=upgrading") != (prints == "drained" && strings.HasSuffix(state, " ")) {
			t.Errorf("%q: it does %s", state, calls)
		}
	}
}

// testTurns upgrades a control plane that joined others: it waits for its turn, and ends it as soon as its node is
// Ready.
func testTurns(t *testing.T, older func(*testing.T) (*scriptHost, string)) {
	joined := func(mark, image string) (*scriptHost, string) {
		h, stdin := older(t)
		h.env["JOINS"], h.env["PEERS"], h.env["ENDPOINT"] = "yes", "10.0.1.11", "api.dev.internal:6443"
		h.env["API_NAME"], h.env["MEMBER"] = h.file("api-name.sh", ""), h.file("member.sh", "")
		h.write("/mark", mark, 0o600)
		h.write("/image", image, 0o600)
		h.stub("kubectl", `shift; echo "kubectl $*" >>$ROOT/calls
if [ -e $ROOT/kubectl-fails ] && grep -q "$(cat $ROOT/kubectl-fails)" <<<"$*"; then exit 1; fi
case $* in
*readyz*) echo ok ;;
*kubeletVersion*) cat $ROOT/status 2>/dev/null || echo "v1.36.3 True" ;;
*ignore-not-found*go-template*) cat $ROOT/mark ;;
*component=kube-apiserver*) cat $ROOT/image ;;
*"get deployment coredns"*jsonpath*) cat $ROOT/coredns 2>/dev/null || true ;;
*upgrade-) : >$ROOT/mark ;;
esac`)
		return h, stdin
	}
	const older1, newer = "registry.k8s.io/kube-apiserver:v1.35.4", "registry.k8s.io/kube-apiserver:v1.36.3"
	for image, addon := range map[string]bool{older1: false, newer: true} {
		h, stdin := joined("upgrading", newer+"\n"+image)
		h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
		calls := h.read("/calls")
		inOrder(t, calls, "upgrade check", "upgrade control-plane", "upgrade packages kubelet", "annotate node master kubeadm-aws/upgrade-")
		if strings.Contains(calls, "phase addon kube-proxy") != addon || strings.Contains(calls, "init phase etcd") {
			t.Errorf("next to %s: %s", image, calls)
		}
	}
	// CoreDNS follows the last API server, unless kubeadm has moved it.
	const dns = "registry.k8s.io/coredns/coredns:"
	for _, c := range []struct {
		api, has string
		moves    bool
	}{
		{older1, dns + "v1.12.4", false}, {newer, dns + "v1.12.4", true}, {newer, dns + "v1.13.1", false}, {newer, "", false},
	} {
		h, stdin := joined("upgrading", newer+"\n"+c.api)
		h.write("/coredns", c.has, 0o600)
		h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
		if calls := h.read("/calls"); strings.Contains(calls, "kubeadm init phase addon coredns") != c.moves {
			t.Errorf("next to %s, with %s: %s", c.api, c.has, calls)
		}
	}
	for says, spoil := range map[string]func(*scriptHost){
		"it is not the turn of master to be upgraded":     func(h *scriptHost) { h.write("/mark", "", 0o600) },
		"the API does not record that master is upgraded": func(h *scriptHost) { h.write("/kubectl-fails", "upgrade=upgrading", 0o600) },
		"the API does not show the release of CoreDNS": func(h *scriptHost) {
			h.write("/kubectl-fails", "deployment coredns.*jsonpath", 0o600)
		},
		"the API does not list its servers": func(h *scriptHost) {
			h.write("/kubectl-fails", "component=kube-apiserver", 0o600)
		},
		"node master does not become Ready with Kubernetes 1.36.3, and no other node is upgraded": func(h *scriptHost) {
			h.write("/status", "v1.35.4 True", 0o600)
		},
		"master is upgraded, and the API does not record it": func(h *scriptHost) {
			h.write("/kubectl-fails", "upgrade-$", 0o600)
		},
		"the API does not answer; run pulumi up again": func(h *scriptHost) {
			h.env["JOINS"] = ""
			h.write("/kubectl-fails", "ignore-not-found.*go-template", 0o600)
		},
	} {
		h, stdin := joined("upgrading", newer)
		spoil(h)
		h.fails(h.run("init.sh", stdin), 1, says)
		// The next run goes on.
		_ = os.Remove(h.at("/kubectl-fails"))
		_ = os.Remove(h.at("/status"))
		h.write("/mark", "upgrading", 0o600)
		h.succeeds(h.run("init.sh", stdin), "initialised 1.36.3")
		if left := h.read("/mark"); left != "" {
			t.Errorf("%s: the next run leaves the mark %q", says, left)
		}
	}
}
