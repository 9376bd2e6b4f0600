package hosts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/sandbox"
)

// The command provider's defaults.
const (
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15 * time.Second

	firstDialDelay = 100 * time.Millisecond
	lastDialDelay  = 5 * time.Second
)

// Exec runs the command in a session of its own connection. It fails as the command provider does: with the status, the
// command text and its output; stdin is in neither. A host key that is not the pinned one ends it at once.
func (g *Ground) Exec(ctx context.Context, c sandbox.RemoteCommand) (stdout, stderr string, err error) {
	client, err := dial(ctx, c)
	if err != nil {
		return "", "", err
	}
	defer client.Close()
	// Run takes no context; it returns when the connection is gone.
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()

	session, err := client.NewSession()
	if err != nil {
		return "", "", fmt.Errorf("open a session on %s: %w", c.Host, errors.Join(err, ctx.Err()))
	}
	defer session.Close()
	var out, errs, both strings.Builder
	outLines, errLines := logLines(c.Log, "stdout"), logLines(c.Log, "stderr")
	all := &syncWriter{to: &both}
	session.Stdin = strings.NewReader(c.Stdin)
	session.Stdout = io.MultiWriter(&out, all, outLines)
	session.Stderr = io.MultiWriter(&errs, all, errLines)
	err = session.Run(c.Command)
	outLines.flush()
	errLines.flush()
	stdout, stderr = strings.TrimSuffix(out.String(), "\n"), strings.TrimSuffix(errs.String(), "\n")
	if err != nil {
		return stdout, stderr, fmt.Errorf("%w: running %q:\n%s", errors.Join(err, ctx.Err()), c.Command, both.String())
	}
	return stdout, stderr, nil
}

func logLines(log func(stream, line string), stream string) *lineWriter {
	if log == nil {
		log = func(string, string) {}
	}
	return &lineWriter{line: func(line string) { log(stream, line) }}
}

// dial tries until the host answers, the limit of failures is reached or the context ends.
func dial(ctx context.Context, c sandbox.RemoteCommand) (*ssh.Client, error) {
	config, err := clientConfig(c)
	if err != nil {
		return nil, err
	}
	limit := c.DialErrorLimit
	if limit == 0 {
		limit = defaultDialErrorLimit
	}
	port := c.Port
	if port == 0 {
		port = 22
	}
	address := net.JoinHostPort(c.Host, strconv.Itoa(port))
	for attempt, delay := 1, firstDialDelay; ; attempt, delay = attempt+1, min(delay*3/2, lastDialDelay) {
		client, err := dialOnce(ctx, address, config)
		if err == nil {
			return client, nil
		}
		var wrong *wrongHostKey
		if errors.As(err, &wrong) {
			return nil, wrong
		}
		if limit > 0 && attempt >= limit {
			return nil, fmt.Errorf("after %d failed attempts to reach %s over SSH: %w", attempt, address, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("reach %s over SSH: %w: %w", address, ctx.Err(), err)
		case <-time.After(delay):
		}
	}
}

// dialOnce bounds the handshake too: a host that is just shutting down accepts connections and says nothing.
func dialOnce(ctx context.Context, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	dialer := net.Dialer{Timeout: config.Timeout, KeepAlive: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(config.Timeout)); err != nil {
		conn.Close()
		return nil, err
	}
	c, chans, reqs, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		c.Close()
		return nil, err
	}
	return ssh.NewClient(c, chans, reqs), nil
}

func clientConfig(c sandbox.RemoteCommand) (*ssh.ClientConfig, error) {
	signer, err := ssh.ParsePrivateKey([]byte(c.PrivateKey))
	if err != nil {
		return nil, fmt.Errorf("private key of %s@%s: %w", c.User, c.Host, err)
	}
	config := &ssh.ClientConfig{
		User:            c.User,
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // as the command provider does without a host key
		Timeout:         c.PerDialTimeout,
	}
	if config.Timeout <= 0 {
		config.Timeout = defaultPerDialTimeout
	}
	if c.HostKey == "" {
		return config, nil
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(c.HostKey))
	if err != nil {
		return nil, fmt.Errorf("host key of %s: %w", c.Host, err)
	}
	config.HostKeyAlgorithms = []string{pinned.Type()}
	config.HostKeyCallback = func(_ string, _ net.Addr, offered ssh.PublicKey) error {
		if string(offered.Marshal()) != string(pinned.Marshal()) {
			return &wrongHostKey{host: c.Host, want: ssh.FingerprintSHA256(pinned), got: ssh.FingerprintSHA256(offered)}
		}
		return nil
	}
	return config, nil
}

// wrongHostKey ends the attempts: no later one would find another key on the same host.
type wrongHostKey struct{ host, want, got string }

func (e *wrongHostKey) Error() string {
	return fmt.Sprintf("%s shows the SSH host key %s, pinned is %s: ssh: host key mismatch", e.host, e.got, e.want)
}
