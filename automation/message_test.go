package main

import (
	"fmt"
	"testing"
)

func TestTheReasonOfAFailedStepIsNotBuriedUnderItsScript(t *testing.T) {
	script := "sudo env STEP='join' bash -c 'echo \"a\\b\"\nexit 1\n'"
	message := fmt.Sprintf("Process exited with status 1: running %q:\njoin: the API does not answer\njoin: \"x\": running", script)
	if got := withoutCommand(message); got != "Process exited with status 1\njoin: the API does not answer\njoin: \"x\": running" {
		t.Errorf("got %q", got)
	}
	if got := withoutCommand("no command here"); got != "no command here" {
		t.Errorf("got %q", got)
	}
}
