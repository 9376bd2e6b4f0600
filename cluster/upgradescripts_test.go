package cluster

import (
	"fmt"
	"strings"
	"testing"
)

// readyNodes is what upgrade.sh reads of a cluster in which every node serves.
const readyNodes = "master True v1.35.4 - \nworker-1 True v1.35.4 - \n"

// deprecated is the metric of a requested API.
func deprecated(group, resource, removed string) string {
	return fmt.Sprintf("apiserver_requested_deprecated_apis{group=%q,removed_release=%q,resource=%q,subresource=\"\","+
		"version=\"v1beta3\"} 1\n", group, removed, resource)
}

// upgradeHost returns a control plane of 1.35.4 on which every program works.
func upgradeHost(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	h.env = map[string]string{
		"NODE": "master", "KUBERNETES_VERSION": "1.36.3", "UPGRADE_CONFIG": "kind: UpgradeConfiguration",
		"ETCD_SNAPSHOT": h.file("etcd-snapshot.sh", `echo "snapshot $*" >>$ROOT/calls; [ ! -e $ROOT/s3-down ]`),
	}
	h.write("/etc/kubernetes/manifests/kube-apiserver.yaml", "    image: registry.k8s.io/kube-apiserver:v1.35.4\n", 0o600)
	h.write("/etc/kubernetes/manifests/etcd.yaml", "    image: registry.k8s.io/etcd:3.6.6-0\n", 0o600)
	h.write("/var/lib/kubeadm-aws/kubeadm.yaml", "kind: ClusterConfiguration\n", 0o600)
	h.write("/var/lib/etcd/member", "", 0o600)
	h.write("/nodes", readyNodes, 0o600)
	h.write("/metrics", deprecated("", "endpoints", "")+deprecated("a.k8s.io", "later", "1.37"), 0o600)
	h.stub("kubectl", `shift; echo "kubectl $*" >>$ROOT/calls
if [ -e $ROOT/fails ] && grep -qe "$(cat $ROOT/fails)" <<<"$*"; then echo "the server is silent" >&2; exit 1; fi
case $* in *readyz*) echo ok ;; *"get nodes"*) cat $ROOT/nodes ;; *metrics*) cat $ROOT/metrics ;; esac`)
	h.stub("kubeadm", `echo "kubeadm $*" >>$ROOT/calls; [ ! -e $ROOT/kubeadm-fails ] || { echo "token abcdef.0123456789abcdef is wrong"; exit 1; }
case $* in
"init phase etcd local --dry-run"*) printf '    - --name=n\n    - --initial-cluster=master=https://10.0.1.10:2380\n    image: registry.k8s.io/etcd:3.6.8-0\n' >$KUBEADM_INIT_DRYRUN_DIR/etcd.yaml ;;
"upgrade apply"* | "upgrade node"*) sed -i s/v1.35.4/v1.36.3/ $ROOT/etc/kubernetes/manifests/kube-apiserver.yaml ;;
esac`)
	h.stub("etcdctl", "[ ! -e $ROOT/etcd-dead ]")
	h.stub("pgrep", "echo 7")
	// etcd restarts with the API server, and has run for an hour before.
	h.stub("pkill", `echo "pkill $*" >>$ROOT/calls; touch $ROOT/restarted`)
	h.stub("ps", "[ -e $ROOT/restarted ] && echo 0 || echo 3600")
	h.stub("dpkg-query", `cat $ROOT/packages/$4 2>/dev/null || echo "installed 1.35.4-1.1"`)
	h.stub("apt-get", `echo "apt-get $*" >>$ROOT/calls
case $* in *install*) [ ! -e $ROOT/apt-fails ] || { echo "Unable to fetch"; exit 100; }; mkdir -p $ROOT/packages
for a; do case $a in kube*=*) echo "installed ${a#*=}" | sed 's/\*$/1.1/' >$ROOT/packages/${a%%=*} ;; esac; done ;; esac`)
	h.stub("df", "printf 'Avail\\n9999999\\n'")
	for _, name := range []string{"apt-mark", "dpkg", "systemctl", "sleep"} {
		h.stub(name, `echo "`+name+` $*" >>$ROOT/calls; [ "`+name+` $*" != "dpkg --audit" ] || cat $ROOT/audit 2>/dev/null || true`)
	}
	return h
}

