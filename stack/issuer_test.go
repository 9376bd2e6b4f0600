package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"kubeadm-aws/internal/sandbox"
)

// identity returns the settings of a small stack with workload identity.
func identity(more map[string]any) map[string]any {
	settings := small()
	values := map[string]any{"enabled": true}
	for key, value := range more {
		values[key] = value
	}
	settings["kubeadm-aws:identity"] = values
	return settings
}

const (
	issuerProvider = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
	bucketObject   = "aws:s3/bucketObjectv2:BucketObjectv2"
)

// TestAStackWithAnIssuer brings one up and destroys it.
func TestAStackWithAnIssuer(t *testing.T) {
	r := simulate(t, "dev", identity(map[string]any{"serviceAccounts": []any{
		map[string]any{"namespace": "apps", "name": "api", "policy": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"},
		map[string]any{"namespace": "apps", "name": "web", "policy": map[string]any{"Statement": []any{
			map[string]any{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::uploads/*"}}}},
	}}))
	r.up().must(t)
	for typ, want := range map[string]int{issuerProvider: 1, bucketObject: 2} {
		made := 0
		for _, res := range r.resources() {
			if string(res.Type) == typ {
				made++
			}
		}
		if made != want {
			t.Errorf("%d of %s, want %d", made, typ, want)
		}
	}
	// The first token can be checked, and the last one that a controller needs to clean up.
	r.mustDepend(t, "master-init", "openid-configuration", "jwks")
	r.mustDepend(t, "jwks", "platform-dev-issuer", "identity")
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	r.refresh().mustNotChange(t)
	off := map[string]any{"kubeadm-aws:identity": map[string]any{"enabled": false}}
	r.mustRefuse(t, off, "kubeadm-aws:identity.enabled")
	r.mustRefuse(t, identity(map[string]any{"issuer": "https://oidc.example.com"}), "kubeadm-aws:identity.issuer")
	r.destroy().must(t)
	r.mustBeEmpty()
}

// TestControllersWithTheirOwnRoles brings up a stack whose controllers have roles of their own, and destroys it with
// what users made. A controller that loses its policy first cannot clean up.
func TestControllersWithTheirOwnRoles(t *testing.T) {
	r := simulate(t, "dev", map[string]any{"kubeadm-aws:identity": map[string]any{"enabled": true}})
	r.up().must(t)
	r.users()
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	bad := r.twin(t)
	bad.lame()
	for _, res := range bad.resources() {
		if res.Type == "aws:iam/rolePolicy:RolePolicy" && strings.HasPrefix(res.URN.Name(), "sa-kube-system-ebs-") {
			bad.first(res.URN.Name()).must(t)
		}
	}
	bad.mustLeak()
	r.destroy().must(t)
	r.mustBeEmpty()
}

// mustDepend checks the dependencies of a resource in the state.
func (r *simulation) mustDepend(t *testing.T, name string, on ...string) {
	t.Helper()
	for _, res := range r.resources() {
		if res.URN.Name() != name {
			continue
		}
		for _, other := range on {
			if !slices.ContainsFunc(res.Dependencies, func(u resource.URN) bool { return u.Name() == other }) {
				t.Errorf("%s does not depend on %s", name, other)
			}
		}
		return
	}
	t.Errorf("there is no %s", name)
}

// TestAnIssuerForARunningStack turns identity on. The init step is updated, and no machine is replaced.
func TestAnIssuerForARunningStack(t *testing.T) {
	r := simulate(t, "dev", small())
	r.up().must(t)
	r.set(identity(nil))
	changes := r.up().must(t).changes
	updated := false
	for _, line := range changes {
		updated = updated || strings.HasPrefix(line, "update") && strings.Contains(line, "master-init")
	}
	if lost := lostBy(changes); len(lost) > 0 || !updated {
		t.Errorf("lost %q; init is updated: %v\n%s", lost, updated, strings.Join(changes, "\n"))
	}
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
}

// TestAnAccountThatBlocksPublicBuckets expects a refusal before the first resource, and a way that works.
func TestAnAccountThatBlocksPublicBuckets(t *testing.T) {
	r := simulate(t, "dev", identity(nil))
	r.allowing(sandbox.Limits{BlocksPublicPolicies: true})
	r.mustSay(t, r.preview(), "kubeadm-aws:identity.enabled = true", "the account 123456789012 or its organization blocks",
		"identity.issuer", "nothing was created")
	r.set(identity(map[string]any{"issuer": "https://oidc.example.com"}))
	r.up().must(t)
	r.mustRefuse(t, identity(nil), "kubeadm-aws:identity.issuer")
}
