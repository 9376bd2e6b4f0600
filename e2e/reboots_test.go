//go:build e2e

package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestReboots installs an update that needs a reboot on every node. The nodes reboot one after the other, and an
// application answers all the while. Then reboots are switched off while a node has its turn.
func TestReboots(t *testing.T) {
	t.Parallel()
	s := newStack(t, "e2e-reboots")
	s.set(t, "nodes", []any{map[string]any{"name": "master", "role": "control-plane"},
		map[string]any{"name": "worker-1"}, map[string]any{"name": "worker-2"}})
	// The hosts have the image of the application, which is CoreDNS of this release. The mirror is away between the runs.
	s.set(t, "cluster", map[string]any{"name": s.name, "kubernetesVersion": older})
	s.set(t, "maintenance", map[string]any{"reboots": true, "start": "00:00", "end": "24:00"})
	s.must(t, "up")
	c := s.cluster(t)
	deployApplication(t, c, "")
	t.Run("nodes reboot in turn", func(t *testing.T) {
		s.backend(t) // gives machines that boot again their addresses and routes
		rebootEach(t, c)
	})
	switchedOff(t, s, c)
	if ops := s.must(t, "up").done(); len(ops) > 0 {
		t.Errorf("an up after that did %v", ops)
	}
	s.must(t, "destroy")
	nothingLeft(t, s)
}

// hosts returns the container of each node. It works while the API does not answer.
func (c *cluster) hosts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name := range c.nodes(t) {
		all[name] = c.container(t, name)
	}
	return all
}

// hasten lets the timers of the reboots run every five seconds instead of every minute.
func hasten(t *testing.T, host string, timers ...string) {
	t.Helper()
	for _, timer := range timers {
		script := `mkdir -p /etc/systemd/system/` + timer + `.timer.d
printf '[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nAccuracySec=100ms\n' >/etc/systemd/system/` + timer + `.timer.d/soon.conf
systemctl daemon-reload
systemctl restart ` + timer + `.timer
`
		if _, err := in(host, script, "bash", "-euo", "pipefail", "-s"); err != nil {
			t.Fatal(err)
		}
	}
}

// begun returns when a container began to run, and whether it runs. The boot id is that of the machine below all hosts.
func begun(host string) (at string, runs bool, err error) {
	out, err := exec.Command("docker", "inspect", "--format", "{{.State.StartedAt}} {{.State.Running}}", host).Output()
	at, running, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return at, running == "true", err
}

// rebootEach waits until every node has rebooted once, and looks at all of them meanwhile.
func rebootEach(t *testing.T, c *cluster) {
	hosts := c.hosts(t)
	before := map[string]string{}
	asked := askFromOutside(t, c)
	for name, host := range hosts {
		// A container ends when its systemd reboots.
		if out, err := exec.Command("docker", "update", "--restart", "unless-stopped", host).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var err error
		if before[name], _, err = begun(host); err != nil {
			t.Fatal(err)
		}
		hasten(t, host, "kubeadm-aws-reboot")
		if _, err := in(host, "", "touch", "/run/reboot-required"); err != nil {
			t.Fatal(err)
		}
	}
	hasten(t, hosts["master"], "kubeadm-aws-reboot-turn")
	turns := map[string]bool{}
	took := eventually(t, 8*time.Minute, "every node has rebooted and is back", func() error {
		nodes, err := c.tryNodes()
		out, unfinished := []string{}, []string{}
		for name, host := range hosts {
			at, runs, failed := begun(host)
			n := nodes[name]
			turn := n.Metadata.Annotations["kubeadm-aws/reboot"] != ""
			turns[name] = turns[name] || turn
			if failed != nil || !runs || turn || n.Spec.Unschedulable {
				out = append(out, name)
			}
			if err == nil && at != before[name] && n.ready() && n.Metadata.Annotations["kubeadm-aws/reboot-required"] == "" {
				continue
			}
			unfinished = append(unfinished, name)
		}
		if len(out) > 1 {
			t.Errorf("away at the same time: %v", out)
		}
		return errors.Join(err, unlessEmpty("away", out), unlessEmpty("not rebooted", unfinished))
	})
	t.Logf("FIGURE reboots: three nodes in %.0f s", took.Seconds())
	asked(t)
	after := map[string]string{}
	for name, host := range hosts {
		after[name], _, _ = begun(host)
		if !turns[name] {
			t.Errorf("%s rebooted without a turn", name)
		}
	}
	order := slices.SortedFunc(slices.Values([]string{"master", "worker-1", "worker-2"}),
		func(a, b string) int { return cmp.Compare(after[a], after[b]) })
	if !slices.Equal(order, []string{"worker-1", "worker-2", "master"}) {
		t.Errorf("the nodes rebooted in the order %v", order)
	}
}

