package workspace

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"syscall"
	"testing"
)

// A connection that the driver had is open until the CLI is dead, although the driver has closed it or is gone.
func TestConnectionsOutliveTheDriver(t *testing.T) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	engine, err := net.DialTCP("tcp", nil, listener.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	provider, err := listener.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}

	cli := exec.Command("sleep", "60")
	cli.SysProcAttr = &syscall.SysProcAttr{}
	h := &connKeeper{}
	release, err := h.killWithParent(cli)
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.Start(); err != nil {
		t.Fatal(err)
	}
	h.keep(provider)
	provider.Close()
	release() // as the kernel does it for a driver that is killed
	if hungUp(t, engine) {
		t.Error("the connection ended while the CLI lives")
	}
	if cli.SysProcAttr.Pdeathsig != syscall.SIGKILL {
		t.Error("the CLI outlives the driver")
	}
	if err := cli.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cli.Wait()
	if _, err := engine.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the end of the CLI the connection reads %v", err)
	}
}

// hungUp reports whether the other end of a connection has closed it, without waiting.
func hungUp(t *testing.T, c *net.TCPConn) bool {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var seen error
	if err := raw.Control(func(fd uintptr) {
		n, _, seen = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}); err != nil {
		t.Fatal(err)
	}
	return n == 0 && seen == nil
}
