package testenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// API is a real kube-apiserver with etcd and without controllers. The user of its kubeconfig may do everything.
type API struct {
	// URL is https://127.0.0.1:<port>.
	URL string
	// Kubeconfig is the path of a kubeconfig file.
	Kubeconfig string
	// Etcd is the URL of its etcd.
	Etcd string
}

// StartAPI starts an API server and returns when it answers. It ends with the test. flags are added to its
// own. --etcd-servers=URL and flags of service accounts, in this form, replace its own.
func StartAPI(t testing.TB, flags ...string) API {
	t.Helper()
	etcd, server := NeedKubernetes(t, "etcd"), NeedKubernetes(t, "kube-apiserver")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keyPath := write("sa.key", string(pem.EncodeToMemory(
		&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	port := FreePort(t)
	replaceable := func(name, value string) (string, []string) {
		for _, flag := range flags {
			if given, ok := strings.CutPrefix(flag, name+"="); ok {
				return given, nil
			}
		}
		return value, []string{name + "=" + value}
	}
	client, own := replaceable("--etcd-servers", fmt.Sprintf("http://127.0.0.1:%d", FreePort(t)))
	if own != nil {
		peer := fmt.Sprintf("http://127.0.0.1:%d", FreePort(t))
		Start(t, etcd, "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", client, "--advertise-client-urls",
			client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer,
			"--unsafe-no-fsync")
	}
	for name, value := range map[string]string{
		"--service-account-issuer": "https://test", "--service-account-key-file": keyPath,
		"--service-account-signing-key-file": keyPath, "--service-account-extend-token-expiration": "false",
	} {
		_, flag := replaceable(name, value)
		own = append(own, flag...)
	}
	Start(t, server, slices.Concat([]string{
		"--secure-port", fmt.Sprint(port), "--bind-address", "127.0.0.1", "--cert-dir", dir,
		"--token-auth-file", write("tokens.csv", "test,test,test,system:masters\n"), "--authorization-mode", "RBAC",
		"--service-cluster-ip-range", "10.96.0.0/16",
		// No controller creates service accounts here.
		"--disable-admission-plugins", "ServiceAccount",
	}, own, flags)...)
	a := API{URL: fmt.Sprintf("https://127.0.0.1:%d", port), Etcd: client}
	a.Kubeconfig = write("kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: test, user: {token: test}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, a.URL))
	a.await(t)
	return a
}

// await returns when the API server is ready.
func (a API) await(t testing.TB) {
	t.Helper()
	var said string
	if !Until(2*time.Minute, func() bool {
		var err error
		said, err = Kubectl(t, a.Kubeconfig, "", "get", "--raw", "/readyz")
		return err == nil
	}) {
		t.Fatalf("the API server does not answer: %s", said)
	}
}

// Kubectl runs kubectl with an input and returns what it prints.
func Kubectl(t testing.TB, kubeconfig, input string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(NeedKubernetes(t, "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Until asks twenty times a second whether something is done. It returns false if that is not so within a limit.
func Until(limit time.Duration, done func() bool) bool {
	for deadline := time.Now().Add(limit); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Start runs a program until the test ends. If the test fails, it shows the end of the program's output.
func Start(t testing.TB, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() && log.Len() > 0 {
			t.Logf("%s ended with:\n%s", filepath.Base(program), log.Bytes()[max(0, log.Len()-1000):])
		}
	})
}

// FreePort returns a TCP port of 127.0.0.1 that nothing listens on. It is below 32768: from there on, Linux gives ports
// to outgoing connections, and one of them could take the port before the program that is to listen on it.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + mathrand.IntN(12000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no TCP port of 127.0.0.1 from 20000 to 31999 is free")
	return 0
}
