package main

import (
	"os"
	"strings"
	"syscall"

	"kubeadm-aws/sandbox"
)

// killAt says where a driver that a test runs as a process of its own dies, as by SIGKILL or a power cut: "create before vpc:Vpc::vpc".
// "before" is when the engine has asked for it and nothing is done, "after" when it is done and the engine does not know.
const killAt = "AUTOMATION_TEST_KILL_AT"

// dieOnTheWay arranges for the death that the environment asks for.
func dieOnTheWay() {
	words := strings.Fields(os.Getenv(killAt))
	if len(words) != 3 {
		return
	}
	verb, when, what := words[0], words[1], words[2]
	die := func(o sandbox.Operation) {
		if o.Verb == verb && strings.HasSuffix(o.URN, what) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	instrument = func(o *sandbox.Options) {
		if when == "before" {
			o.Fault = func(o sandbox.Operation) error { die(o); return nil }
		} else {
			o.Done = die
		}
	}
}
