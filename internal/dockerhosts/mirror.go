package dockerhosts

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kubeadm-aws/config"
)

// mirrorPort is the first port that is tried. The server listens on the address of this machine in the stack's own
// network, so another port is needed only if some program listens on all addresses.
const mirrorPort = 8097

// mirror is the server of packages and images. The backend starts its own, because one of another process may end at
// any time.
type mirror struct {
	port    int
	pins    pins
	process *exec.Cmd
	done    chan struct{}
}

// pins are the keys and the checksum by which hosts check the mirror's content. They differ from the public ones,
// because the mirror signs with keys of its own and its archive is built from source.
type pins struct{ kubernetesKey, containerdKey, etcdSHA256 string }

// readPins reads the pins from where the mirror was built, not from its server.
func readPins(dir string) (p pins, err error) {
	var errs []error
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			errs = append(errs, fmt.Errorf("the mirror lacks what its content is checked by; build it again: %w", err))
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		return first
	}
	p = pins{read("gpg/kubernetes/fingerprint"), read("gpg/docker/fingerprint"),
		read("etcd/v" + config.EtcdToolsVersion + "/SHA256SUMS")}
	return p, errors.Join(errs...)
}

// builtDir is the directory where tools/mirror stores what it builds.
func builtDir() string {
	if dir := os.Getenv("MIRROR_DIR"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if os.Getuid() == 0 || err != nil {
		cache = "/var/cache"
	}
	return filepath.Join(cache, "kubeadm-aws-mirror")
}

// mirrorPorts lists the ports to try: the one that settings on the hosts already name, or for a new stack every port
// but the object store's.
func mirrorPorts(had int) []int {
	if had != 0 {
		return []int{had}
	}
	var ports []int
	for port := mirrorPort; len(ports) < 20; port++ {
		if port != objectPort {
			ports = append(ports, port)
		}
	}
	return ports
}

// startMirror starts the mirror's server, on the port it had before if the stack has one.
func startMirror(s *stack) (*mirror, error) {
	ports := mirrorPorts(s.store.read().MirrorPort)
	for _, port := range ports {
		address := net.JoinHostPort(s.network.gateway().String(), strconv.Itoa(port))
		if !free(address, len(ports) == 1) {
			continue
		}
		m, err := serveMirror(s.options, address, port)
		if err != nil {
			return nil, err
		}
		if m.pins, err = readPins(builtDir()); err != nil {
			return nil, errors.Join(err, m.stop())
		}
		err = s.store.change(func(next *state) error { next.MirrorPort = port; return nil })
		return m, err
	}
	return nil, fmt.Errorf("no free port for the mirror on %s among %v", s.network.gateway(), ports)
}

// free reports whether the address can be listened on. With patient it tries again, because the server of a process
// that was just killed needs a moment to end.
func free(address string, patient bool) bool {
	for attempt := 0; ; attempt++ {
		l, err := net.Listen("tcp4", address)
		if err == nil {
			return l.Close() == nil
		}
		if !patient || attempt == 50 {
			return false
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// buildMirror builds what the mirror lacks. It takes a second when nothing is missing, and about 13 minutes on 2 cores
// the first time. The images of add-ons take longer.
func buildMirror(ctx context.Context, o Options) error {
	build := exec.CommandContext(ctx, filepath.Join(o.Mirror, "build"))
	if o.Real {
		build.Args = append(build.Args, "platform")
	}
	progress := &lines{log: o.Log}
	build.Stderr = progress
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the mirror (%s): %w: %s", build.Path, err, progress.last)
	}
	return nil
}

// lines passes each line that is written on to a log, and keeps the last one.
type lines struct {
	log     func(format string, args ...any)
	pending []byte
	last    string
}

func (l *lines) Write(p []byte) (int, error) {
	l.pending = append(l.pending, p...)
	for {
		line, rest, found := bytes.Cut(l.pending, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.last, l.pending = string(line), rest
		l.log("%s", l.last)
	}
}

func serveMirror(o Options, address string, port int) (*mirror, error) {
	m := &mirror{port: port, done: make(chan struct{})}
	m.process = exec.Command(filepath.Join(o.Mirror, "serve"), address)
	endWithParent(m.process)
	out, err := m.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stderr strings.Builder
	m.process.Stderr = &stderr
	started := make(chan error, 1)
	go func() {
		// The signal comes when the thread that started the process ends, so the thread must not end before the process.
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
	if err := m.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) &&
		!strings.Contains(err.Error(), "already finished") {
		return err
	}
	<-m.done
	return nil
}
