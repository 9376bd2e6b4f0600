package sandbox

import (
	"testing"

	"kubeadm-aws/internal/sandbox/sandboxtest"
)

func TestModelOfCommandHasUsers(t *testing.T) { sandboxtest.CheckTokens(t, "command", commandTypes) }
