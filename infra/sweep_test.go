package infra

import (
	"reflect"
	"strings"
	"testing"
)

// The sweep runs between the instances and everything that leftovers would block.
func TestSweepRunsBetweenInstancesAndNetwork(t *testing.T) {
	w := deploy(t, "dev", nil)
	sweep := w.one("Command", "sweep")
	needs := w.needs(sweep)
	for urn, r := range w.resources {
		below := strings.Contains(urn, "infra:Network$") || strings.Contains(urn, "infra:Firewall$")
		if strings.HasSuffix(r.TypeToken, ":VpcEndpoint") {
			below = false // takes longer than the rest, and every instance would wait for it
		}
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
	want := "go run ./sweep --cluster blue --region eu-central-1 --account 123456789012 --vpc vpc-id --volumes keep --receipt receipt-prod.json"
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

// On destroy the sweep has the identity of the provider. The external id is in no command line.
func TestSweepActsAsTheProvider(t *testing.T) {
	w := deploy(t, "dev", settings{
		"aws:profile": "ci", "aws:allowedAccountIds": `["123456789012"]`,
		"aws:assumeRole": `{"roleArn":"arn:aws:iam::123456789012:role/deploy","sessionName":"ci","externalId":"abc","duration":"2h"}`,
	})
	sweep := w.one("Command", "sweep")
	if command := sweep.at("delete").StringValue(); strings.Contains(command, "abc") {
		t.Errorf("the external id is in the command %s", command)
	}
	got := sweep.at("environment").ObjectValue().Mappable()
	want := map[string]any{
		"AWS_REGION": "eu-central-1", "SWEEP_PROFILE": "ci", "SWEEP_ALLOWED_ACCOUNTS": "123456789012",
		"SWEEP_ROLE_ARN": "arn:aws:iam::123456789012:role/deploy", "SWEEP_ROLE_SESSION_NAME": "ci",
		"SWEEP_ROLE_EXTERNAL_ID": "abc", "SWEEP_ROLE_DURATION": "2h",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("environment %v\nwant        %v", got, want)
	}
}

// The sweep looks for users' records only in a zone that outlives the stack.
func TestSweepLooksIntoTheZoneThatStays(t *testing.T) {
	for create, want := range map[string]bool{"false": true, "true": false} {
		w := deploy(t, "dev", settings{
			"dns": `{"domain":"example.com","createZone":` + create + `}`, "addons": `{"acme":{"email":"a@example.com"}}`,
		})
		command := w.one("Command", "sweep").at("delete").StringValue()
		if got := strings.Contains(command, " --zone zone-of-example.com"); got != want {
			t.Errorf("createZone %s: the sweep is given a zone: %v, want %v: %s", create, got, want, command)
		}
	}
}
