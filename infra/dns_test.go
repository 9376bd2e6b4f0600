package infra

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func (w *external) records() map[string]string {
	found := map[string]string{}
	for _, r := range w.all("Record") {
		found[r.at("name").StringValue()] = r.at("zoneId").StringValue() + " " + r.at("type").StringValue() + " " +
			r.at("records").ArrayValue()[0].StringValue()
	}
	return found
}

func TestWithoutADomain(t *testing.T) {
	w := deploy(t, "dev", nil)
	want := map[string]string{"api.dev.internal": "zone-private A private-ip-of-master"}
	if got := w.records(); !maps.Equal(got, want) {
		t.Errorf("records %v, want %v", got, want)
	}
	if w.infra.CertificateARN != nil || w.infra.ZoneID != nil || len(w.all("Certificate")) > 0 {
		t.Error("a certificate without a domain")
	}
	if got := len(w.infra.APIRecords); got != 1 {
		t.Errorf("%d records to wait for", got)
	}
}

func TestWithADomain(t *testing.T) {
	w := deploy(t, "dev", settings{
		"dns":    `{"domain":"example.com","ingressHosts":["app.example.com"]}`,
		"addons": acme,
	})
	want := map[string]string{
		"api.dev.internal":       "zone-private A private-ip-of-master",
		"api.example.com":        "zone-of-example.com A elastic-ip-of-master",
		"_x.argocd.example.com":  "zone-of-example.com CNAME _y.argocd.example.com",
		"_x.grafana.example.com": "zone-of-example.com CNAME _y.grafana.example.com",
		"_x.app.example.com":     "zone-of-example.com CNAME _y.app.example.com",
	}
	if got := w.records(); !maps.Equal(got, want) {
		t.Errorf("records %v, want %v", got, want)
	}
	if got := await[string](t, w.infra.APIPublicEndpoint); got != "api.example.com" {
		t.Errorf("endpoint = %s", got)
	}
	validation := w.one("CertificateValidation", "ingress")
	if got := len(validation.at("validationRecordFqdns").ArrayValue()); got != 3 {
		t.Errorf("%d names validated, want 3", got)
	}
	if got := validation.RegisterRPC.GetCustomTimeouts().GetCreate(); got != certificateTimeout {
		t.Errorf("validation may take %q", got)
	}
	if got := len(w.infra.APIRecords); got != 2 {
		t.Errorf("%d records to wait for, want the private and the public one", got)
	}
}

func TestANewZoneIsNotUsedAsEndpoint(t *testing.T) {
	w := deploy(t, "dev", settings{"dns": `{"domain":"example.com","createZone":true}`, "addons": acme})
	if got := await[string](t, w.infra.APIPublicEndpoint); got != "elastic-ip-of-master" {
		t.Errorf("endpoint = %s, which does not resolve until the zone is delegated", got)
	}
	if got := await[*string](t, w.infra.ZoneID.(pulumi.StringPtrOutput)); got == nil || *got != "zone-public" {
		t.Errorf("zone id = %v", got)
	}
	if _, asked := w.calls["aws:route53/getZone:getZone"]; asked {
		t.Error("the zone that is to be made is looked up")
	}
}

// The API certificate contains every name and address that clients connect to.
func TestCertificateNamesOfTheAPI(t *testing.T) {
	w := deploy(t, "dev", settings{"dns": `{"domain":"example.com"}`, "addons": acme})
	var got []string
	for _, san := range w.infra.APISANs {
		got = append(got, await[string](t, san.ToStringOutput()))
	}
	want := []string{"api.dev.internal", "api.example.com", "elastic-ip-of-master", "private-ip-of-master"}
	if !slices.Equal(got, want) {
		t.Errorf("SANs %v, want %v", got, want)
	}
}

// If an account has two zones with one name, the message must not advise to create a third.
func TestTheZoneOfAnAmbiguousDomain(t *testing.T) {
	for dns, want := range map[string]string{
		`{"domain":"twice.example.com"}`: "two public zones of twice.example.com: say which one " +
			"with dns.zoneId",
		`{"domain":"example.com","zoneId":"Z0123456789ABC"}`: "",
		`{"domain":"other.example.com","zoneId":"Z0123456789ABC"}`: "is the zone of example.com, and dns.domain is " +
			"other.example.com",
		`{"domain":"example.com","zoneId":"ZPRIVATE"}`: "is a private zone",
	} {
		w, err := try(t, "dev", settings{"dns": dns, "addons": acme})
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", dns, err)
			} else if got := w.records()["api.example.com"]; !strings.HasPrefix(got, "Z0123456789ABC ") {
				t.Errorf("%s: the record is in %s", dns, got)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "createZone") {
			t.Errorf("%s: %v, want %q", dns, err, want)
		}
	}
}

// A name and its wildcard share one record in AWS, so they share one resource. The record stays when they are
// removed.
func TestOneResourceForOneValidationRecord(t *testing.T) {
	w := deploy(t, "dev", settings{
		"dns":    `{"domain":"example.com","ingressHosts":["*.app.example.com","app.example.com","*.b.example.com"]}`,
		"addons": acme,
	})
	var validations []string
	for name, r := range w.all("Record") {
		if strings.HasPrefix(name, "validate-") {
			validations = append(validations, name)
			if !r.RegisterRPC.GetRetainOnDelete() {
				t.Errorf("%s is deleted with the stack, and another stack may need it", name)
			}
		}
	}
	slices.Sort(validations)
	want := []string{"validate-app.example.com", "validate-argocd.example.com", "validate-b.example.com",
		"validate-grafana.example.com"}
	if !slices.Equal(validations, want) {
		t.Errorf("validation records %v, want %v", validations, want)
	}
}

// A stack that changes its domain has a record of the API in the state, under the old name.
func TestNamesOfAnotherDomainAreChecked(t *testing.T) {
	for name, refused := range map[string]bool{"": true, "api.old.example.com": true, "api.taken.example.com": false} {
		exists := Exists{VPC: "vpc-1", Account: "123456789012", Records: map[string]string{APIRecord: name}}
		_, err := tryOver(t, "dev", settings{"dns": `{"domain":"taken.example.com"}`, "addons": acme}, exists)
		if got := strings.Contains(fmt.Sprint(err), "has api.taken.example.com (A) in its zone"); got != refused {
			t.Errorf("the state has the record %q: refused %v, want %v: %v", name, got, refused, err)
		}
	}
}
