package cluster

import (
	"strings"
	"testing"
)

// testWrongContainerd changes the configuration to one with which containerd does not work. It reaches all nodes at the
// same time. Each goes on with the one before.
func testWrongContainerd(t *testing.T) {
	const before = "version = 3\n"
	for name, c := range map[string]struct {
		program, lines, says string
		limit                string
		restarts             int
	}{
		"refused": {"containerd", `! grep -q wrong "$2" || { echo "containerd: unknown key" >&2; exit 1; }`,
			"and keeps the one before: containerd: unknown key", "60", 0},
		"does not start": {"systemctl", `echo "$*" >>"$ROOT/systemctl.calls"
[ "$*" != "restart containerd" ] || ! grep -q wrong "$ROOT/etc/containerd/config.toml"`, "runs with the one before again", "1", 2},
		"starts without the CRI": {"ctr", `[ "$3" != plugins ] || grep -q wrong "$ROOT/etc/containerd/config.toml" ||
	echo "io.containerd.grpc.v1   cri   linux/amd64   ok"`, "runs with the one before again", "1", 2},
	} {
		t.Run(name, func(t *testing.T) {
			h := freshMachine(t)
			h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
			h.write("/systemctl.calls", "", 0o644)
			h.stub(c.program, c.lines)
			h.env["CONTAINERD_CONFIG"], h.env["TIME_LIMIT"] = "version = 3\n# wrong", c.limit
			h.fails(h.run("prepare.sh", ""), 1, c.says)
			if got := h.read("/etc/containerd/config.toml"); got != before {
				t.Errorf("config.toml is %q", got)
			}
			if got := strings.Count(h.read("/systemctl.calls"), "restart containerd"); got != c.restarts {
				t.Errorf("containerd was restarted %d times, want %d", got, c.restarts)
			}
			h.env["CONTAINERD_CONFIG"], h.env["TIME_LIMIT"] = "version = 3\n# right", "60"
			h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
		})
	}
	t.Run("does not start at all", func(t *testing.T) {
		h := freshMachine(t)
		h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
		h.stub("ctr", "")
		h.env["CONTAINERD_CONFIG"], h.env["TIME_LIMIT"] = "version = 3\n# other", "1"
		h.fails(h.run("prepare.sh", ""), 1, "neither with its new configuration nor with the one before")
	})
}