// upgradeFails runs one part of upgrade.sh on hosts with one fault each.
func upgradeFails(t *testing.T, part string, cases []spoilt) {
	for _, c := range cases {
		t.Run(part+" "+c.says, func(t *testing.T) {
			h := upgradeHost(t)
			c.spoil(h)
			h.fails(h.run("upgrade.sh", "", strings.Fields(part)...), 1, c.says)
			if c.after != nil {
				c.after(h)
			}
		})
	}
}

// whileOthersServe runs lines of shell while the upgrade waits for the other control planes.
func whileOthersServe(h *scriptHost, lines string) string {
	h.env["PEERS"], h.env["ENDPOINT"] = "10.0.1.11", "api.dev.internal:6443"
	h.stub("etcdctl", `case $* in *list) printf 'a1, started, m, x, x, false\nb1, started, n, x, x, false\n' ;; esac`)
	h.stub("curl", lines+"; echo ok")
	return ""
}

func testUpgradeFailures(t *testing.T) {
	write := func(path, content string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write(path, content, 0o600); return "" }
	}
	manifest := func(version string) func(*scriptHost) string {
		return write("/etc/kubernetes/manifests/kube-apiserver.yaml",
			"    image: registry.k8s.io/kube-apiserver:v"+version+"\n")
	}
	upgradeFails(t, "check", []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "etcd and the objects in it cannot go back. Set cluster.kubernetesVersion to 1.36.4",
			spoil: manifest("1.36.4")},
		{says: "is more than one minor release later", spoil: manifest("1.34.9")},
		{says: "the API does not answer, so nothing has been changed", spoil: failing("readyz")},
		{says: "the nodes cannot be listed", spoil: failing("get nodes")},
		{says: "worker-1 reboots for an update (maintenance.reboots) and has not returned",
			spoil: write("/nodes", "master True v1.35.4 - \nworker-1 Unknown v1.35.4 reboots \n")},
		{says: "by itself within half an hour: kubectl annotate node NAME kubeadm-aws/reboot-, then kubectl uncordon NAME; master",
			spoil: write("/nodes", "master True v1.35.4 - \nworker-1 True v1.35.4 reboots \n")},
		{says: "the API does not list the nodes, so nothing has been changed", spoil: func(h *scriptHost) string {
			return whileOthersServe(h, "echo 'get nodes' >$ROOT/fails")
		}},
		{says: "not Ready: worker-1. An upgrade takes one node after the other", spoil: func(h *scriptHost) string {
			return whileOthersServe(h, "sed -i 's/worker-1 True/worker-1 False/' $ROOT/nodes")
		}},
		{says: "not Ready: worker-1. An upgrade takes one node after the other",
			spoil: write("/nodes", "master True v1.35.4 - \nworker-1 Unknown v1.35.4 - \n")},
		{says: "an earlier upgrade has not finished on worker-1",
			spoil: write("/nodes", "master True v1.35.4 - \nworker-1 True v1.35.4 - half\n")},
		{says: "an earlier upgrade has not reached worker-1 (v1.34.9)",
			spoil: write("/nodes", "master True v1.35.4 - \nworker-1 True v1.34.9 - \n")},
		{says: "the disk of this machine has 9 MiB left", spoil: stubbed("df", "printf 'Avail\\n9999\\n'")},
		{says: "does not say which APIs are used", spoil: failing("metrics")},
		{says: "does not have: flow.k8s.io/v1beta3/schemas. Nothing has been changed",
			spoil: write("/metrics", deprecated("flow.k8s.io", "schemas", "1.36"))},
	})
	same := func(h *scriptHost) {
		h.t.Helper()
		if got := h.read("/etc/kubernetes/manifests/etcd.yaml"); !strings.Contains(got, "3.6.6") {
			h.t.Errorf("etcd is left with %s", got)
		}
		if strings.Contains(h.read("/calls"), "upgrade apply") {
			h.t.Error("the API server is upgraded all the same")
		}
	}
	unsaved := func(h *scriptHost) {
		same(h)
		if strings.Contains(h.read("/calls"), "apt-get") {
			h.t.Error("a package is installed before there is a snapshot")
		}
	}
	upgradeFails(t, "control-plane", []spoilt{
		{says: "there is no snapshot of etcd", spoil: write("/s3-down", ""), after: unsaved},
		{says: "kubeadm certs renew fails; the whole output is in", spoil: write("/kubeadm-fails", ""), after: same},
		{says: "etcd does not run in its new release; its former manifest is back", spoil: write("/etcd-dead", ""),
			after: same},
		{says: "kubeadm 1.36.3 cannot be installed", spoil: write("/apt-fails", ""), after: same},
	})

	h := upgradeHost(t)
	h.succeeds(h.run("upgrade.sh", "", "check"), "")
	if calls := h.read("/calls"); strings.Contains(calls, "\nkubeadm") || strings.Contains(calls, "apt-get") {
		t.Errorf("the check changes something: %s", calls)
	}
	testUpgradeKeepsTheMajority(t)
	h.succeeds(h.run("upgrade.sh", "", "control-plane"), "upgraded 1.36.3")
	inOrder(t, h.read("/calls"), "snapshot now", "kubeadm=1.36.3-*", "kubeadm certs renew etcd-server",
		"kubeadm init phase etcd local --dry-run", "pkill -TERM -o -f ^kube-apiserver",
		"kubeadm init phase upload-config kubeadm",
		"kubeadm upgrade apply --yes --config "+h.at("/var/lib/kubeadm-aws/upgrade.yaml"))
	if strings.Contains(h.read("/calls"), "kubelet=") {
		t.Error("the kubelet comes before its time")
	}
	// A second run takes no snapshot: "latest" stays the one from before the upgrade.
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("upgrade.sh", "", "control-plane"), "upgraded 1.36.3")
	if calls := h.read("/calls"); strings.Contains(calls, "snapshot") || strings.Contains(calls, "apt-get") ||
		strings.Contains(calls, "pkill") {
		t.Errorf("a second run: %s", calls)
	}
	// An interrupted installation is finished first. Packages that are there are left alone.
	h = upgradeHost(t)
	h.write("/audit", "kubelet is half configured", 0o600)
	h.succeeds(h.run("upgrade.sh", "", "packages", "kubelet", "kubectl"), "")
	inOrder(t, h.read("/calls"), "dpkg --configure -a", "kubelet=1.36.3-* kubectl=1.36.3-*",
		"apt-mark hold kubelet kubectl", "systemctl daemon-reload")
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("upgrade.sh", "", "packages", "kubelet", "kubectl"), "")
	if calls := h.read("/calls"); calls != "" {
		t.Errorf("a second run: %s", calls)
	}
	h.fails(h.run("upgrade.sh", ""), 2, "usage: ")
}

