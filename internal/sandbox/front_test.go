package sandbox

import (
	"testing"

	"kubeadm-aws/internal/sandbox/sandboxtest"
)

// client is the engine's side of the protocol to a whole sandbox.
type client struct {
	*sandboxtest.Client
	s *Sandbox
}

func newClient(t *testing.T) *client { return startClient(t, Options{}) }

func startClient(t *testing.T, o Options) *client {
	s := start(t, o)
	return &client{sandboxtest.New(t, s.providers()), s}
}
