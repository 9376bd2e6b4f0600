//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestControlPlanesFail cuts the network of two of three control planes one after the other, loses all of them for
// good, and fills the disk of one.
func TestControlPlanesFail(t *testing.T) {
	if os.Getenv("FAULTS") == "" {
		t.Skip("runs with FAULTS=1 only, because it takes about 20 minutes")
	}
	t.Parallel()
	s := newStack(t, "e2e-faults")
	planes, nodes := threePlanes()
	s.set(t, "nodes", nodes)
	s.must(t, "up")
	f := faults{s, s.cluster(t), planes}
	deployApplication(t, f.cluster, "")
	t.Run("their network is cut", f.networkCut)
	if !t.Run("all are lost permanently", f.majorityLost) {
		t.FailNow()
	}
	t.Run("a disk is full", f.diskFull)
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after that did %v", ops)
	}
	s.must(t, "destroy")
	nothingLeft(t, s)
}

// faults are what happens to the control planes of one cluster.
type faults struct {
	*stack
	*cluster
	planes []string
}

// networkCut cuts the leader of etcd off from all other hosts, and then another control plane. No connection is reset.
func (f faults) networkCut(t *testing.T) {
	hosts := map[string]string{"worker-1": f.container(t, "worker-1")}
	leader := 0
	for i, name := range f.planes {
		hosts[name] = f.container(t, name)
		if leads(t, hosts[name]) {
			leader = i
		}
	}
	addresses := strings.Fields(f.cluster.must(t, "get", "nodes", "--output",
		`jsonpath={range .items[*]}{.metadata.name}={.status.addresses[?(@.type=="InternalIP")].address} {end}`))
	before := f.pods(t, "--all-namespaces")
	asked := askInside(t, f.cluster, hosts["worker-1"], "their network is cut")
	for _, name := range []string{f.planes[leader], f.planes[(leader+1)%3]} {
		led := leads(t, hosts[name])
		rules := func(action string) {
			t.Helper()
			var script strings.Builder
			for _, address := range addresses {
				if node, ip, _ := strings.Cut(address, "="); node != name {
					script.WriteString("iptables -w -" + action + " INPUT -s " + ip + " -j DROP\n" +
						"iptables -w -" + action + " OUTPUT -d " + ip + " -j DROP\n")
				}
			}
			if _, err := in(hosts[name], script.String(), "bash", "-eu", "-s"); err != nil {
				t.Fatal(err)
			}
		}
		rules("I")
		gone := eventually(t, 3*time.Minute, name+" is NotReady", func() error { return onlyLost(hosts["worker-1"], name) })
		rules("D")
		back := eventually(t, 3*time.Minute, name+" is back", func() error { return isBack(hosts, name) })
		t.Logf("FIGURE three control planes: the network of %s cut, leader %v: NotReady after %.0f s, back %.0f s after the cut",
			name, led, gone.Seconds(), back.Seconds())
	}
	asked(t)
	if after := f.pods(t, "--all-namespaces"); after != before {
		t.Errorf("other pods run:\n%s", difference(before, after))
	}
}

// isBack returns nil if etcd on a host sees all its members, and all nodes are Ready.
func isBack(hosts map[string]string, name string) error {
	if _, err := in(hosts[name], "", "bash", "-c", onEtcd+" endpoint health --cluster"); err != nil {
		return err
	}
	return onlyLost(hosts["worker-1"], "")
}

// pods lists the pods with their nodes.
func (f faults) pods(t *testing.T, flags ...string) string {
	t.Helper()
	return f.cluster.must(t, append(flags, "get", "pods", "--sort-by", "{.metadata.name}", "--output",
		`jsonpath={range .items[*]}{.metadata.uid} {.metadata.name} {.spec.nodeName}{"\n"}{end}`)...)
}