// drainHost returns a control plane whose cluster is in the file nodes.
func drainHost(nodes string) func(t *testing.T) (*scriptHost, string) {
	host := apiHost(map[string]string{"NODE": "worker-1", "KUBERNETES_VERSION": "1.36.3", "TIMEOUT": "1", "SERVE": "0"},
		`case $* in *"get nodes"*) cat $ROOT/nodes ;; *version*) echo "\"gitVersion\": \"v$(cat $ROOT/api-version)\"" ;; esac`)
	return func(t *testing.T) (*scriptHost, string) {
		h, stdin := host(t)
		h.write("/nodes", nodes, 0o600)
		h.write("/api-version", "1.36.3", 0o600)
		return h, stdin
	}
}

func testNodeDrainFailures(t *testing.T) {
	const all = "master True v1.36.3 open - \nworker-1 True v1.35.4 open - \nworker-2 True v1.35.4 open - \n"
	nodes := func(old, now string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write("/nodes", strings.Replace(all, old, now, 1), 0o600); return "" }
	}
	kept := func(h *scriptHost) {
		h.t.Helper()
		calls := h.read("/calls")
		if strings.Contains(calls, "\ndrain") || strings.Contains(calls, "draining") && h.read("/fails") == "" {
			h.t.Errorf("the node is taken out of service: %s", calls)
		}
	}
	const blocked = `case $* in
drain*) echo 'error when evicting pods/"db-0" -n "data" (will retry after 5s): Cannot evict pod' >&2; exit 1 ;;
*"get nodes"*) cat $ROOT/nodes ;;
*version*) echo '"gitVersion": "v1.36.3"' ;;
esac
echo "$*" >>$ROOT/calls`
	back := func(h *scriptHost) {
		inOrder(h.t, h.read("/calls"), `{"kubeadm-aws/upgrade": "draining"}}, "spec": {"unschedulable": true}`,
			`{"kubeadm-aws/upgrade": null}}, "spec": {"unschedulable": false}`)
	}
	refuses(t, "node-drain.sh", drainHost(all), []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000"), after: kept},
		{says: "another run has been changing node worker-1 for 5 minutes", spoil: stubbed("flock", "exit 1"), after: kept},
		{says: "other nodes have been draining for 5 minutes", spoil: stubbed("flock", `[ "$3" != 8 ]`), after: kept},
		{says: "the API does not answer, so node worker-1 cannot be drained", spoil: failing("get nodes"), after: kept},
		{says: "the upgrade of the control plane on this machine has not finished, so worker-1 stays", after: kept,
			spoil: func(h *scriptHost) string {
				h.write("/var/lib/kubeadm-aws/upgrade.started", "1.36.3", 0o600)
				return ""
			}},
		{says: "the API does not record that worker-1 is upgraded", spoil: func(h *scriptHost) string {
			h.env["ROLE"] = "control-plane"
			return failing("annotate")(h)
		}, after: kept},
		{says: "node worker-1 is not Ready", spoil: nodes("worker-1 True", "worker-1 False"), after: kept},
		{says: "the API server runs 1.35.4, and worker-1 would run 1.36.3", after: kept,
			spoil: func(h *scriptHost) string { h.write("/api-version", "1.35.4", 0o600); return "" }},
		{says: "not in service: worker-2. Nodes are upgraded one after the other",
			spoil: nodes("worker-2 True", "worker-2 Unknown"), after: kept},
		{says: "not in service: worker-2",
			spoil: nodes("worker-2 True v1.35.4 open - ", "worker-2 True v1.35.4 cordoned - drained"), after: kept},
		{says: "not in service: worker-2 (reboots for an update). Nodes are upgraded one after the other", after: kept,
			spoil: nodes("worker-2 True v1.35.4 open - ", "worker-2 True v1.35.4 cordoned reboots ")},
		{says: "not in service: worker-2 (reboots for an update). Nodes", after: kept,
			spoil: nodes("worker-2 True v1.35.4 open - ", "worker-2 False v1.35.4 cordoned reboots ")},
		{says: "or by hand: kubectl annotate node NAME kubeadm-aws/reboot-, then kubectl uncordon NAME", after: kept,
			spoil: nodes("worker-2 True v1.35.4 open - ", "worker-2 False v1.35.4 cordoned reboots ")},
		{says: "not in service: worker-1 (reboots for an update)", after: kept,
			spoil: nodes("worker-1 True v1.35.4 open - ", "worker-1 False v1.35.4 cordoned reboots ")},
		{says: "node worker-1 cannot be cordoned", spoil: failing("draining"), after: kept},
		{says: "these pods stay: data/db-0. The node is back in service", spoil: stubbed("kubectl", blocked), after: back},
		{says: "and the API does not record it", spoil: failing(`"drained"`)},
	})
	for state, want := range map[string]struct{ prints, calls string }{
		"worker-1 True v1.35.4 open - ":                  {"drained", `"kubeadm-aws/upgrade": "drained"}`},
		"worker-1 True v1.35.4 cordoned - ":              {"drained", `"kubeadm-aws/upgrade": "drained kept"}`},
		"worker-1 True v1.35.4 cordoned - draining":      {"drained", `"kubeadm-aws/upgrade": "drained"}`},
		"worker-1 True v1.35.4 cordoned - draining kept": {"drained", `"kubeadm-aws/upgrade": "drained kept"}`},
		// The kubelet of a node that was drained before may be stopped.
		"worker-1 False v1.35.4 cordoned - drained kept": {"drained", ""},
		"worker-1 True v1.36.3 open - ":                  {"stays", ""},
		"worker-9 True v1.35.4 open - ":                  {"stays", ""},
	} {
		h, _ := drainHost(strings.Replace(all, "worker-1 True v1.35.4 open - ", state, 1))(t)
		h.succeeds(h.run("node-drain.sh", ""), "node worker-1 "+want.prints)
		calls := h.read("/calls")
		if want.calls == "" && (strings.Contains(calls, "patch") || strings.Contains(calls, "drain ")) {
			t.Errorf("%q: it does %s", state, calls)
		}
		if want.calls != "" && (!strings.Contains(calls, want.calls) || !strings.Contains(calls, "\ndrain worker-1")) {
			t.Errorf("%q: no %s in %s", state, want.calls, calls)
		}
	}
	testControlPlaneHasItsTurn(t, drainHost(all))
}