func unlessEmpty(what string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("%s: %v", what, names)
}

// askFromOutside asks the application ten times a second through the workers, as a load balancer does: if one does not
// answer, the other is asked. The returned function ends that, and fails if neither had answered once.
func askFromOutside(t *testing.T, c *cluster) func(*testing.T) {
	t.Helper()
	c.must(t, "patch", "service", "answers", "--patch", `{"spec": {"type": "NodePort"}}`)
	port := c.must(t, "get", "service", "answers", "--output", "jsonpath={.spec.ports[0].nodePort}")
	var urls []string
	for _, name := range []string{"worker-1", "worker-2"} {
		address := c.must(t, "get", "node", name, "--output", `jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`)
		urls = append(urls, "http://"+address+":"+port+"/health")
	}
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answers := func(url string) error {
		r, err := client.Get(url)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return errors.New(r.Status)
		}
		return nil
	}
	for _, url := range urls {
		eventually(t, time.Minute, url+" answers", func() error { return answers(url) })
	}
	stop, requests, lost := make(chan struct{}), 0, []string(nil)
	var asking sync.WaitGroup
	asking.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			requests++
			one, other := answers(urls[0]), error(nil)
			if one != nil {
				other = answers(urls[1])
			}
			if other != nil {
				lost = append(lost, fmt.Sprintf("%s: %v, %v", time.Now().Format(time.TimeOnly), one, other))
			}
		}
	})
	return func(t *testing.T) {
		t.Helper()
		close(stop)
		asking.Wait()
		t.Logf("FIGURE reboots: application %d of %d requests lost", len(lost), requests)
		if requests == 0 || len(lost) > 0 {
			t.Errorf("the application lost %d of %d requests:\n%s", len(lost), requests, strings.Join(lost, "\n"))
		}
	}
}

// switchedOff gives a worker its turn. It does not reboot, because its timer is stopped. Then reboots are switched off.
func switchedOff(t *testing.T, s *stack, c *cluster) {
	t.Helper()
	c.on(t, "worker-2", "systemctl stop kubeadm-aws-reboot.timer; touch /run/reboot-required; systemctl start kubeadm-aws-reboot")
	state := func() string {
		n := c.nodes(t)["worker-2"]
		turn, _, _ := strings.Cut(n.Metadata.Annotations["kubeadm-aws/reboot"], ":")
		return fmt.Sprintf("unschedulable %v, turn %q", n.Spec.Unschedulable, turn)
	}
	eventually(t, 3*time.Minute, "worker-2 has its turn", func() error {
		if got := state(); got != `unschedulable true, turn "granted"` {
			return errors.New(got)
		}
		return nil
	})
	s.set(t, "maintenance", nil)
	if ops := s.must(t, "up").done(); len(ops) != 1 || !strings.HasPrefix(ops[0], "delete ") ||
		!strings.HasSuffix(ops[0], "reboots") {
		t.Errorf("switched off, an up did %v", ops)
	}
	if got := state(); got != `unschedulable false, turn ""` {
		t.Errorf("after reboots were switched off, worker-2 is %s", got)
	}
	if got := c.on(t, "master", "systemctl is-active kubeadm-aws-reboot-turn.timer || true"); got != "inactive" {
		t.Errorf("after reboots were switched off, their timer is %s", got)
	}
	// The node does not reboot later either.
	c.on(t, "worker-2", "systemctl start kubeadm-aws-reboot")
	if runs := c.on(t, "worker-2", "systemctl is-system-running || true"); runs == "stopping" {
		t.Error("worker-2 reboots without a turn")
	}
}
