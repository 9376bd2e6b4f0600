package cluster

import (
	"strings"
	"testing"
	"time"
)

// TestAMachineJoinsInAStage lets another machine of the first control plane join in the update that begins a stage. The
// cluster has the settings of the stage before, whose keys the machine does not have, and may have another release.
func TestAMachineJoinsInAStage(t *testing.T) {
	config := func(keys TokenKeys, release string) string {
		t.Helper()
		text, err := renderYAML(object{"kind": "InitConfiguration"}, object{"kind": "ClusterConfiguration",
			"kubernetesVersion": release, "apiServer": object{"extraArgs": keys.apiServerFlags()},
			"controllerManager": object{"extraArgs": keys.controllerManagerFlags()}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	plain := ReadTokenKeys("", "", "")
	stage := func(signing int, accepted ...int) TokenKeys {
		return keysFrom(time.Time{}, signing, 1, accepted...)
	}
	for name, c := range map[string]struct {
		has, wants TokenKeys
		drops      bool
	}{
		"accept":      {plain, stage(0, 0, 1), false},
		"sign":        {stage(0, 0, 1), stage(1, 0, 1), false},
		"drop":        {stage(1, 0, 1), stage(1, 1), true},
		"another key": {stage(1, 1), stage(1, 1, 2), false},
		"a leak":      {stage(1, 1), keysFrom(time.Time{}, 2, 2, 2), true},
	} {
		t.Run(name, func(t *testing.T) {
			h := memberHost(t)
			h.env["TOKEN_KEYS"] = h.file("token-keys.sh", `echo "token-keys $*" >>$ROOT/calls; [ ! -e $ROOT/old-secrets ]`)
			h.write("/settings", config(c.has, "v1.35.4"), 0o600)
			h.write("/var/lib/kubeadm-aws/kubeadm.yaml", config(c.wants, "v1.36.3"), 0o600)
			h.write("/old-secrets", "", 0o600)
			o := h.run("member.sh", "", "join", "10.0.1.12")
			if c.drops {
				h.fails(o, 1)
				if calls := h.read("/calls"); strings.Contains(calls, "upload-config") ||
					strings.Contains(calls, "kubeadm join") {
					t.Errorf("with a Secret of the key that is dropped: %s", calls)
				}
				h.remove("/old-secrets")
				o = h.run("member.sh", "", "join", "10.0.1.12")
			}
			h.succeeds(o, "")
			calls := h.read("/calls")
			inOrder(t, calls, "kubeadm init phase kubeconfig admin", "kubeadm init phase upload-config kubeadm", "kubeadm join")
			if checks := strings.Contains(calls, "token-keys secrets "+h.at("/run/secrets/pki")); checks != c.drops {
				t.Errorf("Secrets are checked: %v, want %v", checks, c.drops)
			}
			if got, want := h.read("/uploaded"), config(c.wants, "v1.35.4"); got != want {
				t.Errorf("the cluster gets the settings\n%s, want\n%s", got, want)
			}
		})
	}
}
