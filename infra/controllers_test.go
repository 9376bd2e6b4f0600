package infra

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

// noControllers are the settings of add-ons without those that call AWS, and those that need them.
const noControllers = `{"ebsCsi":{"enabled":false},"loadBalancer":{"enabled":false},"monitoring":{"enabled":false},` +
	`"rabbitmq":{"enabled":false},"redis":{"enabled":false}}`

// With workload identity each controller has a role of its own, which trusts its service account only, with the
// policy that the control plane has otherwise. The control plane's role loses it.
func TestEachControllerHasItsOwnRole(t *testing.T) {
	const logging = `{"logging":{"enabled":true}}`
	shared := deploy(t, "dev", settings{"addons": logging}).policies("control-plane")
	w := deploy(t, "dev", settings{"addons": logging, "identity": identityOn})
	if got, want := slices.Sorted(maps.Keys(w.policies("control-plane"))),
		[]string{"backups", "cloud-controller", "images"}; !slices.Equal(got, want) {
		t.Errorf("the control plane has the policies %v, want %v", got, want)
	}
	for name, account := range map[string]config.ServiceAccount{
		"volumes": config.EBSDriverAccount, "load-balancers": config.LoadBalancerAccount, "logs": config.LokiAccount,
	} {
		p := w.one("RolePolicy", roleName(account))
		if p.at("name").StringValue() != name || p.at("policy").StringValue() != shared[name].JSON() {
			t.Errorf("%s has the policy %s:\n%s", account.Subject(), p.at("name"), p.at("policy"))
		}
		role := w.one("Role", "dev-"+roleName(account))
		trust := parse(t, role.at("assumeRolePolicy").StringValue())
		condition := trust.Statement[0].Condition["StringEquals"]
		for key, want := range map[string]string{":sub": account.Subject(), ":aud": config.TokenAudience} {
			found := false
			for name, values := range condition {
				found = found || strings.HasSuffix(name, key) && slices.Equal(values, []string{want})
			}
			if !found || len(trust.Statement) != 1 {
				t.Errorf("the role of %s is not for %s: %v", account.Subject(), want, trust.Statement)
			}
		}
		if w.infra.Issuer.Roles[account.Namespace+"/"+account.Name] == nil {
			t.Errorf("the role of %s is not handed on", account.Subject())
		}
	}
	if got := len(w.infra.Issuer.Policies); got != 3 {
		t.Errorf("%d policies must outlive their controllers, want 3", got)
	}
	without := deploy(t, "dev", settings{"addons": noControllers, "identity": identityOn})
	if roles := without.infra.Issuer.Roles; len(roles) != 0 {
		t.Errorf("add-ons that are off have the roles %v", roles)
	}
}