// majorityLost removes the machines of all control planes with their disks. One up restores the newest snapshot.
func (f faults) majorityLost(t *testing.T) {
	const secret = "kept-over-the-loss"
	f.cluster.must(t, "create", "secret", "generic", "kept", "--from-literal", "value="+secret)
	t.Run("a snapshot is taken", func(t *testing.T) {
		f.backend(t) // the role's credentials
		f.backup(t)
	})
	if t.Failed() {
		t.FailNow()
	}
	before, started := f.pods(t), f.started(t, "worker-1")
	remove := []string{"rm", "--force", "--volumes"}
	for _, name := range f.planes {
		remove = append(remove, f.container(t, name))
	}
	asked := countInside(t, f.cluster, f.container(t, "worker-1"))
	if out, err := exec.Command("docker", remove...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f.set(t, "backup", map[string]any{"restoreFrom": "latest"})
	r := f.stack.must(t, "up")
	a := asked(t, "all are lost permanently")
	t.Logf("FIGURE three control planes: all lost permanently, one up of %.1f s, the API was away for at most %.1f s",
		r.took.Seconds(), float64(a.slowest)/1000)
	a.applicationAnswered(t)
	eventually(t, time.Minute, "all nodes Ready", func() error { return allReady(t, f.cluster, 4) })
	if now := f.output(t, "kubeconfig"); now != f.kubeconfig {
		t.Error("the kubeconfig is another")
	}
	got := f.cluster.must(t, "get", "secret", "kept", "--output", "go-template={{.data.value | base64decode}}")
	if got != secret {
		t.Errorf("the Secret decrypts to %q", got)
	}
	if members := f.on(t, "master", onEtcd+" member list"); strings.Count(members, "started") != 3 {
		t.Errorf("the members of etcd are\n%s", members)
	}
	if after := f.pods(t); after != before || f.started(t, "worker-1") != started {
		t.Errorf("the worker or its pods began again:\n%s", difference(before, after))
	}
	if ops := f.stack.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after the restore did %v", ops)
	}
}

// diskFull gives etcd of one control plane a small disk and fills it. Etcd ends. It starts again when there is space.
func (f faults) diskFull(t *testing.T) {
	const name = "master-3"
	hosts := map[string]string{name: f.container(t, name), "worker-1": f.container(t, "worker-1")}
	f.on(t, name, `systemctl stop kubelet
pkill -x etcd
while pgrep -x etcd >/dev/null; do sleep 0.2; done
mkdir -p /mnt/small
mount -t tmpfs -o size=320m,mode=700 tmpfs /mnt/small
cp -a /var/lib/etcd/. /mnt/small/
mount --bind /mnt/small /var/lib/etcd
systemctl start kubelet`)
	eventually(t, 4*time.Minute, name+" runs with a small disk", func() error { return isBack(hosts, name) })
	asked := askInside(t, f.cluster, hosts["worker-1"], "a disk is full")
	// The disk of the machine that runs the hosts must not be filled.
	f.on(t, name, `[ "$(stat -f -c %T /var/lib/etcd)" = tmpfs ]
dd if=/dev/zero of=/var/lib/etcd/fill bs=1M 2>/dev/null || true`)
	f.on(t, "master", `head -c 450000 /dev/urandom | base64 -w0 >/root/big
for i in $(seq 80); do kubectl --kubeconfig /etc/kubernetes/admin.conf create configmap big-$i --from-file /root/big >/dev/null; done`)
	eventually(t, time.Minute, "etcd of "+name+" ends", func() error {
		_, err := in(hosts[name], "", "bash", "-c",
			"grep -q 'no space left on device' /var/log/pods/kube-system_etcd-*/etcd/*.log && ! "+onEtcd+" endpoint health")
		return err
	})
	f.on(t, name, "rm /var/lib/etcd/fill")
	back := eventually(t, 7*time.Minute, name+" is back", func() error { return isBack(hosts, name) })
	t.Logf("FIGURE three control planes: the disk of one full, back %.0f s after there was space", back.Seconds())
	asked(t)
}
