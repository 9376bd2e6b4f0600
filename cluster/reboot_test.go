package cluster

import (
	"os"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/config"
)

// rebootHost returns a node that runs the kubelet, with an update that needs a reboot.
func rebootHost(t *testing.T) (*scriptHost, string) {
	h, stdin := apiHost(map[string]string{"NODE": "worker-1"}, `case $* in
*reboot-required-*) rm -f $ROOT/asks ;;
*"annotate node"*) echo yes >$ROOT/asks ;;
*go-template*reboot-required*) cat $ROOT/asks 2>/dev/null || true ;;
*go-template*) cat $ROOT/turn 2>/dev/null || true ;;
esac`)(t)
	h.write("/etc/kubernetes/kubelet.conf", "kubeconfig", 0o600)
	h.write("/var/lib/kubeadm-aws/none", "", 0o600)
	h.write("/run/reboot-required", "", 0o600)
	h.write("/run/reboot-required.pkgs", "linux-image-6.1.0-41-cloud-amd64\nlibc6\n", 0o600)
	at := time.Date(2026, 11, 3, 6, 12, 0, 0, time.UTC)
	if err := os.Chtimes(h.at("/run/reboot-required"), at, at); err != nil {
		t.Fatal(err)
	}
	h.stub("curl", "")
	h.stub("pgrep", processes)
	h.stub("date", `case $* in +%s) cat $ROOT/clock ;; *) exec /bin/date "$@" ;; esac`)
	h.write("/clock", "1793000060", 0o600)
	h.stub("systemctl", `echo "systemctl $*" >>$ROOT/calls`)
	return h, stdin
}

// processes stands for pgrep. The file step exists while the command of a step runs: it has the line of that process.
const processes = `[ "$1" = -f ] && [ -e $ROOT/step ] && grep -qe "$2" $ROOT/step`

// runsStep starts the process of a step, with the file of the scripts as the step names it.
func (h *scriptHost) runsStep() {
	line := "bash " + h.at(scripts{}.path("limit")) + " 300 " + h.at(stepline.ScriptDir+"/join.0.sh")
	h.write("/step", line+"\n", 0o600)
}

const rebootUnit = "/etc/systemd/system/kubeadm-aws-reboot.service"

const rebootMetric = "/var/lib/node-exporter/textfile/reboot.prom"

func testRebootFailures(t *testing.T) {
	granted := func(spoil func(*scriptHost)) func(*scriptHost) string {
		return func(h *scriptHost) string {
			h.write("/turn", "granted:1793000000", 0o600)
			spoil(h)
			return ""
		}
	}
	stays := func(h *scriptHost) {
		h.t.Helper()
		if strings.Contains(h.read("/calls"), "systemctl reboot") {
			h.t.Error("the machine reboots")
		}
	}
	refuses(t, "reboot.sh", rebootHost, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000"), after: stays},
		{says: "the API does not record that worker-1 needs a reboot", spoil: failing("annotate"), after: stays},
		{says: "the API does not show whether worker-1 asks for a reboot", after: stays,
			spoil: failing("template.*required")},
		{says: "the API does not show whether worker-1 has its turn", after: stays,
			spoil: granted(func(h *scriptHost) { failing(`template.*reboot"`)(h) })},
		// A full disk, on which the next run would not know that the machine has rebooted.
		{says: "cannot be written, so worker-1 does not reboot", after: stays, spoil: granted(func(h *scriptHost) {
			if err := os.Mkdir(h.at("/var/lib/kubeadm-aws/reboot.turn"), 0o700); err != nil {
				h.t.Fatal(err)
			}
		})},
		{says: "the API does not record that worker-1 needs no reboot", spoil: func(h *scriptHost) string {
			h.write("/asks", "yes", 0o600)
			h.remove("/run/reboot-required")
			return failing("annotate")(h)
		}},
		{says: "the API does not show whether worker-1 asks for a reboot", spoil: func(h *scriptHost) string {
			h.remove("/run/reboot-required")
			return failing("get node")(h)
		}},
	})
	testRebootOfANode(t)
	testRebootBeforeTheJoin(t)
}

