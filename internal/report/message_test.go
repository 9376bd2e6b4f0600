package report

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheReasonOfAFailedStepIsNotBuriedUnderItsScript(t *testing.T) {
	script := "sudo env STEP='join' bash -c 'echo \"a\\b\"\nexit 1\n'"
	message := fmt.Sprintf(
		"Process exited with status 1: running %q:\njoin: the API does not answer\njoin: \"x\": running", script)
	if got := withoutCommand(
		message); got != "Process exited with status 1\njoin: the API does not answer\njoin: \"x\": running" {
		t.Errorf("got %q", got)
	}
	if got := withoutCommand("no command here"); got != "no command here" {
		t.Errorf("got %q", got)
	}
}

func TestAHostThatCannotBeReachedComesWithAdvice(t *testing.T) {
	for _, c := range []struct{ message, advice string }{
		{"after 20 failed attempts: dial tcp 203.0.113.7:22: i/o timeout", "access.adminCidrs"},
		{"dial tcp 203.0.113.7:22: connect: connection refused", "aws ssm start-session"},
		{"after 20 failed attempts: ssh: handshake failed: EOF", "status checks"},
		{"after 20 failed attempts: ssh: handshake failed: ssh: host key mismatch", "Nothing was run on it"},
		{"after 32 failed attempts: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none " +
			"publickey], no supported methods remain", "refuses the key"},
		{"context deadline exceeded", "says nothing hangs"},
		{"waiting for EC2 Instance (i-1) create: context deadline exceeded", ""},
		{"Helm release data/redis: context deadline exceeded while waiting", ""},
		{"Process exited with status 1: join: the API does not answer", ""},
		{"dial tcp 203.0.113.7:6443: i/o timeout", ""},
	} {
		added, kept := strings.CutPrefix(withAdvice(c.message), c.message)
		if !kept || !strings.Contains(added, c.advice) || (added == "") != (c.advice == "") {
			t.Errorf("%s: adds %q", c.message, added)
		}
	}
}
