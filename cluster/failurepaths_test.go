package cluster

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// said collects the scripts' output on stderr in the tests of this package.
var said = &messages{by: map[string]*strings.Builder{}}

type messages struct {
	sync.Mutex
	by map[string]*strings.Builder
}

func (m *messages) add(script, stderr string) {
	m.Lock()
	defer m.Unlock()
	if m.by[script] == nil {
		m.by[script] = &strings.Builder{}
	}
	m.by[script].WriteString(stderr)
}

func (m *messages) of(script string) string {
	m.Lock()
	defer m.Unlock()
	if b := m.by[script]; b != nil {
		return b.String()
	}
	return ""
}

// TestEveryFailurePathHasRun runs the tests of all scripts, then fails for messages of `die` that no test has
// produced.
func TestEveryFailurePathHasRun(t *testing.T) {
	tested := map[string]bool{"limit.sh": true} // TestHangingScriptsEnd
	for _, script := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"etcd-snapshot.sh", testSnapshotFailures},
		{"backup.sh", testBackupFailures},
		{"backup-stop.sh", testBackupStopFailures},
		{"init.sh", testInitFailures},
		{"token-keys.sh", testTokenKeysFailures},
		{"member.sh", testMemberFailures},
		{"members-leave.sh", testMembersLeaveFailures},
		{"control-planes.sh", testControlPlanesFailures},
		{"balancer.sh", testBalancerFailures},
		{"balancer-stop.sh", testBalancerStopFailures},
		{"api-name.sh", testAPINameFailures},
		{"ecr-credentials.sh", testECRFailures},
		{"join.sh", testJoinFailures},
		{"kubelet.sh", testKubeletFailures},
		{"node.sh", testNodeFailures},
		{"node-delete.sh", testNodeDeleteFailures},
		{"node-drain.sh", testNodeDrainFailures},
		{"upgrade.sh", testUpgradeFailures},
		{"nodes-ready.sh", testNodesReadyFailures},
		{"install.sh", testInstallFailures},
		{"ready.sh", testReadyFailures},
		{"prepare.sh", testPrepareFailures},
		{"image-clean.sh", testImageCleanFailures},
		{"reboot.sh", testRebootFailures},
		{"reboot-turn.sh", testRebootTurnFailures},
		{"reboots.sh", testRebootsFailures},
		{"reboots-stop.sh", testRebootsStopFailures},
	} {
		tested[script.name] = true
		ran := false // stays false if -run selects other tests
		t.Run(script.name, func(t *testing.T) { ran = true; script.test(t) })
		if !ran {
			continue
		}
		for _, message := range dieMessages(t, script.name) {
			if !strings.Contains(said.of(script.name), message) {
				t.Errorf("%s: no test has reached the failure that says %q", script.name, message)
			}
		}
	}
	for _, file := range scriptPaths(t) {
		if !tested[filepath.Base(file)] {
			t.Errorf("nothing makes %s fail", file)
		}
	}
}

var (
	dieCall  = regexp.MustCompile(`(?m)\bdie "(.*)"(?:$|;| ;;)`)
	variable = regexp.MustCompile(`\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|\$\w+`)
)

// dieMessages returns the longest literal parts of the messages of a script.
func dieMessages(t *testing.T, script string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("scripts", script))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	var messages []string
	for _, call := range dieCall.FindAllStringSubmatch(text, -1) {
		message := strings.NewReplacer(`\"`, `"`, `\$`, `$`).Replace(call[1])
		longest := ""
		for _, part := range variable.Split(message, -1) {
			if len(part) > len(longest) {
				longest = part
			}
		}
		messages = append(messages, longest)
	}
	if calls := strings.Count(text, "die \""); len(messages) != calls || calls == 0 {
		t.Fatalf("%s: read %d of %d messages", script, len(messages), calls)
	}
	return messages
}
