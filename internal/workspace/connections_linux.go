package workspace

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// The providers of a simulation run in the driver. If the driver were killed and the CLI were not, the CLI would take
// the broken connections for failed creates and would write into the state that nothing was in flight. So the kernel
// kills the CLI with the driver, and until then the connections stay open.

// connKeeper keeps the CLI's provider connections open until the CLI has exited, even if the driver is killed first.
// It sends them over a pair of sockets whose other end the CLI inherits and never reads. The kernel keeps what is
// sent and not received.
type connKeeper struct {
	mu   sync.Mutex
	ours int // 0 while no CLI runs
}

// killWithParent makes the kernel kill the process when the thread that starts it ends, which it does however the
// driver ends. Until then keep holds connections open. The caller starts the process and calls release when it has
// ended.
func (h *connKeeper) killWithParent(cmd *exec.Cmd) (release func(), err error) {
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

// keep holds a connection of the running CLI open.
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
		// A connection that does not fit is not kept. At worst a person then has to recover from a kill by hand.
		_ = syscall.Sendmsg(h.ours, []byte{0}, syscall.UnixRights(int(fd)), nil, 0)
	})
}