func testRebootOfANode(t *testing.T) {
	h, _ := rebootHost(t)
	calls := func(want string, not ...string) {
		t.Helper()
		got := h.read("/calls")
		if !strings.Contains(got, want) {
			t.Errorf("no %q in: %s", want, got)
		}
		for _, text := range not {
			if strings.Contains(got, text) {
				t.Errorf("%q in: %s", text, got)
			}
		}
		h.write("/calls", "", 0o600)
	}
	o := h.run("reboot.sh", "")
	h.succeeds(o, "")
	if !strings.Contains(o.stderr, "an update needs a reboot: linux-image-6.1.0-41-cloud-amd64 libc6") {
		t.Errorf("it says %q", o.stderr)
	}
	calls("annotate node worker-1 --overwrite kubeadm-aws/reboot-required=2026-11-03T06:12:00Z", "systemctl")
	if metric := h.read(rebootMetric); !strings.HasSuffix(metric, "since_timestamp_seconds 1793686320\n") {
		t.Errorf("the metric is %s", metric)
	}
	// Another update of the same day touches the file. The first one counts.
	if err := os.Chtimes(h.at("/run/reboot-required"), time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("get node", "annotate", "systemctl")
	if metric := h.read(rebootMetric); !strings.HasSuffix(metric, " 1793686320\n") {
		t.Errorf("the metric is %s", metric)
	}
	// A node that registers again asks again.
	h.remove("/asks")
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("annotate node worker-1 --overwrite", "systemctl")

	h.write("/turn", "draining", 0o600)
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("get node", "systemctl")
	h.write("/turn", "granted:1793000000", 0o600)
	h.runsStep()
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("get node", "systemctl")
	h.remove("/step")
	// A step begins after the script has looked for one, and ends the turn.
	h.stub("pgrep", "mv $ROOT/turn $ROOT/ended; exit 1")
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("get node", "systemctl")
	h.stub("pgrep", processes)
	h.write("/turn", h.read("/ended"), 0o600)
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("systemctl reboot")
	// A machine that creates the file at every boot reboots once in its turn.
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("get node", "systemctl")
	// A turn that a former program left does not end.
	h.write("/turn", "granted:1792998560", 0o600)
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("get node", "systemctl")
	h.write("/clock", "1793086400", 0o600)
	h.write("/turn", "granted:1793086400", 0o600)
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("systemctl reboot")

	// After the boot, the request stays until the kubelet serves.
	h.remove("/run/reboot-required")
	h.stub("curl", "exit 7")
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("", "annotate")
	h.stub("curl", "")
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("annotate node worker-1 kubeadm-aws/reboot-required-", "systemctl")
	if metric := h.read(rebootMetric); !strings.HasSuffix(metric, " 0\n") {
		t.Errorf("the metric is %s", metric)
	}
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("get node", "annotate", "systemctl")
	// The disk of the machine is a copy, or the node was restored from a snapshot: the API shows a request that is done.
	h.write("/asks", "yes", 0o600)
	h.succeeds(h.run("reboot.sh", ""), "")
	calls("annotate node worker-1 kubeadm-aws/reboot-required-", "systemctl")
}

func testRebootBeforeTheJoin(t *testing.T) {
	h, _ := rebootHost(t)
	h.remove("/etc/kubernetes/kubelet.conf")
	h.write("/var/lib/node-exporter", "a file where a directory has to be", 0o600)
	o := h.run("reboot.sh", "")
	h.succeeds(o, "")
	if !strings.Contains(o.stderr, "the metric in ") || h.read("/calls") != "" {
		t.Errorf("it says %q and does %q", o.stderr, h.read("/calls"))
	}
	h.env["NODE"] = ""
	h.fails(h.run("reboot.sh", ""), 2, "NODE is not set", "usage: ")
}

// turnHost returns a control plane whose nodes are in the file nodes, at 03:00 of a Tuesday in Berlin.
func turnHost(t *testing.T) (*scriptHost, string) {
	h, stdin := apiHost(map[string]string{"NODE": "master", "DAYS": "1 2", "START": "120", "END": "300",
		"TIME_ZONE": "Europe/Berlin", "TIMEOUT": "1"},
		`case $* in
*go-template*) cat $ROOT/nodes ;;
*kubeadm-aws/stops*) cat $ROOT/stops 2>/dev/null || true ;;
*jsonpath*) cat $ROOT/addresses ;;
*readyz*) [ -e $ROOT/api-down ] || echo ok ;;
drain*) [ ! -e $ROOT/held ] || { cat $ROOT/held >&2; exit 1; } ;;
esac`)(t)
	h.env["KUBECONFIG"] = h.at("/admin.conf")
	h.write("/nodes", rebootNodes, 0o600)
	h.write("/clock", "2 03 00", 0o600)
	h.write("/var/lib/kubeadm-aws/none", "", 0o600)
	h.stub("date", `case $* in *%u*) cat $ROOT/clock ;; *) echo 1793000600 ;; esac`)
	h.write("/addresses", "10.0.1.10 10.0.1.11 10.0.1.12", 0o600)
	h.stub("pgrep", processes)
	h.stub("etcdctl", `[ ! -e $ROOT/etcd-down ] || { echo "10.0.1.11 is unhealthy"; exit 1; }
case $* in *list*) cat $ROOT/members ;; esac`)
	return h, stdin
}

// rebootNodes are the nodes as reboot-turn.sh reads them. Three of them ask for a reboot.
const rebootNodes = `master True v1.36.3 open control-plane - asks ""
worker-1 True v1.36.3 open worker - - ""
worker-2 True v1.36.3 open worker - asks ""
worker-3 True v1.36.3 open worker - asks ""
`

// nodesBut changes one line of rebootNodes.
func nodesBut(node, line string) string {
	var b strings.Builder
	for old := range strings.Lines(rebootNodes) {
		if strings.HasPrefix(old, node+" ") {
			old = node + " " + line + "\n"
		}
		b.WriteString(old)
	}
	return b.String()
}

func testRebootTurnFailures(t *testing.T) {
	nodes := func(node, line string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write("/nodes", nodesBut(node, line), 0o600); return "" }
	}
	stays := func(h *scriptHost) {
		h.t.Helper()
		if strings.Contains(h.read("/calls"), "\ndrain") {
			h.t.Errorf("a node is drained: %s", h.read("/calls"))
		}
	}
	refuses(t, "reboot-turn.sh", turnHost, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000"), after: stays},
		{says: "the API does not answer, so no node reboots", spoil: failing("get nodes"), after: stays},
		{says: "the API does not record that the turn of worker-2 has ended", after: stays,
			spoil: func(h *scriptHost) string {
				nodes("worker-2", `True v1.36.3 cordoned worker - asks "draining"`)(h)
				return failing("patch")(h)
			}},
		{says: "the API does not record the turn of master, so it does not reboot", spoil: func(h *scriptHost) string {
			h.write("/nodes", alone, 0o600)
			h.write("/members", first, 0o600)
			return failing("draining")(h)
		}},
		{says: "node worker-2 has not returned from its reboot for 43 minutes, and no other node reboots", after: stays,
			spoil: nodes("worker-2", `False v1.36.3 cordoned worker - asks "granted:1792998000"`)},
		// Another node whose drain was interrupted does not wait for it.
		{says: "node worker-2 has not returned from its reboot for 43 minutes", spoil: func(h *scriptHost) string {
			h.write("/nodes", strings.Replace(nodesBut("worker-2", `False v1.36.3 cordoned worker - asks "granted:1792998000"`),
				`worker-3 True v1.36.3 open worker - asks ""`, `worker-3 True v1.36.3 cordoned worker - asks "draining"`, 1), 0o600)
			return ""
		}, after: func(h *scriptHost) { inOrder(h.t, h.read("/calls"), givesBack("worker-3", `"draining"`, true)) }},
		{says: "node worker-2 cannot be cordoned", spoil: failing("draining"), after: stays},
		{says: "worker-2 could not be drained within 1 s: data/db-0. It is back in service without a reboot",
			spoil: func(h *scriptHost) string {
				h.write("/held", "error when evicting pods/\"db-0\" -n \"data\" (will retry after 5s): Cannot evict pod", 0o600)
				return ""
			},
			after: func(h *scriptHost) {
				inOrder(h.t, h.read("/calls"), `"kubeadm-aws/reboot": "draining"}}, "spec": {"unschedulable": true}`,
					givesBack("worker-2", `"draining"`, true))
				// In these hours, another node has its turn.
				h.remove("/held")
				h.succeeds(h.run("reboot-turn.sh", ""), "")
				inOrder(h.t, h.read("/calls"), "drain worker-3")
				// Hours that last the whole day do not end, so the node has its turn again after a day.
				failed := h.at("/run/kubeadm-aws-reboots-failed/worker-2")
				h.write("/calls", "", 0o600)
				if err := os.Chtimes(failed, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
					h.t.Fatal(err)
				}
				h.succeeds(h.run("reboot-turn.sh", ""), "")
				inOrder(h.t, h.read("/calls"), "drain worker-2")
				h.write("/run/kubeadm-aws-reboots-failed/worker-2", "", 0o600)
				h.write("/clock", "2 05 00", 0o600)
				h.succeeds(h.run("reboot-turn.sh", ""), "")
				h.write("/clock", "1 02 00", 0o600)
				h.write("/calls", "", 0o600)
				h.succeeds(h.run("reboot-turn.sh", ""), "")
				inOrder(h.t, h.read("/calls"), "drain worker-2")
			}},
		{says: "the API does not record that worker-2 may reboot", spoil: failing("granted")},
	})
	testRebootTurns(t)
	testRebootHours(t)
	testRebootsWait(t)
	testRebootOfControlPlanes(t)
	h, _ := turnHost(t)
	h.fails(h.run("reboot-turn.sh", "", "start"), 2, "usage: ")
	// A step of pulumi up names the node, and not the settings in the file.
	for _, name := range []string{"DAYS", "START", "END", "TIME_ZONE"} {
		delete(h.env, name)
	}
	h.write("/etc/kubernetes/reboots.env", "NODE=master\nDAYS=1\\ 2\nSTART=120\nEND=300\nTIME_ZONE=Europe/Berlin\n", 0o600)
	h.succeeds(h.run("reboot-turn.sh", "", "stop"), "")
	h.remove("/etc/kubernetes/reboots.env")
	h.env["DAYS"] = ""
	h.fails(h.run("reboot-turn.sh", ""), 2, "DAYS is not set", "usage: ")
}

