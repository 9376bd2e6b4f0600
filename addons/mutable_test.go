package addons

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Argo CD keeps keys of its own in the Secret with the administrator's password: the key that signs sessions, tokens
// of accounts, secrets of single sign-on. Another password must leave them there, and the object must stay the same.
// The first up is that of an older stack, whose provider has not the settings that allow it.
func TestAnotherPasswordKeepsWhatOthersStore(t *testing.T) {
	a := startAPI(t, withoutWebhooks)
	const dashboard = "dashboard-platform"
	program := func(password string) (*recorder, []registered) {
		r := install(t, map[string]string{"argocdPassword": password}, nil)
		return r, r.order(t, func(entry registered) bool {
			return entry.name == "secret-argocd-secret" || entry.name == dashboard ||
				strings.HasPrefix(entry.name, "namespace-")
		})
	}
	platform, resources := program("first-password-1")
	e := a.engine(platform.provider(t), resources)
	e.provider.inputs = e.provider.inputs.Copy()
	delete(e.provider.inputs, "enableSecretMutable")
	delete(e.provider.inputs, "enableConfigMapMutable")
	e.up()
	secret := []string{"-n", "argocd", "get", "secret", "argocd-secret", "-o"}
	uid := a.kubectl(append(secret, "jsonpath={.metadata.uid}")...)
	before := a.kubectl(append(secret, `jsonpath={.data.admin\.password}`)...)
	configMap := []string{"-n", "monitoring", "get", "configmap", "-l", "grafana_dashboard=1", "-o"}
	dashboards := a.kubectl(append(configMap, "jsonpath={.items[*].metadata.uid}")...)
	// Argo CD updates the whole object, so it owns admin.password too once it has changed it.
	a.kubectl("-n", "argocd", "patch", "secret", "argocd-secret", "--field-manager=argocd-server", "--type=merge", "-p",
		`{"data":{"server.secretkey":"`+base64.StdEncoding.EncodeToString([]byte("signs sessions"))+`","admin.password":"eA=="}}`)

	platform, e.resources = program("second-password-2")
	e.provider = platform.provider(t)
	for _, entry := range e.resources {
		if entry.name == dashboard {
			for name := range entry.inputs["data"].ObjectValue() {
				entry.inputs["data"].ObjectValue()[name] = resource.NewProperty("{}")
			}
		}
	}
	e.up()
	if got := a.kubectl(append(secret, `jsonpath={.data.server\.secretkey}`)...); got != "c2lnbnMgc2Vzc2lvbnM=" {
		t.Errorf("Argo CD's own key is %q after another password", got)
	}
	if got := a.kubectl(append(secret, "jsonpath={.metadata.uid}")...); got != uid {
		t.Errorf("the Secret is another object: %s, was %s", got, uid)
	}
	if got := a.kubectl(append(secret, `jsonpath={.data.admin\.password}`)...); got == before || got == "eA==" {
		t.Errorf("the password is still the old one: %s", got)
	}
	if got := a.kubectl(append(configMap, "jsonpath={.items[*].metadata.uid}")...); got != dashboards || got == "" {
		t.Errorf("the ConfigMap of the dashboard is another object: %s, was %s", got, dashboards)
	}
	e.changesNothing()
}
