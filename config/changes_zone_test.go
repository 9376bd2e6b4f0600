package config

import (
	"strings"
	"testing"
)

// TestTheZoneOfARunningStackStays refuses changes that delete a zone with all its records, or that move the records to
// a zone that no one asks.
func TestTheZoneOfARunningStackStays(t *testing.T) {
	const own, found = "dns: {domain: a.example.com, createZone: true}", "dns: {domain: a.example.com}"
	const email = "\naddons: {acme: {email: a@a.example.com}}"
	created := Made{"dns.domain": "a.example.com", "dns.createZone": true}
	foundThere := Made{"dns.domain": "a.example.com", "dns.createZone": false}
	for _, c := range []struct {
		name     string
		made     Made
		settings string
		key      string
	}{
		{"the same", created, own, ""},
		{"not created any more", created, found, "dns.createZone"},
		{"another domain", created, "dns: {domain: b.example.com, createZone: true}", "dns.domain"},
		{"no domain", created, "dns: {}", "dns.domain"},
		{"a zone that is there", foundThere, found, ""},
		{"a second zone", foundThere, own, "dns.createZone"},
		{"another domain of a zone that is there", foundThere, "dns: {domain: b.example.com}", ""},
		{"a zone for another domain", foundThere, "dns: {domain: b.example.com, createZone: true}", ""},
		{"a new stack", Made{}, own, ""},
	} {
		cfg, err := loadText(t, "dev", c.settings+email)
		if err != nil {
			t.Fatal(err)
		}
		changes, _ := cfg.RefuseChanges(c.made).(Changes)
		switch {
		case c.key == "" && len(changes) > 0:
			t.Errorf("%s: %v", c.name, changes)
		case c.key != "" && (len(changes) != 1 || changes[0].Key != Namespace+":"+c.key ||
			!strings.Contains(changes.Error(), " on the running stack: ")):
			t.Errorf("%s: want a refusal of %s, got %v", c.name, c.key, changes)
		}
	}
}