// testRebootTurns follows the turns of nodes, also of those whose run was interrupted.
func testRebootTurns(t *testing.T) {
	const drains = "drain worker-2"
	back := func(turn string) string { return givesBack("worker-2", turn, true) }
	for _, c := range []struct {
		name, node, line string
		args, does, not  []string
	}{
		{"the first worker by name", "worker-1", `True v1.36.3 open worker - - ""`, nil,
			[]string{`"draining"}}, "spec": {"unschedulable": true}`, drains + " --ignore-daemonsets",
				`"granted:1793000600"`}, nil},
		{"an interrupted drain", "worker-2", `True v1.36.3 cordoned worker - asks "draining"`, nil,
			[]string{back(`"draining"`)}, nil},
		{"one that is about to reboot", "worker-2", `True v1.36.3 cordoned worker - asks "granted:1793000000"`, nil, nil,
			[]string{"drain", "patch"}},
		{"one that reboots", "worker-2", `False v1.36.3 cordoned worker - asks "granted:1793000000"`, nil, nil,
			[]string{"drain", "patch"}},
		{"one that has booted and is not Ready", "worker-2", `False v1.36.3 cordoned worker - - "granted:1793000000"`, nil,
			nil, []string{"drain", "patch"}},
		{"one that has rebooted", "worker-2", `True v1.36.3 cordoned worker - - "granted:1793000000"`, nil,
			[]string{back(`"granted:1793000000"`), "drain worker-3"}, nil},
		{"one that does not reboot", "worker-2", `True v1.36.3 cordoned worker - asks "granted:1792998000"`, nil,
			[]string{back(`"granted:1792998000"`), "drain worker-3"}, []string{drains}},
		{"a turn that is no turn", "worker-2", `True v1.36.3 cordoned worker - asks "granted:x\n"`, nil,
			[]string{back(`"granted:x\n"`), "drain worker-3"}, []string{drains}},
		{"one that was cordoned by hand", "worker-2", `True v1.36.3 cordoned worker - asks ""`, nil,
			[]string{"drain worker-3"}, []string{"worker-2"}},
		{"reboots are switched off", "worker-2", `False v1.36.3 cordoned worker - asks "granted:1793000000"`, []string{"stop"},
			[]string{back(`"granted:1793000000"`)}, []string{"drain"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := turnHost(t)
			h.write("/nodes", nodesBut(c.node, c.line), 0o600)
			h.succeeds(h.run("reboot-turn.sh", "", c.args...), "")
			calls := h.read("/calls")
			inOrder(t, calls, c.does...)
			for _, text := range c.not {
				if strings.Contains(calls, text) {
					t.Errorf("it does %q: %s", text, calls)
				}
			}
		})
	}
}

