package remote

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/sandbox/backend"
)

func newKey(t *testing.T) Key {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The advice of the driver looks for these texts, which are those of the command provider v1.2.1 and of Go's SSH
// client.
func TestAFailedLoginHasTheErrorOfTheCommandProvider(t *testing.T) {
	user, host, other := newKey(t), newKey(t), newKey(t)
	signer, err := ssh.ParsePrivateKey([]byte(host.Private))
	if err != nil {
		t.Fatal(err)
	}
	server := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
		return nil, errors.New("not this key")
	}}
	server.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _, _, _ = ssh.NewServerConn(conn, server)
			conn.Close()
		}
	}()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	open, shut := listener.Addr().(*net.TCPAddr).Port, closed.Addr().(*net.TCPAddr).Port
	for name, c := range map[string]struct {
		port, limit int
		hostKey     string
		want        string
	}{
		"nothing listens": {shut, 2, host.Public, "after 2 failed attempts: dial tcp 127.0.0.1:"},
		"another host key": {open, 1, other.Public,
			"after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch"},
		"another user key": {open, 1, host.Public, "after 1 failed attempts: ssh: handshake failed: ssh: unable to " +
			"authenticate, attempted methods [none publickey], no supported methods remain"},
		"no limit but the time": {shut, -1, host.Public, "context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if c.limit < 0 {
				var end context.CancelFunc
				ctx, end = context.WithTimeout(ctx, time.Millisecond)
				defer end()
			}
			_, err := dial(ctx, backend.RemoteCommand{
				Host: "127.0.0.1", Port: c.port, User: "ubuntu", PrivateKey: user.Private, HostKey: c.hostKey,
				DialErrorLimit: c.limit,
			})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
