package workspace

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// A rehearsal's providers live in the driver. Were the driver killed and the CLI not, the CLI would take the broken connections for
// failed creates, and write into the state that nothing was in flight. So the CLI must die first, or at least not notice.

// connKeeper keeps the connections of a CLI open for as long as the CLI lives, whatever becomes of the driver: the kernel holds what is
// sent over a socket and not received, and the other end of this one is the CLI's, who knows nothing of it.
type connKeeper struct {
	mu   sync.Mutex
	ours int // 0 while no CLI runs
}

// dieWithDriver makes the kernel kill the process when the thread that starts it ends, which it does however the driver ends. Until
// then connections are held open. The caller starts the process and calls release when it has ended.
func (h *connKeeper) dieWithDriver(cmd *exec.Cmd) (release func(), err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "connections")
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	h.mu.Lock()
	h.ours = pair[0]
	h.mu.Unlock()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		_ = syscall.Close(h.ours)
		h.ours = 0
		_ = theirs.Close()
	}, nil
}

// keep takes a connection of the CLI that runs.
func (h *connKeeper) keep(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return // closed already
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ours == 0 {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		// What does not fit is not held: then a kill may have to be settled by hand, at worst.
		_ = syscall.Sendmsg(h.ours, []byte{0}, syscall.UnixRights(int(fd)), nil, 0)
	})
}
