package main

import (
	"os/exec"
	"syscall"
)

// dieWithDriver makes the kernel kill the process when the thread that starts it ends, which it does however the driver ends.
func dieWithDriver(cmd *exec.Cmd) { cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL }
