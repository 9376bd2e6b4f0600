package addons

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/crypto/bcrypt"

	"kubeadm-aws/config"
)

var given = map[string]string{
	"grafanaPassword": "given-grafana", "argocdPassword": "given-argocd", "rabbitmqPassword": "given-rabbitmq",
	"redisPassword": "given-redis", "postgresqlPassword": "given-postgresql",
}

// readable returns every string of inputs that is not marked as a secret.
func readable(value resource.PropertyValue, into *[]string) {
	switch {
	case value.IsSecret():
	case value.IsOutput():
		if !value.OutputValue().Secret {
			readable(value.OutputValue().Element, into)
		}
	case value.IsArray():
		for _, item := range value.ArrayValue() {
			readable(item, into)
		}
	case value.IsObject():
		for _, item := range value.ObjectValue() {
			readable(item, into)
		}
	case value.IsString():
		*into = append(*into, value.StringValue())
	}
}

func TestNoPasswordOrKeyIsReadable(t *testing.T) {
	for name, secrets := range map[string]map[string]string{"given": given, "generated": nil} {
		t.Run(name, func(t *testing.T) {
			var hidden []string
			for _, service := range []string{"grafana", "argocd", "rabbitmq", "redis", "postgresql"} {
				hidden = append(hidden, "given-"+service, "generated-"+service+"-password")
			}
			for _, plain := range hidden {
				hidden = append(hidden, base64.StdEncoding.EncodeToString([]byte(plain)))
			}
			hidden = append(hidden, "service-key/privateKeyPem", "$2a$10$")
			for _, entry := range install(t, secrets, everything).resources {
				if !strings.HasPrefix(entry.kind, "kubernetes:") {
					continue
				}
				var texts []string
				readable(resource.NewProperty(entry.inputs), &texts)
				for _, text := range texts {
					for _, secret := range hidden {
						if strings.Contains(text, secret) {
							t.Errorf("%s shows %s", entry.name, secret)
						}
					}
				}
			}
		})
	}
}

// People paste the values of a release. So only a key that no chart accepts by reference may be in them.
func TestPasswordsAreNotPartOfHelmValues(t *testing.T) {
	for name, release := range install(t, given, everything).releases() {
		for path := range secretPaths("", release.inputs["values"]) {
			if name != "aws-load-balancer-controller" || path != "/webhookTLS/key" {
				t.Errorf("%s: value %s is secret", name, path)
			}
		}
	}
}

func secretPaths(path string, value resource.PropertyValue) map[string]bool {
	found := map[string]bool{}
	switch {
	case value.IsSecret(), value.IsOutput() && value.OutputValue().Secret:
		found[path] = true
	case value.IsObject():
		for key, item := range value.ObjectValue() {
			for below := range secretPaths(path+"/"+string(key), item) {
				found[below] = true
			}
		}
	}
	return found
}

func secretData(t *testing.T, r *recorder, name, key string) string {
	t.Helper()
	value := r.find(t, name).inputs["data"].ObjectValue()[resource.PropertyKey(key)]
	for value.IsSecret() || value.IsOutput() {
		if value.IsSecret() {
			value = value.SecretValue().Element
		} else {
			value = value.OutputValue().Element
		}
	}
	plain, err := base64.StdEncoding.DecodeString(value.StringValue())
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestGivenPasswordsAreUsedAndOthersGenerated(t *testing.T) {
	places := map[string][2]string{
		"grafana": {"secret-grafana-admin", "admin-password"}, "rabbitmq": {"secret-rabbitmq-credentials", "password"},
		"redis": {"secret-valkey-users", "default"}, "postgresql": {"secret-postgresql-app", "password"},
	}
	own, generated := install(t, given, everything), install(t, nil, everything)
	for service, at := range places {
		if got := secretData(t, own, at[0], at[1]); got != "given-"+service {
			t.Errorf("%s: the given password is lost: %q", service, got)
		}
		if own.has(service + "-password") {
			t.Errorf("%s: a password is generated in addition to the given one", service)
		}
		if got := secretData(t, generated, at[0], at[1]); got != "generated-"+service+"-password" {
			t.Errorf("%s: the generated password is lost: %q", service, got)
		}
	}
	config := secretData(t, own, "secret-rabbitmq-credentials", "default_user.conf")
	if config != "default_user = platform\ndefault_pass = given-rabbitmq\n" {
		t.Errorf("RabbitMQ reads %q", config)
	}
}

func TestHashOfArgoCDsPasswordIsRightAndStable(t *testing.T) {
	hash := secretData(t, install(t, given, nil), "secret-argocd-secret", "admin.password")
	if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("given-argocd")); err != nil {
		t.Errorf("%s is not the hash of the password: %v", hash, err)
	}
	if again := secretData(t, install(t, given, nil), "secret-argocd-secret", "admin.password"); again != hash {
		t.Errorf("the hash changes between runs: %s, then %s", hash, again)
	}
}

