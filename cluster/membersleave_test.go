package cluster

import (
	"strconv"
	"strings"
	"testing"
)

// leavingHost is the control plane that began a cluster of three. It keeps itself.
func leavingHost(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	h.env = map[string]string{
		"CONTROL_PLANES": "master", "ADDRESSES": "10.0.1.10",
		"NODE_DELETE": h.file("node-delete.sh", `echo "node-delete $NODE" >>$ROOT/calls
echo $((TIMEOUT + TURN + ${RETURN:-900})) >$ROOT/longest; [ ! -e $ROOT/held ]`),
	}
	// The file /dead is the id of a member that does not answer. A member that was removed is not asked.
	h.stub("etcdctl", `echo "etcdctl ${*: -3}" >>$ROOT/calls
dead=$(cat $ROOT/dead 2>/dev/null) || dead=none
case $* in
*"member list") [ ! -e $ROOT/silent ] || { echo "context deadline exceeded"; exit 1; }; cat $ROOT/members ;;
*"endpoint health --cluster") ! rm $ROOT/election 2>/dev/null || { echo "no leader"; exit 1; }
  [ $dead = none ] || grep -q "remove $dead" $ROOT/calls || { echo "$dead is unhealthy"; exit 1; } ;;
*"endpoint health") ! grep "^$dead," $ROOT/members | grep -q "$2" ;;
*"member remove"*) ! rm $ROOT/elects 2>/dev/null || touch $ROOT/election; [ ! -e $ROOT/remove-fails ] || { echo "etcdserver: unhealthy cluster"; exit 1; } ;;
esac`)
	h.stub("sleep", "")
	h.write("/members", first+others, 0o600)
	return h
}

// TestMembersLeave takes out the members whose machines end, each after its node, and no other.
func TestMembersLeave(t *testing.T) {
	h := leavingHost(t)
	h.succeeds(h.run("members-leave.sh", ""), "")
	inOrder(t, h.read("/calls"), "node-delete master-2", "member remove b1", "node-delete master-3", "member remove c1")
	if calls := h.read("/calls"); strings.Contains(calls, "remove a1") || strings.Contains(calls, "node-delete master\n") {
		t.Errorf("the control plane that stays leaves: %s", calls)
	}
	// The step init would end without a word of the reason after 25 minutes.
	if longest, err := strconv.Atoi(strings.TrimSpace(h.read("/longest"))); err != nil || longest >= 25*60 {
		t.Errorf("a node that leaves waits for %d s, %v", longest, err)
	}

	// One that does not answer goes first: etcd would keep the living one while it counts.
	h = leavingHost(t)
	h.write("/dead", "c1", 0o600)
	h.succeeds(h.run("members-leave.sh", ""), "")
	inOrder(t, h.read("/calls"), "node-delete master-3", "member remove c1", "node-delete master-2", "member remove b1")

	// The removal of a leader causes an election, in which etcd is not healthy for a moment.
	h = leavingHost(t)
	h.waits = true
	h.write("/elects", "", 0o600)
	h.succeeds(h.run("members-leave.sh", ""), "")
	inOrder(t, h.read("/calls"), "member remove b1", "endpoint health --cluster", "endpoint health --cluster",
		"member remove c1")

	// A new machine of a name that stays, and one that learns, are left to member.sh. A learner of no control plane goes.
	h = leavingHost(t)
	h.env["CONTROL_PLANES"], h.env["ADDRESSES"] = "master master-2 master-3", "10.0.1.10 10.0.1.21 10.0.1.12"
	h.write("/members", h.read("/members")+"d1, unstarted, , https://10.0.1.21:2380, , true\n"+
		"e1, unstarted, , https://10.0.1.31:2380, , true\n", 0o600)
	h.succeeds(h.run("members-leave.sh", ""), "")
	if calls := h.read("/calls"); strings.Contains(calls, "node-delete") || strings.Count(calls, "remove") != 1 ||
		!strings.Contains(calls, "remove e1") {
		t.Errorf("of a cluster in which a machine is replaced leave: %s", calls)
	}
}

func testMembersLeaveFailures(t *testing.T) {
	file := func(path string) func(*scriptHost) string {
		return func(h *scriptHost) string { h.write(path, "", 0o600); return "" }
	}
	fresh := func(t *testing.T) (*scriptHost, string) { return leavingHost(t), "" }
	refuses(t, "members-leave.sh", fresh, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: "etcd does not list its members: context deadline exceeded", spoil: file("/silent")},
		{says: "etcd would not remove its member b1, because another one does not answer: a1 is unhealthy",
			spoil: func(h *scriptHost) string { h.write("/dead", "a1", 0o600); return "" }, after: func(h *scriptHost) {
				if calls := h.read("/calls"); strings.Contains(calls, "node-delete") || strings.Contains(calls, "remove") {
					h.t.Errorf("a node leaves: %s", calls)
				}
			}},
		{says: "etcd does not remove its member b1: etcdserver: unhealthy cluster", spoil: file("/remove-fails")},
	})
	// A node that cannot be drained keeps its member.
	h := leavingHost(t)
	h.write("/held", "", 0o600)
	h.fails(h.run("members-leave.sh", ""), 1)
	if calls := h.read("/calls"); strings.Contains(calls, "remove") {
		t.Errorf("a node that is not drained leaves etcd: %s", calls)
	}
}
