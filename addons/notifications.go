package addons

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// alertmanagerSecret holds the configuration of Alertmanager. All of it is secret, because it contains the receiver's
// address: the operator does not accept an address in a file for some receivers, such as Discord.
const alertmanagerSecret = "alertmanager-config"

// alertmanagerConfiguration creates the Secret with the configuration of Alertmanager if there is a receiver.
// Otherwise it returns nil, and the chart's own configuration sends alerts nowhere. own are the user's values for the
// configuration.
func (m monitoring) alertmanagerConfiguration(own map[string]any, definitions pulumi.Resource) pulumi.Resource {
	n := m.cfg.Notifications
	if n.Receiver == "" {
		return nil
	}
	name := config.NotificationsURL
	if n.Receiver == config.Email {
		name = config.NotificationsPassword
	}
	secret, ok := m.given(name)
	if !ok {
		// A mail server without login. Validation refuses every other case.
		secret = pulumi.ToSecret(pulumi.String("")).(pulumi.StringOutput)
	}
	text := secret.ApplyT(func(secret string) (string, error) {
		text, err := json.MarshalIndent(alertmanagerConfig(m.cfg, secret).Merge(own), "", "  ")
		if err != nil {
			return "", fmt.Errorf("configuration of Alertmanager: %w", err)
		}
		return string(text), nil
	}).(pulumi.StringOutput)
	return m.secret(alertmanagerSecret, secretArgs{
		namespace: "monitoring", data: map[string]pulumi.StringInput{"alertmanager.yaml": text},
	}, needs(definitions))
}

// alertmanagerConfig returns the configuration of Alertmanager with one receiver. secret is its address or password.
func alertmanagerConfig(cfg *config.Config, secret string) kube.Values {
	const nowhere = "null"
	return kube.Values{
		"route": kube.Values{
			"receiver":        "notifications",
			"group_by":        []string{"alertname", "namespace"},
			"group_wait":      "30s",
			"group_interval":  "5m",
			"repeat_interval": "12h",
			"routes": []kube.Values{
				// Watchdog always fires. The others exist to suppress further alerts, or to be looked up.
				{"receiver": nowhere, "matchers": []string{`alertname =~ "Watchdog|InfoInhibitor"`}},
				{"receiver": nowhere, "matchers": []string{`severity =~ "info|none"`}},
				{"receiver": "notifications", "matchers": []string{`severity = "critical"`}, "repeat_interval": "4h"},
			},
		},
		// An alert that follows from a more severe one with the same name and place is not sent.
		"inhibit_rules": []kube.Values{{
			"source_matchers": []string{`severity = "critical"`},
			"target_matchers": []string{`severity = "warning"`},
			"equal":           []string{"namespace", "alertname"},
		}},
		"receivers": []kube.Values{{"name": nowhere}, receiver(cfg, secret)},
	}
}

// receiver returns the receiver of the settings in Alertmanager's form.
func receiver(cfg *config.Config, secret string) kube.Values {
	title := fmt.Sprintf("[%s] {{ .Status | toUpper }}: {{ .CommonLabels.alertname }}", cfg.Cluster.Name)
	const text = "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\n" +
		"since {{ .StartsAt.UTC.Format \"2006-01-02 15:04 MST\" }}\n{{ end }}"
	args := kube.Values{"send_resolved": true}
	n, kind := cfg.Notifications, cfg.Notifications.Receiver
	switch kind {
	case config.Slack:
		args = args.Merge(kube.Values{"api_url": secret, "title": title, "text": text})
	case config.Discord:
		args = args.Merge(kube.Values{"webhook_url": secret, "title": title, "message": text})
	case config.Webhook:
		args = args.Merge(kube.Values{"url": secret})
	case config.Email:
		args = args.Merge(kube.Values{
			"to": n.Email.To, "from": n.Email.From, "smarthost": n.Email.Server,
			"headers": kube.Values{"Subject": title}, "text": text,
		})
		if n.Email.Username != "" {
			args = args.Merge(kube.Values{"auth_username": n.Email.Username, "auth_password": secret})
		}
	}
	return kube.Values{"name": "notifications", kind + "_configs": []kube.Values{args}}
}
