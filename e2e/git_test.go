//go:build e2e

package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// gitServer serves one bare repository over SSH, as a Git service does. It takes one deploy key, which may only read.
type gitServer struct {
	// clone is a clone of the repository on this machine, with its branch main checked out.
	clone string
	// url is the address for the hosts and the pods, and knownHosts the line by which they know the server.
	url, knownHosts string

	bare   string
	config *ssh.ServerConfig
}

// startGit starts the server on an address of this machine. The first commit holds the content of a directory.
func startGit(t *testing.T, content string, deployKey ssh.PublicKey) *gitServer {
	t.Helper()
	g := &gitServer{clone: content, bare: filepath.Join(t.TempDir(), "platform.git")}
	g.git(t, "init", "--quiet", "--initial-branch", "main")
	g.git(t, "config", "user.name", "e2e")
	g.git(t, "config", "user.email", "e2e@example.com")
	g.git(t, "init", "--quiet", "--bare", "--initial-branch", "main", g.bare)
	g.git(t, "remote", "add", "origin", g.bare)
	g.commit(t, "envs: begin")

	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	readable := func(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
		if string(offered.Marshal()) != string(deployKey.Marshal()) {
			return nil, errors.New("another key than the deploy key")
		}
		return nil, nil
	}
	g.config = &ssh.ServerConfig{PublicKeyCallback: readable}
	g.config.AddHostKey(host)
	listener, err := net.Listen("tcp4", net.JoinHostPort(ownAddress(t), "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go g.serve(listener)
	address := listener.Addr().(*net.TCPAddr)
	g.url = fmt.Sprintf("ssh://git@%s/platform.git", address)
	g.knownHosts = fmt.Sprintf("[%s]:%d %s", address.IP, address.Port,
		strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey()))))
	return g
}

// ownAddress returns an address of this machine that hosts and pods reach. It is there before the network of the hosts.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Fatalf("this machine has no address of its own among %v", all)
	return ""
}

// git runs git in the clone.
func (g *gitServer) git(t *testing.T, args ...string) {
	t.Helper()
	g.run(t, "git", args...)
}

func (g *gitServer) run(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = g.clone, append(os.Environ(), "DIRECT=true")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}

// commit commits everything in the clone and pushes it.
func (g *gitServer) commit(t *testing.T, subject string) {
	t.Helper()
	g.git(t, "add", "--all")
	g.git(t, "commit", "--quiet", "--message", subject)
	g.git(t, "push", "--quiet", "origin", "main")
}

// edit replaces a text in a file of the clone, which has to have it.
func (g *gitServer) edit(t *testing.T, name, before, after string) {
	t.Helper()
	path := filepath.Join(g.clone, name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), before) {
		t.Fatalf("%s has no %q", name, before)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), before, after)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *gitServer) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go g.connection(conn)
	}
}

func (g *gitServer) connection(conn net.Conn) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, g.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go g.session(channel, requests)
	}
}

// session runs the one command that a reader of the repository needs.
func (g *gitServer) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		var command struct{ Text string }
		read := r.Type == "exec" && ssh.Unmarshal(r.Payload, &command) == nil &&
			command.Text == "git-upload-pack '/platform.git'"
		_ = r.Reply(read, nil)
		if r.Type != "exec" {
			continue
		}
		status := struct{ Code uint32 }{1}
		if read && g.uploadPack(channel) == nil {
			status.Code = 0
		}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
		return
	}
}

func (g *gitServer) uploadPack(channel ssh.Channel) error {
	cmd := exec.Command("git", "upload-pack", "--strict", g.bare)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	// A pipe of its own: Wait would otherwise wait for the client to close its side.
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, channel)
		_ = in.Close()
	}()
	return cmd.Wait()
}
