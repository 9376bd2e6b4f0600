package addons

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

// receivers are a setting of each kind with its secret.
var receivers = map[string]struct {
	settings config.Notifications
	secrets  map[string]string
}{
	"slack": {config.Notifications{Receiver: config.Slack},
		map[string]string{config.NotificationsURL: "https://hooks.slack.com/services/T0/B0/hidden"}},
	"discord": {config.Notifications{Receiver: config.Discord},
		map[string]string{config.NotificationsURL: "https://discord.com/api/webhooks/1/hidden"}},
	"webhook": {config.Notifications{Receiver: config.Webhook},
		map[string]string{config.NotificationsURL: "http://bridge.apps.svc:8080/alerts?token=hidden"}},
	"email": {config.Notifications{Receiver: config.Email, Email: config.Mail{
		To: "ops@example.com", From: "platform@example.com", Server: "smtp.example.com:587", Username: "platform",
	}}, map[string]string{config.NotificationsPassword: `hidden "$(x)`}},
	"email-without-login": {config.Notifications{Receiver: config.Email, Email: config.Mail{
		To: "ops@example.com", From: "platform@example.com", Server: "10.0.0.9:465",
	}}, nil},
}

// addons/alerttest loads these files with the code of Alertmanager and of its operator.
func TestAlertmanagerConfigurationIsReviewed(t *testing.T) {
	for name, c := range receivers {
		r := install(t, c.secrets, func(cfg *config.Config) { cfg.Notifications = c.settings })
		text := secretData(t, r, "secret-alertmanager-config", "alertmanager.yaml")
		var parsed map[string]any
		if err := json.Unmarshal([]byte(text), &parsed); err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, text)
		}
		golden(t, filepath.Join("testdata", "alertmanager", name+".yaml"), parsed)

		alertmanager := valuesOf(r.find(t, "kube-prometheus-stack"))["alertmanager"].(map[string]any)
		spec := alertmanager["alertmanagerSpec"].(map[string]any)
		if spec["configSecret"] != "alertmanager-config" || spec["useExistingSecret"] != true {
			t.Errorf("%s: Alertmanager reads %v", name, spec["configSecret"])
		}
		if !r.outlives("secret-alertmanager-config", "kube-prometheus-stack") {
			t.Errorf("%s: Alertmanager can start without its configuration", name)
		}
	}
}

func TestTheAddressOfTheReceiverIsNotReadable(t *testing.T) {
	for name, c := range receivers {
		for _, entry := range install(t, c.secrets, func(cfg *config.Config) { cfg.Notifications = c.settings }).resources {
			var texts []string
			for _, value := range entry.inputs {
				readable(value, &texts)
			}
			if strings.Contains(strings.Join(texts, "\n"), "hidden") {
				t.Errorf("%s: %s shows the secret", name, entry.name)
			}
		}
	}
}

func TestOwnRoutesAreLaidOverThoseOfTheProgram(t *testing.T) {
	c := receivers["slack"]
	r := install(t, c.secrets, func(cfg *config.Config) {
		cfg.Notifications = c.settings
		cfg.Addons.Monitoring.Values = map[string]any{"alertmanager": map[string]any{"config": map[string]any{
			"route": map[string]any{"repeat_interval": "1h"},
		}}}
	})
	text := secretData(t, r, "secret-alertmanager-config", "alertmanager.yaml")
	if !strings.Contains(text, `"repeat_interval": "1h"`) || !strings.Contains(text, "hooks.slack.com") {
		t.Errorf("the configuration is\n%s", text)
	}
}

func TestWithoutAReceiverTheChartConfiguresAlertmanager(t *testing.T) {
	r := install(t, nil, everything)
	alertmanager := valuesOf(r.find(t, "kube-prometheus-stack"))["alertmanager"].(map[string]any)
	spec := alertmanager["alertmanagerSpec"].(map[string]any)
	if r.has("secret-alertmanager-config") || spec["configSecret"] != nil {
		t.Errorf("Alertmanager reads %v", spec["configSecret"])
	}
}
