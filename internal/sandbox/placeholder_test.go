package sandbox

import (
	"testing"

	"kubeadm-aws/config"
)

// The program accepts the text that stands for each of its secrets.
func TestPlaceholdersAreAccepted(t *testing.T) {
	const ssh = `{"argocd":{"repoUrl":"git@github.com:a/b.git"}}`
	const https = `{"acme":{"email":"a@example.com"},"argocd":{"repoUrl":"https://github.com/a/b.git"}}`
	needs := map[string]map[string]string{
		config.RepositoryKey:    {"addons": ssh},
		config.RepositoryAppKey: {"addons": `{"argocd":{"repoUrl":"https://github.com/a/b.git","githubApp":{"id":1}}}`},
		config.RepositoryToken:  {"addons": https},
		config.WebhookSecret:    {"addons": https, "dns": `{"domain":"example.com"}`},
		config.NotificationsURL: {"notifications": `{"receiver":"slack"}`},
		config.NotificationsPassword: {"notifications": `{"receiver":"email","email":{"to":"a@example.com",` +
			`"from":"b@example.com","server":"smtp.example.com:587","username":"u"}}`},
	}
	for _, secret := range config.Secrets {
		at := config.Namespace + ":" + secret
		set := map[string]string{
			"aws:region": "eu-central-1", config.Namespace + ":access": `{"adminCidrs":["203.0.113.0/24"]}`,
			at: Placeholder(at, "redacted-kubeadm-aws-"+secret),
		}
		for key, value := range needs[secret] {
			set[config.Namespace+":"+key] = value
		}
		get := func(key string) (string, bool) { text, ok := set[key]; return text, ok }
		if _, err := config.Load("dev", get, nil); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
		if Placeholder(at, "a") == Placeholder(at, "b") {
			t.Errorf("%s: two names have one placeholder", secret)
		}
	}
}
