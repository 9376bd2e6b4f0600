package cluster

import (
	"strings"
	"testing"

	"kubeadm-aws/cluster/stepline"
)

func set(key, value string) func(*scriptHost) string {
	return func(h *scriptHost) string { h.env[key] = value; return "" }
}

// testReadyFailures covers a machine that the other scripts do not support, and one that never finishes its boot.
func testReadyFailures(t *testing.T) {
	host := func(t *testing.T) (*scriptHost, string) {
		h := newScriptHost(t)
		h.env = map[string]string{"TIMEOUT": "0"}
		h.write("/etc/os-release", "ID=ubuntu\nVERSION_ID=24.04\n", 0o644)
		h.stub("dpkg", "echo amd64")
		h.stub("timeout", `shift; exec "$@"`)
		for _, name := range []string{"cloud-init", "systemctl", "sleep"} {
			h.stub(name, "")
		}
		return h, ""
	}
	refuses(t, "ready.sh", host, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "this machine runs rhel-9; the image has to be", spoil: func(h *scriptHost) string {
			h.write("/etc/os-release", "ID=rhel\nVERSION_ID=9\n", 0o644)
			return ""
		}},
		{says: "only amd64 instance types are supported (nodes[].instanceType)", spoil: stubbed("dpkg", "echo arm64")},
		{says: "cloud-init is not done after 0 s", spoil: stubbed("timeout", "exit 124")},
		{says: "cloud-init failed; see", spoil: stubbed("cloud-init", "exit 1")},
		{says: "the machine does not allow logins after 0 s",
			spoil: func(h *scriptHost) string { h.write("/run/nologin", "", 0o644); return "" }},
	})
	h, _ := host(t)
	// Done, with errors that it recovered from.
	h.stub("cloud-init", `case $* in *--long*) echo "recoverable_errors: a deprecated key" ;; *) exit 2 ;; esac`)
	h.stub("systemctl", `echo "$*" >>$ROOT/calls`)
	o := h.run("ready.sh", "")
	h.succeeds(o, "ready ubuntu-24.04 amd64")
	if !strings.Contains(o.stderr, "recoverable_errors: a deprecated key") {
		t.Errorf("it hides what cloud-init recovered from: %s", o.stderr)
	}
	if !strings.Contains(h.read("/calls"), "stop apt-daily.timer") {
		t.Error("the timers of apt disturb prepare")
	}
	h.write("/calls", "", 0o644)
	h.write("/var/lib/kubeadm-aws/containerd-config", "sum", 0o644)
	h.succeeds(h.run("ready.sh", ""), "ready ubuntu-24.04 amd64")
	if h.read("/calls") != "" {
		t.Errorf("nothing starts the timers of a node again: %s", h.read("/calls"))
	}
}