// testRebootHours asks at several times whether a node is drained.
func testRebootHours(t *testing.T) {
	for _, c := range []struct {
		days, start, end, clock string
		drains                  bool
	}{
		{"1 2", "120", "300", "2 02 00", true},
		{"1 2", "120", "300", "2 01 59", false},
		{"1 2", "120", "300", "2 04 59", true},
		{"1 2", "120", "300", "2 05 00", false},
		{"1 2", "120", "300", "3 03 00", false},
		{"7", "1320", "240", "7 22 00", true},
		{"7", "1320", "240", "1 03 59", true},
		{"7", "1320", "240", "1 04 00", false},
		{"7", "1320", "240", "7 03 00", false},
		{"7", "1320", "240", "1 22 00", false},
		{"7", "1320", "0", "7 23 59", true},
		{"7", "1320", "0", "1 00 00", false},
		{"7", "1320", "1440", "7 23 59", true},
		{"7", "1320", "1440", "1 00 00", false},
		{"1 2 3 4 5 6 7", "0", "1440", "4 23 59", true},
		{"5", "0", "1440", "5 08 09", true},
	} {
		h, _ := turnHost(t)
		h.env["DAYS"], h.env["START"], h.env["END"] = c.days, c.start, c.end
		h.write("/clock", c.clock, 0o600)
		h.succeeds(h.run("reboot-turn.sh", ""), "")
		if calls := h.read("/calls"); strings.Contains(calls, "drain") != c.drains {
			t.Errorf("%v: %s", c, calls)
		} else if !c.drains && calls != "" {
			t.Errorf("%v: it calls the API: %s", c, calls)
		}
	}
	// A node that was drained in time returns after the hours too.
	h, _ := turnHost(t)
	h.succeeds(h.run("reboot-turn.sh", ""), "")
	h.write("/clock", "2 05 03", 0o600)
	h.write("/calls", "", 0o600)
	h.write("/nodes", nodesBut("worker-2", `True v1.36.3 cordoned worker - - "granted:1793000000"`), 0o600)
	h.succeeds(h.run("reboot-turn.sh", ""), "")
	inOrder(t, h.read("/calls"), givesBack("worker-2", `"granted:1793000000"`, true))
	if calls := h.read("/calls"); strings.Contains(calls, "drain") {
		t.Errorf("after the hours: %s", calls)
	}
}

