package stack_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
)

// TestEveryAddonOffAndOnAgain disables the add-ons of a running stack in groups, and enables them again. Helm refuses
// a name in use, so a release that was only dropped from the state fails the second time.
func TestEveryAddonOffAndOnAgain(t *testing.T) {
	settings := everything()
	delete(settings, "kubeadm-aws:dns") // it needs the load balancer controller
	base := simulate(t, "dev", settings)
	base.up().must(t)
	// Each add-on is in one group, with those that need it.
	for _, group := range [][]string{
		{"monitoring", "logging"},
		{"ebsCsi", "rabbitmq", "redis", "postgresql", "monitoring", "logging"},
		{"metricsServer", "certManager", "loadBalancer", "argocd", "argoRollouts"},
	} {
		t.Run(strings.Join(group, " "), func(t *testing.T) {
			r := base.twin(t)
			before := r.workspace.Settings["kubeadm-aws:addons"].(map[string]any)
			without := maps.Clone(before)
			for _, off := range group {
				without[off] = map[string]any{"enabled": false}
			}
			r.set(map[string]any{"kubeadm-aws:addons": without})
			r.up().must(t)
			r.up(optup.ExpectNoChanges()).mustNotChange(t)
			r.set(map[string]any{"kubeadm-aws:addons": before})
			r.up().must(t)
			r.up(optup.ExpectNoChanges()).mustNotChange(t)
		})
	}
}