func testJoinFailures(t *testing.T) {
	stdin, err := stepline.Pack(map[string]string{"discovery.conf": "    certificate-authority-data: Y2E=\n"})
	if err != nil {
		t.Fatal(err)
	}
	fresh := func(t *testing.T) (*scriptHost, string) {
		h := newScriptHost(t)
		h.env = map[string]string{
			"NODE": "worker-1", "KUBERNETES_VERSION": "1.36.3", "ENDPOINT": "api.dev.internal:6443", "KUBELET_SETTINGS": "one",
			"STEADY": "0",
			"KUBEADM_CONFIG": "kind: JoinConfiguration\n  - name: node-ip\n    value: 10.0.1.11\n  - name: provider-id\n    value: " +
				"aws:///a/i-1",
			"UPGRADE_CONFIG": "kind: UpgradeConfiguration",
			"KUBELET":        h.file("kubelet.sh", h.text("kubelet.sh")),
			"UPGRADE": h.file("upgrade.sh", `echo "upgrade $*" >>$ROOT/calls
[ ! -e $ROOT/upgrade-fails ] || ! grep -q "$(cat $ROOT/upgrade-fails)" <<<"$*" || { echo "upgrade $* fails" >&2; exit 1; }
case $* in *kubelet*) echo "$KUBERNETES_VERSION" >$ROOT/kubelet-version ;; esac`),
		}
		h.write("/kubelet-version", "1.36.3", 0o600)
		h.stub("kubelet", "echo Kubernetes v$(cat $ROOT/kubelet-version)")
		h.stub("kubeadm", `echo "kubeadm $*" >>$ROOT/calls; [ ! -e $ROOT/kubeadm-fails ] || exit 1
mkdir -p $ROOT/var/lib/kubelet; case $* in join* | upgrade*) cat $ROOT/kubelet >$ROOT/var/lib/kubelet/config.yaml ;; esac
case $* in join*) echo 'KUBELET_KUBEADM_ARGS="--node-ip=10.0.1.11"' >$ROOT/var/lib/kubelet/kubeadm-flags.env ;; esac`)
		h.stub("curl",
			`case $* in *6443*) [ ! -e $ROOT/api-down ] || { echo "curl: (28) timed out" >&2; exit 28; }; echo ok ;; *) ! grep -q bad $ROOT/var/lib/kubelet/config.yaml ;; esac`)
		h.stub("kubectl",
			`case $* in *discovery.conf*) cat $ROOT/other 2>/dev/null || true ;;
*/version*) printf '{\n  "gitVersion": "v%s",\n}\n' "$(cat $ROOT/api-version)" ;;
*kubeadm-aws/upgrade*) cat $ROOT/mark ;;
*) [ ! -e $ROOT/unknown ] || { echo NotFound; exit 1; }; echo node/worker-1 ;; esac`)
		for _, name := range []string{"systemctl", "journalctl", "sleep"} {
			h.stub(name, `echo "`+name+` $*" >>$ROOT/calls`)
		}
		h.stub("systemctl", kubeletOfState)
		h.write("/kubelet", "good", 0o600)
		return h, stdin
	}
	file := func(path, content string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write(path, content, 0o600); return "" }
	}
	noKeys := func(h *scriptHost) {
		if h.read("/run/kubeadm-aws/discovery.conf") != "" {
			h.t.Error("the joining kubeconfig stays on the host")
		}
	}
	empty, err := stepline.Pack(map[string]string{"other": ""})
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, "join.sh", fresh, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "another run has been changing this machine for 10 minutes", spoil: stubbed("flock", "exit 1")},
		{says: "is not base64 of a compressed tar archive", spoil: func(*scriptHost) string { return "=" }},
		{says: "standard input lacks discovery.conf", spoil: func(*scriptHost) string { return empty }},
		{says: "the step prepare has to install it", spoil: set("KUBERNETES_VERSION", "1.37.0"), after: noKeys},
		{says: "does not answer from this machine: curl: (28) timed out. Look at the private DNS zone",
			spoil: file("/api-down", ""), after: noKeys},
		{says: "this machine is already a node of a cluster that this program did not make",
			spoil: file("/etc/kubernetes/kubelet.conf", "x"), after: noKeys},
		{says: "another machine is Ready as node worker-1", spoil: file("/other", "True aws:///a/i-1"), after: noKeys},
		{says: "node worker-1 is that of another machine, aws:///a/i-0", spoil: file("/other", "Unknown aws:///a/i-0"),
			after: noKeys},
		{says: "kubeadm join fails; the whole output is in", spoil: file("/kubeadm-fails", ""), after: noKeys},
		{says: "the kubelet is not healthy", spoil: file("/kubelet", "bad")},
		{says: "does not register with the cluster", spoil: file("/unknown", "")},
	})
	// A joined worker reverts to the kubelet settings that worked.
	h, _ := fresh(t)
	h.succeeds(h.run("join.sh", stdin), "joined 1.36.3")
	h.env["KUBELET_SETTINGS"] = "two"
	h.write("/kubelet", "bad", 0o600)
	h.fails(h.run("join.sh", stdin), 1, "the kubelet is not healthy", "the kubelet has its former settings again")
	if got := h.read("/var/lib/kubelet/config.yaml"); got != "good" {
		t.Errorf("the kubelet is left with %q", got)
	}
	h.write("/kubelet", "better", 0o600)
	h.succeeds(h.run("join.sh", stdin), "joined 1.36.3")
	if got := h.read("/var/lib/kubelet/config.yaml"); got != "better" {
		t.Errorf("the kubelet has %q", got)
	}
	// One that ends again and again answers in between.
	h.env["KUBELET_SETTINGS"], h.env["STEADY"] = "three", "1"
	h.write("/kubelet", "restarting", 0o600)
	h.fails(h.run("join.sh", stdin), 1, "the kubelet ends again and again", "the kubelet has its former settings again")
	h.env["STEADY"] = "0"
	// It does not start with the assignments of another policy, also not after a change that is put back.
	h.write("/kubelet", "policy static", 0o600)
	h.succeeds(h.run("join.sh", stdin), "joined 1.36.3")
	h.env["KUBELET_SETTINGS"] = "four"
	h.write("/kubelet", "policy bad", 0o600)
	h.fails(h.run("join.sh", stdin), 1, "the kubelet has its former settings again")
	if got := h.read("/var/lib/kubelet/cpu_manager_state"); got != "policy static\n" {
		t.Errorf("the kubelet has assignments of %q", got)
	}
	testUpgradeInJoin(t, fresh)
	// The script is killed between two lines, then run again.
	h, _ = fresh(t)
	kubeadm := strings.TrimPrefix(h.read("/bin/kubeadm"), "#!/bin/bash\n")
	h.stub("kubeadm", kubeadm+"\nkill -KILL $(ps -o ppid= -p $PPID)")
	if o := h.run("join.sh", stdin); o.code != -1 {
		t.Errorf("killed: %d", o.code)
	}
	h.stub("kubeadm", kubeadm)
	h.succeeds(h.run("join.sh", stdin), "joined 1.36.3")
	noKeys(h)
}

