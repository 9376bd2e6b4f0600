//go:build e2e

package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/gitserver"
)

// gitServer is a Git server of the test, with a clone of its repository.
type gitServer struct {
	*gitserver.Server
	// clone is a clone of the repository on this machine, with its branch main checked out.
	clone string
}

// startGit starts a server of a repository of apps/ and envs/, which a deploy key may read.
func startGit(t *testing.T, deployKey ssh.PublicKey) *gitServer {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command(filepath.Join(root(), "tools/app-repository.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("make the repository: %v: %s", err, out)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	address, err := gitserver.OwnAddress()
	if err != nil {
		t.Fatal(err)
	}
	server, err := gitserver.Start(gitserver.Options{
		Bare: filepath.Join(dir, "platform.git"), Address: net.JoinHostPort(address, "0"), HostKey: key,
		DeployKey: deployKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return &gitServer{Server: server, clone: filepath.Join(dir, "clone")}
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