// testRebootsWait has one thing in the way of a reboot each time.
func testRebootsWait(t *testing.T) {
	for says, spoil := range map[string]func(*scriptHost){
		"not Ready: worker-1": func(h *scriptHost) {
			h.write("/nodes", nodesBut("worker-1", `Unknown v1.36.3 open worker - - ""`), 0o600)
		},
		"upgraded: worker-1": func(h *scriptHost) {
			h.write("/nodes", nodesBut("worker-1", `True v1.36.3 cordoned worker half - ""`), 0o600)
		},
		"an upgrade has not reached every node": func(h *scriptHost) {
			h.write("/nodes", nodesBut("worker-1", `True v1.35.4 open worker - - ""`), 0o600)
		},
		"the control plane on this machine is upgraded": func(h *scriptHost) {
			h.write("/var/lib/kubeadm-aws/upgrade.started", "1.36.3", 0o600)
		},
		"a step of pulumi up runs on this machine": func(h *scriptHost) { h.runsStep() },
		"the machine of a control plane is about to stop": func(h *scriptHost) {
			h.write("/stops", "1792999701 1793000630", 0o600)
		},
		"the API does not show whether a control plane is about to stop": func(h *scriptHost) {
			h.write("/fails", "stops", 0o600)
		},
		"worker-9 was removed and may return": func(h *scriptHost) {
			h.write("/run/kubeadm-aws-left/worker-9", "", 0o600)
			at := time.Unix(1793000600-60, 0)
			if err := os.Chtimes(h.at("/run/kubeadm-aws-left/worker-9"), at, at); err != nil {
				h.t.Fatal(err)
			}
		},
	} {
		h, _ := turnHost(t)
		spoil(h)
		o := h.run("reboot-turn.sh", "")
		h.succeeds(o, "")
		if !strings.Contains(o.stderr, "worker-2 waits for its reboot: "+says) || strings.Contains(h.read("/calls"), "drain") {
			t.Errorf("it says %q and does %s", o.stderr, h.read("/calls"))
		}
	}
	h, _ := turnHost(t)
	h.stub("flock", "exit 1")
	h.fails(h.run("reboot-turn.sh", "", "stop"), 1, "another run of this program has not ended within a minute")
	for _, lock := range []string{"8", "9"} {
		h, _ := turnHost(t)
		h.stub("flock", `[ "$2" != `+lock+" ]")
		h.succeeds(h.run("reboot-turn.sh", ""), "")
		if strings.Contains(h.read("/calls"), "drain") {
			t.Errorf("without the lock %s it does %s", lock, h.read("/calls"))
		}
	}
}

