package alerttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/common/model"
)

func load(t *testing.T) map[string]*config.Config {
	t.Helper()
	files, err := filepath.Glob("../testdata/alertmanager/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d configurations, %v", len(files), err)
	}
	loaded := map[string]*config.Config{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// The operator does the same before it passes the configuration on.
		c, err := config.Load(string(text))
		if err != nil {
			t.Fatalf("%s: Alertmanager refuses it: %v", file, err)
		}
		loaded[strings.TrimSuffix(filepath.Base(file), ".yaml")] = c
	}
	return loaded
}

func TestAlertmanagerTakesEveryReceiver(t *testing.T) {
	for name, c := range load(t) {
		r := c.Receivers[1]
		got := map[string]int{"slack": len(r.SlackConfigs), "discord": len(r.DiscordConfigs),
			"webhook": len(r.WebhookConfigs), "email": len(r.EmailConfigs)}
		kind, _, _ := strings.Cut(name, "-")
		for k, n := range got {
			if want := map[bool]int{true: 1}[k == kind]; n != want {
				t.Errorf("%s: %d receivers of kind %s, want %d", name, n, k, want)
			}
		}
	}
}

func TestAlertsGoWhereTheyBelong(t *testing.T) {
	for name, c := range load(t) {
		routes := dispatch.NewRoute(c.Route, nil)
		for _, want := range []struct {
			labels   model.LabelSet
			receiver string
			repeat   time.Duration
		}{
			{model.LabelSet{"alertname": "EtcdBackupTooOld", "severity": "critical"}, "notifications", 4 * time.Hour},
			{model.LabelSet{"alertname": "RedisEvictsKeys", "severity": "warning"}, "notifications", 12 * time.Hour},
			{model.LabelSet{"alertname": "Watchdog", "severity": "none"}, "null", 0},
			{model.LabelSet{"alertname": "CPUThrottlingHigh", "severity": "info"}, "null", 0},
			{model.LabelSet{"alertname": "InfoInhibitor", "severity": "none"}, "null", 0},
			{model.LabelSet{"alertname": "OfAUser"}, "notifications", 12 * time.Hour},
		} {
			matched := routes.Match(want.labels)
			if len(matched) != 1 || matched[0].RouteOpts.Receiver != want.receiver {
				t.Errorf("%s: %s goes to %v", name, want.labels, matched)
				continue
			}
			if got := matched[0].RouteOpts.RepeatInterval; want.repeat != 0 && got != want.repeat {
				t.Errorf("%s: %s is repeated after %s", name, want.labels, got)
			}
		}
	}
}
