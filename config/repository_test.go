package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Lines of a known_hosts file.
const (
	knownHost = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	knownPort = "[git.example.com]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
)

// deployKey returns a private key, as a quoted text of YAML.
func deployKey(passphrase string) string {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%q", pem.EncodeToMemory(block))
}

// withRepository returns settings with a repository, more settings of Argo CD, and secrets in lines of their own.
func withRepository(url, more string, secrets ...string) string {
	return "addons: {argocd: {repoUrl: '" + url + "'" + more + "}}\n" + strings.Join(secrets, "\n")
}

// onServer returns settings with a repository over SSH that Argo CD does not know.
func onServer(more string) string {
	return withRepository("ssh://git@git.example.com/a/b.git", more, "argocdRepositoryKey: "+deployKey(""))
}

// withApp returns settings with a GitHub App.
func withApp(app string) string {
	return withRepository("https://github.com/a/b.git", ", githubApp: "+app, "argocdRepositoryAppKey: "+deployKey(""))
}

func TestCredentialsOfTheRepository(t *testing.T) {
	const overHTTPS, overSSH = "https://github.com/example/platform.git", "git@github.com:example/platform.git"
	key, token := "argocdRepositoryKey: "+deployKey(""), "argocdRepositoryToken: ghp_0123456789"
	appKey := "argocdRepositoryAppKey: " + deployKey("")
	hook := "argocdWebhookSecret: 0123456789abcdef"
	domain := "dns: {domain: example.org}"
	app := ", githubApp: {id: 1}"
	for name, c := range map[string]struct{ settings, key, reason string }{
		"public":        {settings: withRepository(overHTTPS, "")},
		"key elsewhere": {settings: withRepository(overSSH, "")},
		"deploy key":    {settings: withRepository(overSSH, "", key)},
		"token":         {settings: withRepository(overHTTPS, ", repoUsername: gitlab+deploy-token-1", token)},
		"App":           {settings: withApp("{id: 1, installationId: 2}")},
		"App that asks": {settings: withApp("{id: 1}")},
		"own server":    {settings: onServer(", knownHosts: ['" + knownHost + "']")},
		"own server, own port": {settings: withRepository("ssh://git@git.example.com:2222/a/b.git",
			", knownHosts: ['"+knownPort+"']", key)},
		"GitHub on port 443": {settings: withRepository("ssh://git@ssh.github.com:443/a/b.git", "", key)},
		"webhook":            {settings: withRepository(overHTTPS, "}, acme: {email: ops@example.org", hook, domain)},

		"key over HTTPS":      {withRepository(overHTTPS, "", key), RepositoryKey, "reached over HTTPS"},
		"token over SSH":      {withRepository(overSSH, "", key, token), RepositoryToken, "reached over SSH"},
		"App over SSH":        {withRepository(overSSH, app, key, appKey), RepositoryAppKey, "reached over SSH"},
		"token and App":       {withRepository(overHTTPS, app, appKey, token), RepositoryToken, "one is enough"},
		"key without a use":   {key, RepositoryKey, "no addons.argocd.repoUrl"},
		"App without a use":   {appKey, RepositoryAppKey, "no addons.argocd.repoUrl"},
		"token without a use": {token, RepositoryToken, "no addons.argocd.repoUrl"},
		"App key without App": {withRepository(overHTTPS, "", appKey), "addons.argocd.githubApp.id", "is not set"},
		"App without its key": {withRepository(overHTTPS, app), RepositoryAppKey, "is not set"},

		"public key": {withRepository(overSSH, "", "argocdRepositoryKey: ssh-ed25519 AAAA x"), RepositoryKey,
			"is not a private key"},
		"empty key": {withRepository(overSSH, "", "argocdRepositoryKey: ''"), RepositoryKey, "is not a private key"},
		"key with a passphrase": {withRepository(overSSH, "", "argocdRepositoryKey: "+deployKey("x")), RepositoryKey,
			"passphrase"},
		"App key in one line": {withRepository(overHTTPS, app, "argocdRepositoryAppKey: abc"), RepositoryAppKey,
			"is not a private key"},
		"token with a newline": {withRepository(overHTTPS, "", `argocdRepositoryToken: "a\nb"`), RepositoryToken,
			"without spaces"},

		"webhook out of reach": {withRepository(overHTTPS, "", hook), WebhookSecret, "without dns.domain"},
		"webhook without Git":  {hook, WebhookSecret, "no addons.argocd.repoUrl"},
		"short webhook secret": {withRepository(overHTTPS, "", "argocdWebhookSecret: abc", domain), WebhookSecret,
			"at least 16"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(t, "dev", c.settings)
			if c.key == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if c.key == "" {
				return
			}
			if !slices.ContainsFunc(faultsOf(t, err), func(f FieldError) bool {
				return f.Key == Namespace+":"+c.key && strings.Contains(f.Reason, c.reason) && f.Example != ""
			}) {
				t.Errorf("got %v, want %s: %s", err, c.key, c.reason)
			}
			if strings.Contains(err.Error(), "ghp_") || strings.Contains(err.Error(), "PRIVATE KEY") {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}
