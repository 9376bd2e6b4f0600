package infra

import (
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	w := deploy(t, "dev", nil)
	if got, want := len(w.all("PrivateKey")), 1+len(w.cfg.Nodes); got != want {
		t.Errorf("%d keys, want %d: one for users and one for each host", got, want)
	}
	for name, k := range w.all("PrivateKey") {
		// User data and the pinned key use ed25519.
		if got := k.at("algorithm").StringValue(); got != "ED25519" {
			t.Errorf("%s is an %s key", name, got)
		}
	}
	if got := w.one("KeyPair", "dev-ssh").at("publicKey").StringValue(); got != "ssh-ed25519 ssh-user" {
		t.Errorf("key pair %q", got)
	}
}

func TestEveryHostHasItsOwnKey(t *testing.T) {
	w := deploy(t, "dev", nil)
	for name, r := range w.all("Instance") {
		data := r.at("userData").SecretValue().Element.StringValue()
		for other := range w.all("Instance") {
			if has := strings.Contains(data, "private key of ssh-host-"+other+`"`); has != (name == other) {
				t.Errorf("%s is given the host key of %s: %v", name, other, has)
			}
		}
	}
}

// A resource without the explicit provider would use the region and account of the engine's environment.
func TestProvidersAreExplicit(t *testing.T) {
	w := deploy(t, "dev", settings{"dns": `{"domain":"example.com"}`, "addons": acme})
	for urn, r := range w.resources {
		if r.Custom && !strings.HasPrefix(r.TypeToken, "pulumi:providers:") && !strings.HasPrefix(r.TypeToken, "test:") &&
			r.Provider == "" {
			t.Errorf("%s has the default provider", urn)
		}
	}
}
