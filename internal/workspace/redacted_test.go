package workspace

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/testenv"
)

// made is a state whose password is a setting and reaches a resource. Pulumi encrypts it at the import.
const made = `{"version":3,"deployment":{"manifest":{"time":"2026-01-02T03:04:05Z","magic":"","version":""},"resources":[
{"urn":"urn:pulumi:dev::kubeadm-aws::pulumi:pulumi:Stack::kubeadm-aws-dev","custom":false,"type":"pulumi:pulumi:Stack",
"outputs":{"url":{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","plaintext":"\"https://me:given-argocd@x\""}}}],
"secrets_providers":{"type":"passphrase","state":{"salt":"SALT"}}}}`

// The real CLI keeps a stack and its copy in a bucket (moto). The copy opens without the passphrase of the stack, and
// neither it nor the settings of its preview have a secret.
func TestTheCopyInABucketHasNoSecrets(t *testing.T) {
	b := newBucketStack(t)
	b.pulumi("config", "set", "--secret", "--path", "kubeadm-aws:addons.argocd.password", "given-argocd")
	b.pulumi("config", "set", "--secret", "--path", "kubeadm-aws:notifications.slack", "https://hooks.example.com/given-hook")
	b.pulumi("config", "set", "--path", "kubeadm-aws:addons.argocd.repo", "plain")
	salt := regexp.MustCompile(`encryptionsalt: (\S+)`).FindStringSubmatch(b.read("Pulumi.dev.yaml"))
	b.importState(strings.Replace(made, "SALT", salt[1], 1))

	if _, err := b.open(true); err == nil || !strings.Contains(err.Error(), "there is no stack dev without secrets yet") {
		t.Errorf("without a copy the error is %v", err)
	}
	w, err := b.open(false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 2 { // The second one replaces the first.
		if at, err := w.PublishRedacted(t.Context()); err != nil || !strings.HasPrefix(at, "s3://states/redacted?") {
			t.Fatalf("published to %q: %v", at, err)
		}
	}

	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "another passphrase")
	t.Setenv("PULUMI_BACKEND_URL", strings.Replace(os.Getenv("PULUMI_BACKEND_URL"), "states?", "states/redacted?", 1))
	c, err := b.open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exported, err := c.Pulumi(t.Context(), "stack", "export", "--show-secrets")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(c.Dir, "Pulumi.dev.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	tags, err := c.Pulumi(t.Context(), "stack", "tag", "ls", "--json")
	if err != nil {
		t.Fatal(err)
	}
	decrypted, err := c.Pulumi(t.Context(), "config", "--show-secrets", "--json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"state": exported, "settings": string(settings), "decrypted settings": decrypted, "tags": tags,
	} {
		for _, secret := range []string{"given-argocd", "given-hook"} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s of the copy have %q:\n%s", name, secret, text)
			}
		}
	}
	if stands := "https://me:redacted-kubeadm-aws-addons-argocd-password@x"; !strings.Contains(exported, stands) {
		t.Errorf("the copy has no %s:\n%s", stands, exported)
	}
	for _, setting := range []string{
		`"redacted-kubeadm-aws-addons-argocd-password"`, `"plain"`,
		`"https://redacted.invalid/redacted-kubeadm-aws-notifications-slack"`,
	} {
		if !strings.Contains(decrypted, setting) || setting != `"plain"` && strings.Contains(string(settings), setting) {
			t.Errorf("the settings of the preview have %q in plain text, or not at all:\n%s\n%s", setting, settings, decrypted)
		}
	}
}

