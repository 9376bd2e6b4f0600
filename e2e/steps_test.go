//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/state"
)

// step is a remote command of the stack, as its state has it.
type step struct {
	name    string
	command backend.RemoteCommand
}

// steps reads the commands with their secrets out of the state, as only who has the passphrase can.
func (s *stack) steps(t *testing.T) []step {
	t.Helper()
	cmd := exec.Command(os.Getenv("PULUMI"), "stack", "export", "--show-secrets", "--stack", s.name, "--cwd",
		s.simulation())
	cmd.Env = append(os.Environ(), "PULUMI_BACKEND_URL=file://"+filepath.Join(s.simulation(), "state"),
		"PULUMI_CONFIG_PASSPHRASE=rehearsal",
		"PULUMI_HOME="+filepath.Join(s.simulation(), "home"), "PULUMI_SKIP_UPDATE_CHECK=true")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("read the state: %v", err)
	}
	exported, err := state.Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	var all []step
	for _, r := range exported.Resources {
		if r.Type != "command:remote:Command" {
			continue
		}
		connection, _ := plain(r.Inputs["connection"]).(map[string]any)
		text := func(v any) string { s, _ := v.(string); return s }
		_, name := state.SplitURN(r.URN)
		all = append(all, step{name: name, command: backend.RemoteCommand{
			Host: text(connection["host"]), User: text(connection["user"]), PrivateKey: text(connection["privateKey"]),
			HostKey: text(connection["hostKey"]), DialErrorLimit: 5,
			Command: text(plain(r.Inputs["create"])), Stdin: text(plain(r.Inputs["stdin"])),
		}})
	}
	return all
}

// plain takes the envelopes of secrets off a value.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v["plaintext"].(string); ok {
			var inner any
			if json.Unmarshal([]byte(text), &inner) == nil {
				return plain(inner)
			}
		}
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

// fingerprint prints the facts of a host that a repeated step must not change: files, services, and their start times.
const fingerprint = `
find /etc/kubernetes /etc/containerd /etc/cni /etc/apt/sources.list.d /etc/sysctl.d /etc/modules-load.d /etc/systemd/system /usr/local/bin /usr/local/sbin /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env \
	-type f ! -name '*.tmp' -exec sha256sum {} + 2>/dev/null | sort -k2
systemctl show --property Id,ActiveState,UnitFileState,MainPID kubelet containerd
pgrep -a 'etcd|kube-' | cut -c1-40 | sort
dpkg-query -W kubelet kubeadm kubectl containerd.io
`

// Steps are run again in the order of the state, which is one of their dependencies.
func stepsTwice(t *testing.T, s *stack, c *cluster) {
	b := s.backend(t)
	before := map[string]string{}
	for name := range devNodes {
		before[name] = c.on(t, name, fingerprint)
	}
	objects := func() string {
		out := c.must(t, "get", "nodes", "--output",
			`jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.labels} {.spec.taints}{"\n"}{end}`)
		lines := strings.Split(out, "\n")
		sort.Strings(lines)
		return strings.Join(lines, "\n")
	}
	nodes := objects()
	begun := time.Now()
	steps := s.steps(t)
	for _, step := range steps {
		if strings.Contains(step.command.Command, "STEP='release-gate'") {
			continue // it acts when it is deleted
		}
		if strings.Contains(step.command.Command, "STEP='password'") ||
			strings.Contains(step.command.Command, "STEP='backup-credentials'") ||
			strings.Contains(step.command.Command, "STEP='rabbitmq-backup'") {
			continue // it asks a service of the add-ons, which do not run here
		}
		out, errs, err := b.Exec(t.Context(), step.command)
		if err != nil {
			t.Errorf("%s, run again: %v", step.name, err)
		}
		t.Logf("%s, run again: %s (%d bytes of progress)", step.name, out, len(errs))
	}
	if len(steps) < 4*3 {
		t.Errorf("only %d steps in the state", len(steps))
	}
	for name := range devNodes {
		if after := c.on(t, name, fingerprint); after != before[name] {
			t.Errorf("%s was changed:\n%s", name, difference(before[name], after))
		}
	}
	if after := objects(); after != nodes {
		t.Errorf("nodes were changed:\n%s", difference(nodes, after))
	}
	t.Logf("FIGURE %d steps run again: %.1f s", len(steps), time.Since(begun).Seconds())
}

// difference lists the lines that only one of two texts has.
func difference(before, after string) string {
	var b strings.Builder
	had := map[string]bool{}
	for _, line := range strings.Split(before, "\n") {
		had[line] = true
	}
	has := map[string]bool{}
	for _, line := range strings.Split(after, "\n") {
		has[line] = true
		if !had[line] {
			fmt.Fprintln(&b, "+", line)
		}
	}
	for _, line := range strings.Split(before, "\n") {
		if !has[line] {
			fmt.Fprintln(&b, "-", line)
		}
	}
	return b.String()
}
