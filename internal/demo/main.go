// Demo serves what tools/demo.sh needs between the runs of the driver: the Git server that Argo CD reads, and on
// request the parts of AWS that a run of the driver has while it runs, among them the registry of images.
//
//	demo DIRECTORY STACK
//
// DIRECTORY has platform.git, and the project of the stack below project/. The first two lines on stdout are the URL of
// the repository and its line of known_hosts. Both stay the same for a directory. The line "open" on stdin opens the
// hosts of the stack, "close" closes them; each is answered by its own word when it is done. The end of stdin ends it.
package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/dockerhosts"
	"kubeadm-aws/internal/gitserver"
	"kubeadm-aws/internal/sandbox"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: demo DIRECTORY STACK")
		os.Exit(2)
	}
	d := demo{dir: os.Args[1], stack: os.Args[2]}
	if err := d.serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is the directory of a demo and the name of its stack.
type demo struct{ dir, stack string }

// serve carries out the requests until there are no more.
func (d demo) serve(requests io.Reader, answers io.Writer) (err error) {
	git, err := d.git()
	if err != nil {
		return err
	}
	defer git.Close()
	fmt.Fprintf(answers, "%s\n%s\n", git.URL, git.KnownHosts)
	var hosts *dockerhosts.Backend
	shut := func() error {
		if hosts == nil {
			return nil
		}
		closing := hosts
		hosts = nil
		return closing.Close()
	}
	defer func() { err = errors.Join(err, shut()) }()
	lines := bufio.NewScanner(requests)
	for lines.Scan() {
		switch request := lines.Text(); request {
		case "open":
			if hosts != nil {
				return errors.New("the hosts are open already")
			}
			if hosts, err = d.hosts(); err != nil {
				return err
			}
		case "close":
			if err := shut(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("request %q: open or close", request)
		}
		fmt.Fprintln(answers, lines.Text())
	}
	return lines.Err()
}

// git starts the Git server, with the key and on the address of an earlier run in the directory.
func (d demo) git() (*gitserver.Server, error) {
	key, err := d.hostKey()
	if err != nil {
		return nil, err
	}
	// A run on hosts replaces each encrypted setting of the stack by a text of its own. This one is its deploy key.
	deploy, err := ssh.ParsePrivateKey([]byte(sandbox.Placeholder(config.Namespace+":"+config.RepositoryKey,
		sandbox.EncryptedSetting)))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(d.dir, "git-address")
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	own, err := gitserver.OwnAddress()
	if err != nil {
		return nil, err
	}
	server, err := gitserver.Start(gitserver.Options{
		Bare: filepath.Join(d.dir, "platform.git"), HostKey: key, DeployKey: deploy.PublicKey(),
		Address: cmp.Or(strings.TrimSpace(string(before)), net.JoinHostPort(own, "0")),
	})
	if err != nil {
		return nil, err
	}
	return server, os.WriteFile(file, []byte(server.Address+"\n"), 0o600)
}

// hostKey reads the key of the Git server, and makes it the first time.
func (d demo) hostKey() (ed25519.PrivateKey, error) {
	file := filepath.Join(d.dir, "git-host-key")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			return nil, err
		}
		return key, os.WriteFile(file, pem.EncodeToMemory(block), 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	own, ok := key.(*ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is not a key of ed25519", file)
	}
	return *own, nil
}

// hosts opens the hosts of the stack as the driver does for the time of a run.
func (d demo) hosts() (*dockerhosts.Backend, error) {
	return dockerhosts.New(context.Background(), dockerhosts.Options{
		Stack: d.stack, Dir: filepath.Join(d.dir, "project", ".sandbox", d.stack+"-hosts", "hosts"),
		Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
	})
}