// After a rollback the state has the secret of another commit, which the settings do not have. The history has it. A
// key keeps its form, because the program refuses another in a preview.
func TestTheCopyHasNoSecretsOfEarlierSettings(t *testing.T) {
	b := newBucketStack(t)
	b.pulumi("config", "set", "--secret", "kubeadm-aws:argocdWebhookSecret", "OLD-webhook-secret")
	b.pulumi("config", "set", "--secret", "--path", "kubeadm-aws:mirrors.registries.quay.password", "OLD-password")
	w, err := b.open(false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	engine, err := auto.SelectStackLocalSource(t.Context(), "dev", b.project, auto.Pulumi(w.CLI),
		auto.Program(func(ctx *pulumi.Context) error {
			ctx.Export("key", pulumi.ToSecret("given-key"))
			ctx.Export("both", pulumi.ToSecret("given-token of OLD-webhook-secret and OLD-password, at quay"))
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	b.pulumi("config", "set", "--path", "kubeadm-aws:mirrors.registries.quay.username", "quay")
	b.pulumi("config", "set", "--secret", "kubeadm-aws:argocdRepositoryToken", "given-token")
	if _, err := engine.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.pulumi("config", "set", "--secret", "kubeadm-aws:argocdWebhookSecret", "NEW-webhook-secret")
	b.pulumi("config", "rm", "kubeadm-aws:mirrors")
	b.pulumi("config", "set", "--secret", "kubeadm-aws:argocdRepositoryKey", "given-key")
	if _, err := w.PublishRedacted(t.Context()); err != nil {
		t.Fatal(err)
	}

	c, err := b.open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outputs, err := c.Outputs(t.Context())
	const want = "redacted-kubeadm-aws-argocdRepositoryToken of redacted-kubeadm-aws-argocdWebhookSecret and " +
		"redacted-kubeadm-aws-mirrors-registries-quay-password, at quay"
	if err != nil || outputs["both"].Value != want {
		t.Errorf("the copy has %v, want %s: %v", outputs["both"].Value, want, err)
	}
	key, err := c.Pulumi(t.Context(), "config", "get", "kubeadm-aws:argocdRepositoryKey")
	if err != nil || !strings.Contains(key, "BEGIN PRIVATE KEY") || strings.TrimSpace(key) !=
		strings.TrimSpace(fmt.Sprint(outputs["key"].Value)) {
		t.Errorf("the key of the preview: %v\n%s, and in the state\n%s", err, key, outputs["key"].Value)
	}
}

func TestRedactedBackend(t *testing.T) {
	dir := t.TempDir()
	for backend, want := range map[string]string{
		"s3://b?region=r": "s3://b/redacted?region=r", "s3://b/redacted?region=r": "s3://b/redacted?region=r",
		"file://" + dir: "file://" + dir + "/redacted", "https://api.pulumi.com": "", "": "",
	} {
		if got, err := redactedBackend(backend); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", backend, got, err)
		}
	}
}

// bucketStack is a stack dev whose state is in a bucket of moto.
type bucketStack struct {
	*testing.T
	cli, project string
	// bucket is the URL of the bucket.
	bucket string
}

func newBucketStack(t *testing.T) bucketStack {
	t.Helper()
	b := bucketStack{T: t, cli: testenv.NeedPulumi(t), bucket: testenv.StartMoto(t) + "/states", project: t.TempDir()}
	send(t, http.MethodPut, b.bucket)
	write(t, filepath.Join(b.project, "Pulumi.yaml"), "name: kubeadm-aws\nruntime: go\n")
	t.Setenv("PULUMI", b.cli)
	t.Setenv("PULUMI_BACKEND_URL", "s3://states?region=eu-central-1&s3ForcePathStyle=true")
	t.Setenv("PULUMI_HOME", t.TempDir())
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "test")
	b.pulumi("stack", "init", "dev")
	return b
}

func (b bucketStack) pulumi(args ...string) string {
	b.Helper()
	cmd := exec.Command(b.cli, args...)
	cmd.Dir = b.project
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("pulumi %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (b bucketStack) importState(text string) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "state.json")
	write(b.T, file, text)
	b.pulumi("stack", "import", "--file", file)
}

func (b bucketStack) read(name string) string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(b.project, name))
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// open opens the stack as the driver does for AWS.
func (b bucketStack) open(redacted bool) (*Workspace, error) {
	b.Helper()
	found, err := FindCLI(b.Context(), b.project)
	if err != nil {
		b.Fatal(err)
	}
	return Open(b.Context(), Options{
		Subject: report.Subject{Command: "preview", Stack: "dev", Cloud: report.CloudAWS}, Project: b.project, CLI: found,
		Log: &report.Log{To: report.JSON{Out: io.Discard}, Now: time.Now}, Redacted: redacted,
	})
}
