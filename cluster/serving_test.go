package cluster

import (
	"strings"
	"testing"
)

// servingHost is a control plane of three, master, from which master-3 is about to go. The file /dead has the address
// of one whose etcd does not answer, and /unready that of one whose API is not ready.
func servingHost(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	h.env = map[string]string{"STAY": "master master-2", "STOP": "master-3", "ENDPOINT": "api.dev.internal:6443", "SERVE": "0"}
	h.stub("etcdctl", `case $* in
*"member list") [ ! -e $ROOT/silent ] || { echo "context deadline exceeded"; exit 1; }; cat $ROOT/members ;;
*"endpoint health") [ ! -e $ROOT/dead ] || ! grep -q "//$(cat $ROOT/dead):" <<<"$2" ;;
esac`)
	h.stub("curl", `[ -e $ROOT/unready ] && grep -q ":$(cat $ROOT/unready) " <<<"$* " || echo ok`)
	h.stub("kubectl", `echo "$*" >>$ROOT/calls
if [ -e $ROOT/fails ] && grep -qe "$(cat $ROOT/fails)" <<<"$*"; then echo "the server is silent" >&2; exit 1; fi
case $* in *go-template*) cat $ROOT/turns 2>/dev/null || true ;; esac`)
	h.stub("sleep", "")
	h.stub("date", "echo 1793000600")
	h.write("/members", first+others, 0o600)
	return h
}

const first = "a1, started, master, https://10.0.1.10:2380, https://10.0.1.10:2379, false\n"

// TestControlPlanesServe lets a control plane go that the others can do without, also one that is dead itself.
func TestControlPlanesServe(t *testing.T) {
	const serve = "control planes serve"
	learner := "d1, unstarted, , https://10.0.1.13:2380, , true\n"
	for name, c := range map[string]struct {
		dead, members string
		env           map[string]string
	}{
		"all serve":                     {"", first + others, nil},
		"the one that goes is dead":     {"10.0.1.12", first + others, nil},
		"it is no member":               {"", first + strings.Split(others, "\n")[0] + "\n" + learner, nil},
		"dead ones are removed":         {"10.0.1.12", first + others, map[string]string{"STAY": "master", "STOP": ""}},
		"others are added to the first": {"", first, map[string]string{"STAY": "master master-2 master-3", "STOP": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			h := servingHost(t)
			h.write("/members", c.members, 0o600)
			if c.dead != "" {
				h.write("/dead", c.dead, 0o600)
			}
			for k, v := range c.env {
				h.env[k] = v
			}
			h.succeeds(h.run("control-planes.sh", ""), serve)
			inOrder(t, h.read("/calls"), "annotate nodes -l node-role.kubernetes.io/control-plane --overwrite kubeadm-aws/stops=1793000600",
				`index . "kubeadm-aws/reboot"`)
		})
	}
	// One that reboots is waited for, unless its machine changes anyway.
	h := servingHost(t)
	delete(h.env, "SERVE")
	const reboots = " False asks granted:1793000000\n"
	h.write("/turns", "master-2"+reboots+"master-3"+reboots, 0o600)
	h.stub("sleep", "echo 'master-3"+strings.TrimSpace(reboots)+"' >$ROOT/turns; echo slept >>$ROOT/calls")
	h.succeeds(h.run("control-planes.sh", ""), serve)
	inOrder(t, h.read("/calls"), "slept", "annotate")
	testTurnsThatEnd(t)
}

// testTurnsThatEnd ends the turns that have no more effect, and that of the machine on which the step runs.
func testTurnsThatEnd(t *testing.T) {
	for turn, ends := range map[string]bool{
		"master-2 True - granted:1793000000":       true,  // it has rebooted
		"master-2 True asks granted:1793000000":    false, // it is about to reboot
		"master-2 False - granted:1793000000":      false, // it boots
		"master-2 Unknown asks granted:1792998800": true,  // 1800 s ago
		"master-2 Unknown asks granted:1792998801": false,
		"master-2 True - draining":                 false, // it may be granted in a moment
		"master-2 True asks draining at 60":        true,  // the run that drained it was interrupted
		"master True asks granted:1793000000":      true,  // it waits for the end of this step
		"master True asks draining":                false,
	} {
		h := servingHost(t)
		turn, at, _ := strings.Cut(turn, " at ")
		h.env["SECONDS"] = "0" + at
		h.write(rebootUnit, "[Service]\nEnvironment=NODE=master HOME=/root\n", 0o600)
		h.write("/turns", turn+"\n", 0o600)
		name, _, _ := strings.Cut(turn, " ")
		if o := h.run("control-planes.sh", ""); ends {
			h.succeeds(o, "control planes serve")
		} else {
			h.fails(o, 1, name+" has its turn to reboot")
		}
		if strings.Contains(h.read("/calls"), "annotate node "+name+" kubeadm-aws/reboot-") != ends {
			t.Errorf("%s: %s", turn, h.read("/calls"))
		}
	}
}

func testControlPlanesFailures(t *testing.T) {
	file := func(path, content string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write(path, content, 0o600); return "" }
	}
	fresh := func(t *testing.T) (*scriptHost, string) { return servingHost(t), "" }
	refuses(t, "control-planes.sh", fresh, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "is not healthy. The machine of master-3 changes in this update", spoil: file("/dead", "10.0.1.11")},
		{says: "is not ready. The machine of master-3 changes in this update", spoil: file("/unready", "10.0.1.11")},
		{says: "master-2 has its turn to reboot (maintenance.reboots), which ends by itself, or with kubectl annotate node master-2 " +
			"kubeadm-aws/reboot-. The machine of master-3", spoil: file("/turns", "master-2 False asks granted:1793000000\n")},
		{says: "master-2 has its turn to reboot", spoil: func(h *scriptHost) string {
			h.write("/turns", "master-2 True - granted:1793000000\n", 0o600)
			return file("/fails", "annotate node master-2")(h)
		}},
		{says: "the API does not record that the machine of a control plane changes. The", spoil: file("/fails", "annotate")},
		{says: "the API does not list the control planes. The machine of master-3", spoil: file("/fails", "get nodes")},
		{says: "etcd does not list its members: context deadline exceeded. The machine", spoil: file("/silent", "")},
		// An update that was interrupted has left two members, both of which etcd needs.
		{says: "without master-3 etcd keeps 1 of 2 members, and needs more than half.",
			spoil: file("/members", first+strings.Split(others, "\n")[1]+"\n")},
		{says: "without the others etcd keeps 0 of 1 members", spoil: func(h *scriptHost) string {
			h.env["STOP"], h.env["STAY"] = "", "gone"
			return ""
		}},
		{says: "The machine of another control plane changes in this update", spoil: func(h *scriptHost) string {
			h.env["STOP"] = ""
			return file("/dead", "10.0.1.10")(h)
		}},
	})
}