// testRebootOfControlPlanes reboots control planes after all workers, and this one last.
func testRebootOfControlPlanes(t *testing.T) {
	const three = `master True v1.36.3 open control-plane - asks ""
master-2 True v1.36.3 open control-plane - - ""
master-3 True v1.36.3 open control-plane - asks ""
worker-1 True v1.36.3 open worker - - ""
`
	member := func(n, learns string) string {
		return n + ", started, m, https://10.0.1.1" + n + ":2380, x, " + learns + "\n"
	}
	host := func() *scriptHost {
		h, _ := turnHost(t)
		h.write("/nodes", three, 0o600)
		h.write("/members", member("0", "false")+member("1", "false")+member("2", "false"), 0o600)
		return h
	}
	h := host()
	h.succeeds(h.run("reboot-turn.sh", ""), "")
	inOrder(t, h.read("/calls"), "--server https://10.0.1.10:6443", "--server https://10.0.1.11:6443",
		`patch node master-3 --type=merge -p {"metadata": {"annotations": {"kubeadm-aws/reboot": "draining"}}}`, "stops",
		`patch node master-3 --type=merge -p {"metadata": {"annotations": {"kubeadm-aws/reboot": "granted:1793000600"}}}`)
	if strings.Contains(h.read("/calls"), "\ndrain") {
		t.Errorf("a control plane is drained: %s", h.read("/calls"))
	}
	h.write("/nodes", strings.Replace(three, `master-3 True v1.36.3 open control-plane - asks ""`,
		`master-3 True v1.36.3 open control-plane - - "granted:1793000600"`, 1), 0o600)
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("reboot-turn.sh", ""), "")
	inOrder(t, h.read("/calls"),
		givesBack("master-3", `"granted:1793000600"`, false),
		`patch node master --type=merge -p {"metadata": {"annotations": {"kubeadm-aws/reboot": "granted:1793000600"}}}`)
	for says, spoil := range map[string]func(*scriptHost){
		"etcd: 10.0.1.11 is unhealthy":        func(h *scriptHost) { h.write("/etcd-down", "", 0o600) },
		"the API of 10.0.1.10 is not ready":   func(h *scriptHost) { h.write("/api-down", "", 0o600) },
		"etcd has other members than the con": func(h *scriptHost) { h.write("/members", member("0", "false"), 0o600) },
		"other members than the control planes, or": func(h *scriptHost) {
			h.write("/members", h.read("/members")+member("3", "true"), 0o600)
		},
		"etcd has two members and needs both": func(h *scriptHost) {
			h.write("/members", member("0", "false")+member("1", "false"), 0o600)
			h.write("/nodes", strings.Replace(three, `master-2 True v1.36.3 open control-plane - - ""`+"\n", "", 1), 0o600)
		},
		// What it prints has one quotation mark.
		"etcd: can't reach it": func(h *scriptHost) { h.stub("etcdctl", `echo "can't reach it"; exit 1`) },
		"the API does not list the addresses of the control planes": func(h *scriptHost) {
			h.write("/fails", "InternalIP", 0o600)
		},
		"or one that does not vote": func(h *scriptHost) {
			h.write("/members", member("0", "false")+member("1", "false")+member("2", "true"), 0o600)
		},
	} {
		h := host()
		spoil(h)
		o := h.run("reboot-turn.sh", "")
		h.succeeds(o, "")
		if !strings.Contains(o.stderr, says) || strings.Contains(h.read("/calls"), "patch") {
			t.Errorf("no %q: it says %q and does %s", says, o.stderr, h.read("/calls"))
		}
	}
	testRebootOfTheOnlyControlPlane(t, host, member)
}

