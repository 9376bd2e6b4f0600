package chartvalues

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

func TestMisspeltKeysAreFound(t *testing.T) {
	keys := Keys{"grafana/resources/**": true, "grafana/admin/userKey": true, "replicas": true}
	got := keys.Unknown(map[string]any{
		"replica": 1, "replicas": 2,
		"grafana": map[string]any{"resources": map[string]any{"any": 1}, "admin": map[string]any{"user": "x"},
			"adminn": true},
	})
	want := []string{"grafana/admin/user", "grafana/adminn", "replica"}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	if got := keys.Unknown(map[string]any{"grafana": nil}); len(got) > 0 {
		t.Errorf("taking a whole branch out is refused: %v", got)
	}
}

func TestUserValuesThatNoChartKnowsAreWarnedOf(t *testing.T) {
	cfg, err := config.LoadFile("dev", "../..")
	if err != nil {
		t.Fatal(err)
	}
	if clean, err := Misspelt(cfg); err != nil || len(clean) > 0 {
		t.Errorf("without values of the user: %v, %v", clean, err)
	}
	cfg.Addons.Redis.Values = map[string]any{"replica": map[string]any{"enabeld": true}}
	cfg.Addons.Logging.Values = map[string]any{"loki": map[string]any{"singleBinary": map[string]any{"replicas": 1}},
		"fluentbit": map[string]any{}}
	found, err := Misspelt(cfg)
	if err != nil {
		t.Fatal(err)
	}
	warnings := strings.Join(found, "\n")
	for _, want := range []string{
		"addons.redis.values: chart valkey 0.11.0 has no value replica.enabeld, so Helm would ignore it.",
		"addons.logging.values: has no part fluentbit; there are: fluentBit, loki.",
	} {
		if !strings.Contains(warnings, want) {
			t.Errorf("not warned of: %s\ngot: %s", want, warnings)
		}
	}
	if strings.Contains(warnings, "singleBinary") {
		t.Errorf("warned of a value that the chart has: %s", warnings)
	}
}
