package dockerhosts

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/sandbox/backend"
)

// sshKey is a private key as PEM, and its public line.
func sshKey(t *testing.T) (private, public string, signer ssh.Signer) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if signer, err = ssh.NewSignerFromKey(key); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(signer.PublicKey())), signer
}

// The advice of the driver looks for these texts, which are those of the command provider v1.2.1 and of Go's SSH
// client.
func TestAFailedLoginHasTheErrorOfTheCommandProvider(t *testing.T) {
	userKey, _, _ := sshKey(t)
	_, hostKey, host := sshKey(t)
	_, otherHostKey, _ := sshKey(t)
	server := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
		return nil, errors.New("not this key")
	}}
	server.AddHostKey(host)
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
		"nothing listens": {shut, 2, hostKey, "after 2 failed attempts: dial tcp 127.0.0.1:"},
		"another host key": {open, 1, otherHostKey,
			"after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch"},
		"another user key": {open, 1, hostKey, "after 1 failed attempts: ssh: handshake failed: ssh: unable to " +
			"authenticate, attempted methods [none publickey], no supported methods remain"},
		"no limit but the time": {shut, -1, hostKey, "context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if c.limit < 0 {
				var end context.CancelFunc
				ctx, end = context.WithTimeout(ctx, time.Millisecond)
				defer end()
			}
			_, err := dial(ctx, backend.RemoteCommand{
				Host: "127.0.0.1", Port: c.port, User: "ubuntu", PrivateKey: userKey, HostKey: c.hostKey, DialErrorLimit: c.limit,
			})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
