package cluster

import (
	"strings"
	"testing"
)

// TestAnARMWorker runs the scripts that a worker needs before it joins, as a machine of each architecture.
func TestAnARMWorker(t *testing.T) {
	for _, architecture := range []string{"amd64", "arm64"} {
		h := freshMachine(t)
		h.env["ARCHITECTURE"] = architecture
		delete(h.env, "ETCD_VERSION")
		h.stub("dpkg", `[ "$1" != --print-architecture ] || echo `+architecture)
		h.write("/etc/os-release", "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n", 0o644)
		h.stub("cloud-init", "")
		h.succeeds(h.run("ready.sh", ""), "ready debian-12 "+architecture)
		h.succeeds(h.run("prepare.sh", ""), "prepared 1.36.3")
		sources := h.read("/etc/apt/sources.list.d/kubeadm-aws.list")
		if strings.Count(sources, "deb [arch="+architecture+" ") != 2 {
			t.Errorf("the sources are not for %s:\n%s", architecture, sources)
		}
	}
}
