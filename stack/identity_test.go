package stack_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

const typeRecord = "aws:route53/record:Record"

// nameAndWildcard is dev with a certificate for a name and its wildcard, which share one validation record in AWS.
// Slow parts that do not concern names are off.
var nameAndWildcard = map[string]any{
	"kubeadm-aws:dns": map[string]any{
		"domain": "example.com", "ingressHosts": []any{"app.example.com", "*.app.example.com"},
	},
	"kubeadm-aws:addons": map[string]any{
		"acme": map[string]any{"email": "admin@example.com"}, "monitoring": map[string]any{"enabled": false},
		"argocd": map[string]any{"enabled": false}, "rabbitmq": map[string]any{"enabled": false},
		"redis": map[string]any{"enabled": false},
	},
}

// Two resources for one object of AWS overwrite each other, and deleting one breaks the other.
func TestNoTwoResourcesAreOneObject(t *testing.T) {
	r := simulate(t, "dev", maps.Clone(nameAndWildcard))
	r.up().must(t)
	seen := map[string]resource.URN{}
	for _, res := range r.resources() {
		if !strings.HasPrefix(string(res.Type), "aws:") {
			continue
		}
		key := string(res.Type) + " " + string(res.ID)
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s are both %s", res.URN, other, key)
		}
		seen[key] = res.URN
	}
	if got := r.records("_"); len(got) != 3 {
		t.Errorf("validation records %v, want those of argocd, grafana and app", got)
	}

	// The record also serves other stacks' certificates, and its own renewal in eleven months.
	r.set(map[string]any{"kubeadm-aws:dns": map[string]any{"domain": "example.com",
		"ingressHosts": []any{"app.example.com"}}})
	r.up().must(t)
	if got := r.records("_"); len(got) != 3 {
		t.Errorf("after the wildcard went there are the validation records %v", got)
	}
}

// An older stack has one resource for the name and one for the wildcard. Dropping the second must not delete the
// record.
func TestASharedRecordOfAStackMadeBefore(t *testing.T) {
	r := simulate(t, "dev", maps.Clone(nameAndWildcard))
	r.up().must(t)
	r.edit(func(state *apitype.DeploymentV3) {
		for _, res := range state.Resources {
			if res.Type != typeRecord || !strings.Contains(string(res.URN), "::validate-") {
				continue
			}
			old := res
			old.RetainOnDelete = false
			old.Inputs, old.Outputs = maps.Clone(res.Inputs), maps.Clone(res.Outputs)
			old.Inputs["ttl"], old.Outputs["ttl"] = 60, 60
			for i := range state.Resources {
				if state.Resources[i].URN == res.URN {
					state.Resources[i] = old
				}
			}
			if strings.HasSuffix(string(res.URN), "::validate-app.example.com") {
				old.URN = resource.URN(strings.Replace(string(res.URN), "::validate-app", "::validate-*.app", 1))
				state.Resources = append(state.Resources, old)
			}
		}
	})
	for run := range 2 {
		r.up().must(t)
		if got := r.records("_"); len(got) != 3 {
			t.Fatalf("up %d leaves the validation records %v", run+1, got)
		}
	}
	for _, res := range r.resources() {
		if strings.HasSuffix(string(res.URN), "::validate-*.app.example.com") {
			t.Errorf("%s is still in the state", res.URN)
		}
	}
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
}

// records returns the DNS records of the account whose names begin with a text.
func (r *simulation) records(prefix string) []string {
	var found []string
	for _, title := range r.box.Account(typeRecord) {
		if _, name, _ := strings.Cut(title, "("); strings.HasPrefix(name, prefix) {
			found = append(found, name)
		}
	}
	return found
}
