// Package remote runs commands on machines over SSH, as the provider of pulumi-command does.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/sandbox/backend"
)

// The command provider's defaults.
const (
	defaultDialErrorLimit = 10
	defaultPerDialTimeout = 15 * time.Second
)

// Run runs the command in a session of its own connection. It fails as the command provider does: with
// the status, the command text and its output; stdin is in neither.
func Run(ctx context.Context, c backend.RemoteCommand) (stdout, stderr string, err error) {
	client, err := dial(ctx, c)
	if err != nil {
		return "", "", err
	}
	defer client.Close()
	// Run takes no context; it returns when the connection is closed.
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

// dial retries as the command provider (v1.2.1) does, with the same function of the SDK. It tries once more than the
// limit and counts every failure, also a refused key. When the context ends first, the error does not contain the
// reason.
func dial(ctx context.Context, c backend.RemoteCommand) (*ssh.Client, error) {
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
	ok, client, err := retry.Until(ctx, retry.Acceptor{Accept: func(try int, _ time.Duration) (bool, any, error) {
		client, err := dialOnce(ctx, address, config)
		if err != nil && limit > 0 && try >= limit {
			return true, nil, fmt.Errorf("after %d failed attempts: %w", try, err)
		}
		return err == nil, client, nil
	}})
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, ctx.Err()
	}
	return client.(*ssh.Client), nil
}

// dialOnce limits the time of the connection. Only the context limits that of the handshake: a host that accepts
// connections and sends nothing blocks the command provider forever.
func dialOnce(ctx context.Context, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	dialer := net.Dialer{Timeout: config.Timeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, chans, reqs, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, chans, reqs), nil
}

func clientConfig(c backend.RemoteCommand) (*ssh.ClientConfig, error) {
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
	config.HostKeyCallback = ssh.FixedHostKey(pinned)
	return config, nil
}
