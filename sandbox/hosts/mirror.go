package hosts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// mirrorPort is where serve listens by default; the next ones are tried when something else has it.
const mirrorPort = 8099

// mirror is the server of packages and images.
type mirror struct {
	port    int
	process *exec.Cmd
	done    chan struct{}
}

// startMirror uses the server that runs already, else starts one that ends with this process.
func startMirror(ctx context.Context, o Options) (*mirror, error) {
	for port := mirrorPort; port < mirrorPort+20; port++ {
		if isMirror(ctx, port) {
			return &mirror{port: port}, nil
		}
		l, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		return serveMirror(o, port)
	}
	return nil, fmt.Errorf("no free port for the mirror from %d on", mirrorPort)
}

func isMirror(ctx context.Context, port int) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/v2/", port), nil)
	if err != nil {
		return false
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer a.Body.Close()
	return a.StatusCode == http.StatusOK && strings.HasPrefix(a.Header.Get("Server"), "mirror")
}

func serveMirror(o Options, port int) (*mirror, error) {
	m := &mirror{port: port, done: make(chan struct{})}
	m.process = exec.Command(filepath.Join(o.Scripts, "serve"), fmt.Sprintf("0.0.0.0:%d", port))
	m.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := m.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stderr strings.Builder
	m.process.Stderr = &stderr
	started := make(chan error, 1)
	go func() {
		// The signal comes when the thread that started the process ends, so it has to live as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(m.done)
		if err := m.process.Start(); err != nil {
			started <- err
			return
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "serving") {
				started <- nil
			}
		}
		if err := m.process.Wait(); err != nil {
			select {
			case started <- fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String())):
			default:
			}
		}
	}()
	select {
	case err := <-started:
		if err != nil {
			return nil, fmt.Errorf("serve the mirror (has it been built?): %w", err)
		}
		return m, nil
	case <-time.After(20 * time.Second):
		return nil, errors.Join(errors.New("the mirror's server does not get ready"), m.stop())
	}
}

func (m *mirror) stop() error {
	if m.process == nil || m.process.Process == nil {
		return nil
	}
	if err := m.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) && !strings.Contains(err.Error(), "already finished") {
		return err
	}
	<-m.done
	return nil
}
