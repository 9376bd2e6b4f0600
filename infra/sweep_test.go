package infra

import (
	"strings"
	"testing"
)

// The sweep stands between the instances and everything that leftovers would block.
func TestSweepStandsBetweenInstancesAndNetwork(t *testing.T) {
	w := deploy(t, "dev", nil)
	sweep := w.one("Command", "sweep")
	needs := w.needs(sweep)
	for urn, r := range w.resources {
		below := strings.Contains(urn, "infra:Network$") || strings.Contains(urn, "infra:Firewall$")
		if r.Custom && below != needs[urn] {
			t.Errorf("the sweep depends on %s: %v, want %v", r, needs[urn], below)
		}
	}
	for name, instance := range w.all("Instance") {
		if !w.needs(instance)[urn(sweep.MockResourceArgs)] {
			t.Errorf("instance %s would still run while the sweep does", name)
		}
	}
}

func TestSweepCommand(t *testing.T) {
	w := deploy(t, "prod", settings{"environment": "prod", "cluster": `{"name":"blue"}`})
	sweep := w.one("Command", "sweep")
	want := "go run ./sweep --cluster blue --region eu-central-1 --vpc vpc-id --volumes keep --receipt receipt-prod.json"
	if got := sweep.at("delete").StringValue(); got != want {
		t.Errorf("delete = %q\nwant     %q", got, want)
	}
	for _, verb := range []string{"create", "update"} {
		if sweep.at(verb).HasValue() {
			t.Errorf("%s = %v, want nothing", verb, sweep.at(verb))
		}
	}
	if got := sweep.at("environment").ObjectValue(); len(got) != 1 || got["AWS_REGION"].StringValue() != "eu-central-1" {
		t.Errorf("environment = %v", got)
	}
	if sweep.RegisterRPC.GetCustomTimeouts().GetDelete() == "" {
		t.Error("no time limit")
	}
}
