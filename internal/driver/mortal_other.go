//go:build !linux

package driver

import (
	"net"
	"os/exec"
)

// hostage does nothing where only Linux has a way. A rehearsal that was killed may then have to begin anew.
type hostage struct{}

func (*hostage) dieWithDriver(*exec.Cmd) (release func(), err error) { return func() {}, nil }
func (*hostage) hold(*net.TCPConn)                                   {}