// kubeletOfState is a systemctl whose kubelet keeps assignments of its settings in a file. It ends if the file has
// others, and is another process each time if the settings are "restarting".
const kubeletOfState = `echo "systemctl $*" >>$ROOT/calls
state=$ROOT/var/lib/kubelet/cpu_manager_state config=$ROOT/var/lib/kubelet/config.yaml
case $* in
show*) if grep -q restarting "$config"; then echo $RANDOM; else echo 7; fi ;;
"restart kubelet")
  if [ -e "$state" ] && ! diff -q "$state" <(cat "$config"; echo) >/dev/null; then echo bad >"$config"; fi
  [ -e "$state" ] || { cat "$config"; echo; } >"$state" ;;
esac`

// testUpgradeInJoin changes the release of a worker that has joined.
func testUpgradeInJoin(t *testing.T, fresh func(*testing.T) (*scriptHost, string)) {
	older := func(t *testing.T) (*scriptHost, string) {
		h, stdin := fresh(t)
		h.write("/kubelet-version", "1.35.4", 0o600)
		h.env["KUBERNETES_VERSION"] = "1.35.4"
		h.succeeds(h.run("join.sh", stdin), "joined 1.35.4")
		h.env["KUBERNETES_VERSION"] = "1.36.3"
		h.write("/api-version", "1.36.3", 0o600)
		h.write("/mark", "drained kept", 0o600)
		h.write("/calls", "", 0o600)
		return h, stdin
	}
	h, stdin := older(t)
	h.succeeds(h.run("join.sh", stdin), "joined 1.36.3")
	inOrder(t, h.read("/calls"), "upgrade packages kubeadm", "kubeadm upgrade node --config",
		"upgrade packages kubelet kubectl", "systemctl restart kubelet")
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("join.sh", stdin), "joined 1.36.3")
	if calls := h.read("/calls"); strings.Contains(calls, "upgrade") {
		t.Errorf("a second run: %s", calls)
	}
	write := func(path, content string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write(path, content, 0o600); return "" }
	}
	same := func(h *scriptHost) {
		if got := strings.TrimSpace(h.read("/kubelet-version")); got != "1.35.4" {
			h.t.Errorf("the kubelet is %s", got)
		}
	}
	refuses(t, "join.sh", older, []spoilt{
		{says: "the API server runs 1.35.4, and this node would run 1.36.3", spoil: write("/api-version", "1.35.4"),
			after: same},
		{says: "node worker-1 is not drained, so its kubelet keeps 1.35.4", spoil: write("/mark", "draining"), after: same},
		{says: "kubeadm upgrade fails", spoil: write("/kubeadm-fails", ""), after: same},
		{says: "upgrade packages kubelet kubectl fails", spoil: write("/upgrade-fails", "kubelet"), after: same},
		{says: "the kubelet is not healthy", spoil: write("/kubelet", "bad")},
	})
	// The packages are there, and the run ended before the kubelet was restarted.
	h, stdin = older(t)
	h.stub("systemctl", `echo "systemctl $*" >>$ROOT/calls; [ "$*" != "restart kubelet" ] || kill -KILL $PPID`)
	if o := h.run("join.sh", stdin); o.code != -1 {
		t.Errorf("killed: %d", o.code)
	}
	h.stub("systemctl", `echo "systemctl $*" >>$ROOT/calls`)
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("join.sh", stdin), "joined 1.36.3")
	inOrder(t, h.read("/calls"), "kubeadm upgrade node --config", "systemctl restart kubelet")
}

