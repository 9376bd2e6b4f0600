package infra

import (
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func (w *external) urnOf(r pulumi.Resource) string {
	w.t.Helper()
	return string(await[pulumi.URN](w.t, r.URN()))
}

// Everything that controllers in the cluster need to clean up must exist until the controllers are deleted.
func TestWhatOutlivesTheAddons(t *testing.T) {
	w := deploy(t, "staging", settings{"environment": "staging"})
	var kept []string
	for _, r := range w.infra.DependsOn {
		kept = append(kept, w.urnOf(r))
	}
	need := []registered{w.one("Record", "api-private"), w.one("EipAssociation", "master")}
	for name, r := range w.all("RolePolicy") {
		if name != "worker-images" {
			need = append(need, r)
		}
	}
	for _, r := range w.all("Instance") {
		need = append(need, r)
	}
	for _, r := range need {
		if !slices.Contains(kept, urn(r.MockResourceArgs)) {
			t.Errorf("%s may be deleted while controllers still work", r)
		}
	}
	// Routes and rules follow indirectly, because instances depend on them.
	below := map[string]bool{}
	for _, r := range w.all("Instance") {
		for u := range w.needs(r) {
			below[u] = true
		}
	}
	for _, kind := range []string{"Route", "RouteTableAssociation", "SecurityGroupIngressRule", "SecurityGroupEgressRule",
		"InternetGateway"} {
		for _, r := range w.all(kind) {
			if !below[urn(r.MockResourceArgs)] {
				t.Errorf("%s is deleted while the instances run", r)
			}
		}
	}
}

// The authorities identify a running control plane. After an interrupted destroy the next up needs them.
func TestTheClusterIdentityOutlivesTheInstances(t *testing.T) {
	w := deploy(t, "dev", nil)
	authority := urn(w.one("Authority", "authority").MockResourceArgs)
	for name, r := range w.all("Instance") {
		if !w.needs(r)[authority] {
			t.Errorf("the authorities may be deleted while %s runs", name)
		}
	}
}

func TestControlPlaneNeedsItsAddressAndPolicies(t *testing.T) {
	w := deploy(t, "dev", nil)
	for _, n := range w.infra.Nodes {
		var needs []string
		for _, r := range n.DependsOn {
			needs = append(needs, w.urnOf(r))
		}
		if n.Role != "control-plane" {
			if len(needs) > 0 {
				t.Errorf("%s waits for %v", n.Name, needs)
			}
			continue
		}
		for _, r := range []registered{w.one("EipAssociation", n.Name), w.one("RolePolicy", "control-plane-backups")} {
			if !slices.Contains(needs, urn(r.MockResourceArgs)) {
				t.Errorf("%s does not wait for %s", n.Name, r)
			}
		}
	}
}

// Route53 needs half a minute for the API's names. Booting and preparing a host must not wait for them.
func TestBootWaitsForNoName(t *testing.T) {
	w := deploy(t, "dev", settings{"dns": `{"domain":"example.com"}`, "addons": acme})
	for _, n := range w.infra.Nodes {
		for _, r := range append([]pulumi.Resource{n.Instance}, n.DependsOn...) {
			u := w.urnOf(r)
			needs := w.needs(w.resources[u])
			for _, kind := range []string{"Record", "Zone", "Certificate", "CertificateValidation"} {
				for _, dns := range w.all(kind) {
					if d := urn(dns.MockResourceArgs); d == u || needs[d] {
						t.Errorf("%s waits for %s", u, dns)
					}
				}
			}
		}
	}
}
