package account

import (
	"maps"
	"slices"
	"testing"

	"kubeadm-aws/internal/sandbox/sandboxtest"
)

// The role of an environment has the calls of every resource type and function that the program of the clusters uses, and of no other.
func TestTheTableHasEveryType(t *testing.T) {
	ours := []string{
		"aws:iam/openIdConnectProvider:OpenIdConnectProvider", "aws:kms/key:Key", "aws:kms/alias:Alias",
		"aws:ecr/repositoryPolicy:RepositoryPolicy",
	}
	sandboxtest.CheckTokens(t, "aws", append(slices.Collect(maps.Keys(clusterCalls)), ours...), "aws:ebs/volume:Volume")
}