// apiHost returns a control plane for the scripts that only use the API.
func apiHost(env map[string]string, kubectl string) func(t *testing.T) (*scriptHost, string) {
	return func(t *testing.T) (*scriptHost, string) {
		h := newScriptHost(t)
		h.env = map[string]string{"RUN_DIR": h.at("/run")}
		for k, v := range env {
			h.env[k] = v
		}
		h.stub("kubectl", `echo "$*" >>$ROOT/calls
if [ -e $ROOT/fails ] && grep -qe "$(cat $ROOT/fails)" <<<"$*"; then echo "the server is silent" >&2; exit 1; fi
`+kubectl)
		h.stub("sleep", "")
		return h, ""
	}
}

func failing(pattern string) func(h *scriptHost) string {
	return func(h *scriptHost) string { h.write("/fails", pattern, 0o644); return "" }
}

func testNodeFailures(t *testing.T) {
	host := apiHost(map[string]string{"NODE": "worker-1", "ROLE": "worker", "STARTUP_TAINT": StartupTaint,
		"TAINTS": "a=b:NoSchedule\n", "KUBERNETES_VERSION": "1.36.3"},
		`case $* in
*kubeletVersion*) cat $ROOT/state ;;
*"get node"*) printf '\n\nkubeadm-aws/unconfigured:NoSchedule \n%s\n' "$(cat $ROOT/mark 2>/dev/null)" ;;
esac`)
	drained := func(mark, state, fails string) func(*scriptHost) string {
		return func(h *scriptHost) string {
			h.write("/mark", mark, 0o600)
			h.write("/state", state, 0o600)
			if fails != "" {
				h.write("/fails", fails, 0o600)
			}
			return ""
		}
	}
	away := func(h *scriptHost) {
		if strings.Contains(h.read("/calls"), "unschedulable") && h.read("/fails") == "" {
			h.t.Errorf("it returns to service: %s", h.read("/calls"))
		}
	}
	refuses(t, "node.sh", host, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "another run has been changing node worker-1 for 5 minutes", spoil: stubbed("flock", "exit 1")},
		{says: "node worker-1 is not found: the server is silent", spoil: failing("get node")},
		{says: "the labels of node worker-1 cannot be set (nodes[].labels)", spoil: failing("patch node")},
		{says: "the taints of node worker-1 cannot be set (nodes[].taints)", spoil: failing("taint node")},
		{says: "does not become Ready with Kubernetes 1.36.3, and no other node is upgraded",
			spoil: drained("drained", "v1.35.4 True", ""), after: away},
		{says: "does not become Ready with Kubernetes 1.36.3", spoil: drained("drained", "v1.36.3 False", ""), after: away},
		{says: "is upgraded and does not return to service", spoil: drained("drained", "v1.36.3 True", "unschedulable")},
	})
	h, _ := host(t)
	h.succeeds(h.run("node.sh", ""), "node worker-1 configured")
	for mark, want := range map[string]string{"drained": `"unschedulable": false`,
		"drained kept": `"unschedulable": true`} {
		h, _ := host(t)
		drained(mark, "v1.36.3 True", "")(h)
		h.succeeds(h.run("node.sh", ""), "node worker-1 configured")
		calls := h.read("/calls")
		if !strings.Contains(calls, want) || !strings.Contains(calls, `"kubeadm-aws/upgrade": null`) {
			t.Errorf("%s: no %s in %s", mark, want, calls)
		}
	}
}