// The fields are those of a repository's Secret, as Argo CD reads them (util/db/repository_secrets.go).
func TestArgoCDGetsTheCredentialsOfTheRepository(t *testing.T) {
	const url, key = "https://git.example.com/platform.git", "-----BEGIN KEY-----\nabc\n-----END KEY-----"
	for name, c := range map[string]struct{ given, want map[string]string }{
		"deploy key": {map[string]string{config.RepositoryKey: key}, map[string]string{"sshPrivateKey": key + "\n"}},
		"token": {map[string]string{config.RepositoryToken: "t0ken"},
			map[string]string{"username": "robot", "password": "t0ken"}},
		"App": {map[string]string{config.RepositoryAppKey: key}, map[string]string{
			"githubAppPrivateKey": key + "\n", "githubAppID": "17", "githubAppInstallationID": "4",
			"githubAppEnterpriseBaseUrl": "https://git.example.com/api/v3",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := install(t, c.given, func(cfg *config.Config) {
				everything(cfg)
				cfg.Addons.ArgoCD.RepoUsername = "robot"
				cfg.Addons.ArgoCD.GitHubApp = config.GitHubApp{ID: 17, InstallationID: 4}
			})
			c.want["type"], c.want["url"] = "git", url
			for field, want := range c.want {
				if got := secretData(t, r, "secret-repository", field); got != want {
					t.Errorf("%s is %q, want %q", field, got, want)
				}
			}
			inputs := plainMap(r.find(t, "secret-repository").inputs)
			if got := len(inputs["data"].(map[string]any)); got != len(c.want) {
				t.Errorf("%d fields, want %d", got, len(c.want))
			}
			labels := inputs["metadata"].(map[string]any)["labels"].(map[string]any)
			if labels["argocd.argoproj.io/secret-type"] != "repository" {
				t.Errorf("Argo CD does not look at a Secret with the labels %v", labels)
			}
			if !r.outlives("secret-repository", "release-gate-applications") {
				t.Error("the credentials can be deleted before the Applications")
			}
			for _, entry := range r.resources {
				var texts []string
				readable(resource.NewProperty(entry.inputs), &texts)
				for _, text := range texts {
					encoded := base64.StdEncoding.EncodeToString([]byte(key + "\n"))
					if strings.Contains(text, "BEGIN KEY") || strings.Contains(text, encoded) || strings.Contains(text, "t0ken") {
						t.Errorf("%s shows the credential", entry.name)
					}
				}
			}
		})
	}
	if install(t, nil, everything).has("secret-repository") {
		t.Error("a public repository has a Secret")
	}
}

func TestArgoCDKnowsTheWebhookAndTheHost(t *testing.T) {
	r := install(t, map[string]string{config.WebhookSecret: "0123456789abcdef"}, func(cfg *config.Config) {
		everything(cfg)
		cfg.Addons.ArgoCD.KnownHosts = []string{"a.example.com ssh-ed25519 AAAA", "b.example.com ssh-rsa BBBB"}
	})
	if got := secretData(t, r, "secret-argocd-secret", "webhook.github.secret"); got != "0123456789abcdef" {
		t.Errorf("the secret of the webhook is %q", got)
	}
	hosts := valuesOf(r.find(t, "argo-cd"))["configs"].(map[string]any)["ssh"].(map[string]any)["extraHosts"]
	if hosts != "a.example.com ssh-ed25519 AAAA\nb.example.com ssh-rsa BBBB\n" {
		t.Errorf("the known hosts are %q", hosts)
	}
}

// Argo CD refuses the administrator's sessions that are older than the change of the password.
func TestSessionsOfArgoCDEndWithTheirPassword(t *testing.T) {
	keeper := func(password string) string {
		r := install(t, map[string]string{"argocdPassword": password}, nil)
		if got := secretData(t, r, "secret-argocd-secret", "admin.passwordMtime"); got != "2026-03-01T12:00:00Z" {
			t.Errorf("the time of the password is %s, want the time in the UUID", got)
		}
		keepers := r.find(t, "argocd-password-changed").inputs["keepers"]
		var texts []string
		if readable(keepers, &texts); len(texts) > 0 {
			t.Errorf("the hash of the password is readable: %v", texts)
		}
		return fmt.Sprint(keepers)
	}
	if first := keeper("first-password"); first != keeper("first-password") || first == keeper("second-password") {
		t.Error("the time does not change with the password, and with nothing else")
	}
}

func TestTimeOfUUID(t *testing.T) {
	for _, wrong := range []string{"", "none", "019ca945-0a00-7000-8000-00000000000",
		"zzzca945-0a00-7000-8000-000000000000"} {
		if got, err := timeOfUUID(wrong); err == nil {
			t.Errorf("%q is of %s", wrong, got)
		}
	}
}

func TestTheAPIOfAGitHubServer(t *testing.T) {
	for repository, want := range map[string]string{
		"https://github.com/a/b.git":      "",
		"https://github.com:443/a/b.git":  "",
		"https://git.example.com/a/b.git": "https://git.example.com/api/v3",
		"https://acme.ghe.com/a/b.git":    "https://api.acme.ghe.com",
	} {
		if got := githubAPI(repository); got != want {
			t.Errorf("%s: %q, want %q", repository, got, want)
		}
	}
}
