package aws

import (
	"testing"
	"time"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/sandboxtest"
	"kubeadm-aws/internal/sandbox/store"
	"kubeadm-aws/internal/sandbox/tls"
)

// client sends the requests of the engine to a model of AWS.
type client struct {
	*sandboxtest.Client
	console  Console
	provider *Provider
}

func newClient(t *testing.T) client { return startClient(t, "", nil) }

// startClient starts a model that continues with the journal in dir.
func startClient(t *testing.T, dir string, b backend.Backend) client {
	t.Helper()
	objects, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	account := NewAccount(objects, "")
	provider := &Provider{Account: account, Backend: b}
	providers := map[string]engine.Provider{"aws": provider, "tls": &tls.Provider{Now: time.Now}}
	return client{sandboxtest.New(t, providers), NewConsole(account, b), provider}
}

func (c client) leftovers() []string {
	c.console.account.Lock()
	defer c.console.account.Unlock()
	return c.console.account.Leftovers()
}