func testNodeDeleteFailures(t *testing.T) {
	// Another node has room.
	const roomy = "worker-1 true - \nworker-3 true - \n"
	host := apiHost(map[string]string{"NODE": "worker-1", "TIMEOUT": "1"},
		`case $* in *"get nodes"*) cat $ROOT/nodes 2>/dev/null || true ;; *"get node"*) echo "worker-1 True " ;; esac`)
	kept := func(h *scriptHost) {
		if strings.Contains(h.read("/calls"), "delete node") {
			h.t.Error("the node is deleted although its pods could not leave")
		}
	}
	refuses(t, "node-delete.sh", host, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000"), after: kept},
		{says: "another run has been changing node worker-1 for 10 minutes", spoil: stubbed("flock", "exit 1"), after: kept},
		{says: "other nodes have been draining for 3000 s", spoil: stubbed("flock", `[ "$3" != 8 ]`), after: kept},
		{says: "the API does not answer, so node worker-1 cannot be drained", spoil: failing("get node"), after: kept},
		{says: "could not be drained within 1 s; it is cordoned and still there", spoil: failing("^drain"), after: kept},
		{says: "worker-2 has its turn to reboot (maintenance.reboots) and has not returned within 900 s, so worker-1 has not been drained",
			spoil: func(h *scriptHost) string {
				h.write("/nodes", roomy+"worker-2 false reboots \n", 0o600)
				return ""
			},
			after: func(h *scriptHost) {
				kept(h)
				if calls := h.read("/calls"); strings.Contains(calls, "cordon") {
					h.t.Errorf("two nodes are away: %s", calls)
				}
			}},
	})
	h, _ := host(t)
	// Its own turn ends, so that the end of the turn does not let pods return in the middle of the drain.
	h.write("/nodes", "worker-1 false reboots \n", 0o600)
	h.succeeds(h.run("node-delete.sh", ""), "node worker-1 deleted")
	inOrder(t, h.read("/calls"), "annotate node worker-1 kubeadm-aws/reboot-", "cordon worker-1", "drain worker-1")
	// Another node returns from its reboot meanwhile. The time until the lock is free does not count.
	h, _ = host(t)
	h.waits = true
	h.env["SECONDS"] = "2000"
	h.stub("sleep", "echo '"+strings.TrimSpace(roomy)+"' >$ROOT/nodes; echo slept >>$ROOT/calls")
	h.write("/nodes", roomy+"worker-2 false reboots \n", 0o600)
	h.succeeds(h.run("node-delete.sh", ""), "node worker-1 deleted")
	inOrder(t, h.read("/calls"), "slept", "cordon worker-1")
	// The machine is gone, and its node is Ready until the drain waits for pods that nothing ends.
	h, _ = apiHost(map[string]string{"NODE": "worker-1", "INTERVAL": "0.1", "LOST": "0"},
		`case $* in drain*) touch $ROOT/lost; exec /bin/sleep 600 ;; *"get node"*metadata.name*) echo "worker-1 True " ;;
*"get node"*) if [ -e $ROOT/lost ]; then echo Unknown; else echo True; fi ;; esac`)(t)
	h.stub("sleep", `exec /bin/sleep "$@"`)
	h.succeeds(h.run("node-delete.sh", ""), "node worker-1 deleted")
	if calls := h.read("/calls"); !strings.Contains(calls, "delete node") {
		t.Errorf("the node of a lost machine stays: %s", calls)
	}
	for id, deletes := range map[string]bool{"aws:///eu-central-1a/i-1": true, "aws:///eu-central-1a/i-2": false} {
		h, _ := apiHost(map[string]string{"NODE": "worker-1", "TIMEOUT": "1", "PROVIDER_ID": "aws:///eu-central-1a/i-1"},
			`case $* in *"get node"*) echo "worker-1 True `+id+`" ;; esac`)(t)
		h.succeeds(h.run("node-delete.sh", ""), "node worker-1 deleted")
		if strings.Contains(h.read("/calls"), "delete node") != deletes {
			t.Errorf("the node of %s: %s", id, h.read("/calls"))
		}
	}
}

func testNodesReadyFailures(t *testing.T) {
	host := apiHost(map[string]string{"NODES": "master worker-1", "TIMEOUT": "0"},
		`case $* in *items*type==*status*) echo "master=True worker-1=False " ;; esac`)
	refuses(t, "nodes-ready.sh", host, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "not Ready after 0 s: worker-1. A node without a network plugin stays so"},
		{says: "not Ready after 0 s: all: the server is silent", spoil: failing("get nodes")},
	})
}
