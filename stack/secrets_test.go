package stack_test

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// secretMark is the key that marks a secret in a deployment that is exported in plain text.
const secretMark = "4dabf18193072939515e22adb298388d"

// TestNoSecretInPlainSight takes every private key and password from the decrypted state of a stack. It searches for
// them in the stored state, the engine's output, command texts, and user data outside secrets.
func TestNoSecretInPlainSight(t *testing.T) {
	r := simulate(t, "dev", map[string]any{"kubeadm-aws:grafanaPassword": "hunter2-from-config"})
	up := r.up().must(t)
	stored, plain := r.state()

	secrets := map[string]string{}
	var commands strings.Builder
	for _, res := range r.resources() {
		for _, properties := range []map[string]any{res.Inputs, res.Outputs} {
			for name, value := range properties {
				collect(secrets, string(res.URN)+"."+name, value, false)
			}
		}
		for _, name := range []string{"create", "update", "delete"} {
			if text, ok := res.Inputs[name].(string); ok {
				commands.WriteString(text)
			}
		}
	}
	if len(secrets) < 10 {
		t.Fatalf("only %d secrets found in the state; the test looks in the wrong place", len(secrets))
	}
	keys := strings.Count(string(plain), "PRIVATE KEY")
	t.Logf("%d secret values, %d private key blocks", len(secrets), keys)
	if strings.Contains(string(stored), "PRIVATE KEY-----") {
		t.Error("a private key is in the stored state in plain text")
	}
	for where, value := range secrets {
		for place, text := range map[string]string{
			"the stored state": string(stored), "the engine's output": up.printed, "a command's text": commands.String(),
		} {
			if strings.Contains(text, value) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(value))) {
				t.Errorf("the secret %s is in %s", where, place)
			}
		}
	}
}

// collect adds every string below a secret mark to secrets, if it is long enough to search for.
// A Secret that is replaced loses what services and users have stored in it.
func TestAnotherPasswordReplacesNoSecret(t *testing.T) {
	r := simulate(t, "dev", nil)
	r.up().must(t)
	r.set(map[string]any{
		"kubeadm-aws:argocdPassword": "another-password-1", "kubeadm-aws:grafanaPassword": "another-password-2",
		"kubeadm-aws:redisPassword": "another-password-3",
	})
	changes := r.up().must(t).changes
	for _, name := range []string{"argocd-secret", "grafana-admin", "valkey-users"} {
		updated := func(line string) bool {
			return slices.Equal(strings.Fields(line), []string{"update", "kubernetes:core/v1:Secret", "secret-" + name})
		}
		if !slices.ContainsFunc(changes, updated) {
			t.Errorf("%s is not updated in\n%s", name, strings.Join(changes, "\n"))
		}
	}
}

func collect(secrets map[string]string, where string, value any, secret bool) {
	switch v := value.(type) {
	case map[string]any:
		if v[secretMark] == "1b47061264138c4ac30d75fd1eb44270" {
			var inner any
			if text, ok := v["plaintext"].(string); ok && json.Unmarshal([]byte(text), &inner) == nil {
				collect(secrets, where, inner, true)
			}
			return
		}
		for key, inner := range v {
			collect(secrets, where+"."+key, inner, secret)
		}
	case []any:
		for _, inner := range v {
			collect(secrets, where, inner, secret)
		}
	case string:
		// Short values, and addresses that are public elsewhere, prove nothing when they are found.
		if _, err := netip.ParseAddr(v); err == nil {
			return
		}
		if secret && len(v) >= 12 && !strings.HasPrefix(v, "ssh-") && !strings.Contains(v, "BEGIN CERTIFICATE") &&
			!strings.Contains(v, "PUBLIC KEY") {
			secrets[where] = v
		}
	}
}