const alone = "master True v1.36.3 open control-plane - asks \"\"\n"

// testRebootOfTheOnlyControlPlane reboots a control plane that has no majority to keep. One that joins it needs both.
func testRebootOfTheOnlyControlPlane(t *testing.T, host func() *scriptHost, member func(n, learns string) string) {
	h := host()
	h.write("/nodes", alone, 0o600)
	h.write("/members", member("0", "false"), 0o600)
	h.succeeds(h.run("reboot-turn.sh", ""), "")
	inOrder(t, h.read("/calls"), `patch node master --type=merge`, "granted")

	h.write("/calls", "", 0o600)
	h.write("/members", member("0", "false")+member("1", "false"), 0o600)
	h.succeeds(h.run("reboot-turn.sh", ""), "")
	if strings.Contains(h.read("/calls"), "patch") {
		t.Errorf("while another one joins, it does %s", h.read("/calls"))
	}

	// Between the look at the annotation and the turn, an update has begun that stops another control plane.
	h = host()
	h.stub("kubectl", strings.Replace(h.read("/bin/kubectl"), "*kubeadm-aws/stops*)",
		"*kubeadm-aws/stops*) [ ! -e $ROOT/again ] || echo 1793000600; touch $ROOT/again;", 1))
	o := h.run("reboot-turn.sh", "")
	h.succeeds(o, "")
	inOrder(t, h.read("/calls"), `"draining"`, givesBack("master-3", `"draining"`, false))
	if strings.Contains(h.read("/calls"), "granted") || !strings.Contains(o.stderr, "is about to stop") {
		t.Errorf("it says %q and does %s", o.stderr, h.read("/calls"))
	}
}

// givesBack is the call that ends a turn if it is still the same one, and returns a worker to service.
func givesBack(node, turn string, worker bool) string {
	const at = `"path": "/metadata/annotations/kubeadm-aws~1reboot"`
	call := "patch node " + node + ` --type=json -p [{"op": "test", ` + at + `, "value": ` + turn + `}, {"op": "remove", ` + at + "}"
	if worker {
		call += `, {"op": "add", "path": "/spec/unschedulable", "value": false}`
	}
	return call + "]"
}

