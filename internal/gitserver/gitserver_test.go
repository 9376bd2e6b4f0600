package gitserver

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/remote"
	"kubeadm-aws/internal/testenv"
)

// TestARepositoryIsReadOverSSH clones with the real git and ssh, as Argo CD does.
func TestARepositoryIsReadOverSSH(t *testing.T) {
	testenv.NeedProgram(t, "ssh", "openssh-client")
	testenv.NeedProgram(t, "git", "git")
	dir := t.TempDir()
	if out, err := exec.Command("../../tools/app-repository.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("app-repository.sh: %v: %s", err, out)
	}
	_, hostKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	deployKey := key(t, filepath.Join(dir, "deploy-key"))
	s, err := Start(Options{Bare: filepath.Join(dir, "platform.git"), Address: "127.0.0.1:0", HostKey: hostKey,
		DeployKey: deployKey})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(s.KnownHosts+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git := func(key string, args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_SSH_COMMAND=ssh -F none -o IdentitiesOnly=yes -o BatchMode=yes -i "+
			filepath.Join(dir, key)+" -o UserKnownHostsFile="+known)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	clone := filepath.Join(dir, "copy")
	if out, err := git("deploy-key", "clone", "--quiet", s.URL, clone); err != nil {
		t.Fatalf("clone: %v: %s", err, out)
	}
	for _, name := range []string{"envs/dev/kustomization.yaml", "apps/api/base/rollout.yaml", "apps/worker/base"} {
		if _, err := os.Stat(filepath.Join(clone, name)); err != nil {
			t.Error(err)
		}
	}
	if out, err := git("deploy-key", "-C", clone, "push", "origin", "HEAD:other"); err == nil {
		t.Errorf("a push is accepted: %s", out)
	}
	other := strings.Replace(s.URL, "platform.git", "other.git", 1)
	if out, err := git("deploy-key", "ls-remote", other); err == nil {
		t.Errorf("the repository is read under another name: %s", out)
	}
	key(t, filepath.Join(dir, "other-key"))
	if out, err := git("other-key", "ls-remote", s.URL); err == nil || !strings.Contains(out, "Permission denied") {
		t.Errorf("another key reads: %v: %s", err, out)
	}
	if _, err := Start(Options{Bare: s.bare, Address: s.Address, HostKey: hostKey, DeployKey: deployKey}); err == nil {
		t.Error("two servers listen on one address")
	}
}

// key writes a new private key and returns its public key.
func key(t *testing.T, path string) ssh.PublicKey {
	t.Helper()
	made, err := remote.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(made.Private), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey([]byte(made.Private))
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey()
}
