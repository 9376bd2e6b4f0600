package cluster

import (
	"os"
	"testing"
)

// kubeletHost is a machine whose kubelet is the process 7, which answers.
func kubeletHost(t *testing.T) *scriptHost {
	h := newScriptHost(t)
	h.env = map[string]string{"STEADY": "0"}
	h.stub("systemctl", `echo "$*" >>$ROOT/calls; [ "$1" != show ] || echo 7`)
	for _, name := range []string{"curl", "journalctl", "sleep"} {
		h.stub(name, "")
	}
	return h
}

func testKubeletFailures(t *testing.T) {
	for says, spoil := range map[string]func(*scriptHost){
		"needs root":                 func(h *scriptHost) { h.stub("id", "echo 1000") },
		"the kubelet is not healthy": func(h *scriptHost) { h.stub("curl", "exit 7") },
		// Another process at each look, which answers in between.
		"the kubelet ends again and again": func(h *scriptHost) {
			h.env["STEADY"] = "1"
			h.stub("systemctl", `echo $RANDOM`)
		},
	} {
		h := kubeletHost(t)
		spoil(h)
		h.fails(h.run("kubelet.sh", "", "steady"), 1, says)
	}
	h := kubeletHost(t)
	h.fails(h.run("kubelet.sh", "", "restart"), 2, "usage: ")
	h.succeeds(h.run("kubelet.sh", "", "healthy"), "")
	h.succeeds(h.run("kubelet.sh", "", "steady"), "")
	const cpus, memory = "/var/lib/kubelet/cpu_manager_state", "/var/lib/kubelet/memory_manager_state"
	h.write(cpus, "static", 0o600)
	h.write(memory, "Static", 0o600)
	h.write("/calls", "", 0o600)
	h.succeeds(h.run("kubelet.sh", "", "stop"), "")
	for _, file := range []string{cpus, memory} {
		if _, err := os.Stat(h.at(file)); err == nil {
			t.Errorf("%s is there still", file)
		}
	}
	if got := h.read("/calls"); got != "stop kubelet\n" {
		t.Errorf("systemctl %s", got)
	}
}
