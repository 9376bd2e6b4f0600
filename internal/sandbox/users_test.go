package sandbox

import (
	"maps"
	"slices"
	"testing"

	"kubeadm-aws/internal/sandbox/sandboxtest"
)

func TestModelOfAWSHasUsers(t *testing.T) {
	modelled := slices.Concat(slices.Collect(maps.Keys(awsTypes)), slices.Collect(maps.Keys(awsInvokes)))
	sandboxtest.CheckTokens(t, "aws", modelled, volumeType, loadBalancerType, targetGroupType)
}

func TestModelOfCommandHasUsers(t *testing.T) { sandboxtest.CheckTokens(t, "command", commandTypes) }
