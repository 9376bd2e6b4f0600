package dockerhosts

import (
	"os/exec"
	"syscall"
)

// endWithUs has the kernel end the process when the thread that starts it ends.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
