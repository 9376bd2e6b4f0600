package account

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"kubeadm-aws/internal/sandbox/sandboxtest"
)

// The role of an environment has the calls of every resource type and function that the program of the clusters uses,
// and of no other.
func TestTheTableHasEveryType(t *testing.T) {
	ours := []string{
		"aws:kms/key:Key", "aws:kms/alias:Alias",
		"aws:ecr/repositoryPolicy:RepositoryPolicy",
	}
	sandboxtest.CheckTokens(t, "aws", append(slices.Collect(maps.Keys(clusterCalls)), ours...), "aws:ebs/volume:Volume")
}

// A role that can remove a resource can also make it: an up of a new stack comes first.
func TestEveryResourceCanBeMade(t *testing.T) {
	function := regexp.MustCompile(`^aws:[a-z0-9]+/get`)
	removes := regexp.MustCompile(`:(Delete|Untag|Remove)`)
	for token, c := range clusterCalls {
		if token == "aws:acm/certificateValidation:CertificateValidation" {
			continue // it only waits for a certificate
		}
		makes := slices.DeleteFunc(slices.Concat(c.creates, c.changes), removes.MatchString)
		if !function.MatchString(token) && len(makes) == 0 {
			t.Errorf("%s: the role may call %v, which makes nothing", token, slices.Concat(c.creates, c.changes))
		}
	}
}