func testRebootsFailures(t *testing.T) {
	host := func(t *testing.T) (*scriptHost, string) {
		h := newScriptHost(t)
		h.env = map[string]string{"REBOOT_TURN": h.file("reboot-turn.sh", "#!/bin/sh"), "NODE": "master", "DAYS": "1 2",
			"START": "120", "END": "300", "TIME_ZONE": "Europe/Berlin"}
		h.stub("systemctl", `echo "systemctl $*" >>$ROOT/calls`)
		return h, ""
	}
	refuses(t, "reboots.sh", host, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "this machine does not know the time zone Mars/Olympus (maintenance.timeZone)",
			spoil: set("TIME_ZONE", "Mars/Olympus")},
	})
	h, _ := host(t)
	h.write("/var/lib/kubeadm-aws/none", "", 0o600)
	h.succeeds(h.run("reboots.sh", ""), "reboots in Europe/Berlin")
	if _, err := os.Stat(h.at("/var/lib/kubeadm-aws/reboots.away")); err != nil {
		t.Error("a node that had its turn before the machine was new stays away:", err)
	}
	inOrder(t, h.read("/calls"), "daemon-reload", "enable kubeadm-aws-reboot-turn.timer",
		"restart kubeadm-aws-reboot-turn.timer")
	if env := h.read("/etc/kubernetes/reboots.env"); env != "NODE=master\nDAYS=1\\ 2\nSTART=120\nEND=300\nTIME_ZONE=Europe/Berlin\n" {
		t.Errorf("the settings are %s", env)
	}
	h.env["TIME_ZONE"] = "UTC"
	h.succeeds(h.run("reboots.sh", ""), "reboots in UTC")
}

func testRebootsStopFailures(t *testing.T) {
	h := newScriptHost(t)
	h.stub("systemctl", `echo "systemctl $*" >>$ROOT/calls`)
	h.succeeds(h.run("reboots-stop.sh", ""), "reboots are stopped")
	h.write("/usr/local/sbin/kubeadm-aws-reboot-turn", "#!/bin/sh\necho \"turn $*\" >>$ROOT/calls", 0o755)
	h.succeeds(h.run("reboots-stop.sh", ""), "reboots are stopped")
	inOrder(t, h.read("/calls"), "-q disable --now kubeadm-aws-reboot-turn.timer",
		"stop kubeadm-aws-reboot-turn.service", "turn stop")
	h.stub("systemctl", "exit 1")
	o := h.run("reboots-stop.sh", "")
	h.succeeds(o, "reboots are stopped")
	if !strings.Contains(o.stderr, "there is no timer") || !strings.Contains(o.stderr, "there is no service") {
		t.Errorf("it says %q", o.stderr)
	}
	h.write("/usr/local/sbin/kubeadm-aws-reboot-turn", "#!/bin/sh\nexit 1", 0o755)
	h.fails(h.run("reboots-stop.sh", ""), 1, "a node may have its turn to reboot, and does not return to service")
	h.stub("id", "echo 1000")
	h.fails(h.run("reboots-stop.sh", ""), 1, "needs root")
}

func TestNodesRebootInTheHoursOfTheSettings(t *testing.T) {
	if _, found := deploy(t, nil).commands()["reboots"]; found {
		t.Error("nodes reboot although the settings do not ask for it")
	}
	r := deploy(t, func(a *Args) {
		a.Config.Maintenance = config.Maintenance{Reboots: true, Days: []string{"sun", "tue"}, Start: "22:30", End: "24:00",
			TimeZone: "Asia/Seoul"}
	})
	line, err := stepline.Parse(r.command(t, "reboots").Inputs["create"].StringValue())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"DAYS": "2 7", "START": "1350", "END": "1440", "TIME_ZONE": "Asia/Seoul",
		"MACHINE": "aws:///eu-central-1a/i-master"} {
		if line.Env[name] != want {
			t.Errorf("%s is %q, want %q", name, line.Env[name], want)
		}
	}
	if deletes := r.command(t, "reboots").Inputs["delete"].StringValue(); !strings.Contains(deletes, "/reboots-stop.") {
		t.Errorf("the delete is %s", deletes)
	}
}
