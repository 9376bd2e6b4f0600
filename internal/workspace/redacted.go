package workspace

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"go.yaml.in/yaml/v3"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
)

// redactedFolder is the folder of a backend for copies of the state without secrets. The roles of bootstrap/account
// are for the same folder.
const redactedFolder = "redacted"

// redactedTag is the tag of a copy with the texts that stand for the secrets among the settings. They are by their
// paths, such as "kubeadm-aws:addons.argocd.password", as JSON.
const redactedTag = "kubeadm-aws:redacted"

// redactedPassphrase and redactedSalt encrypt what stands for the secrets in a copy. They keep nothing secret.
const (
	redactedPassphrase = "redacted"
	redactedSalt       = "v1:62eaGuhcuhM=:v1:W7W3tWzkmbZVcJON:C0Qpdi1HfEHwh2nbRRHOdmHjMzVdeg=="
)

// PublishRedacted writes the copy of the state without secrets. Previews of pull requests run on it.
func (w *Workspace) PublishRedacted(ctx context.Context) (location string, err error) {
	known, settings, err := w.secretSettings(ctx)
	if err != nil {
		return "", err
	}
	if err := w.earlierSecrets(ctx, known); err != nil {
		return "", err
	}
	exported, err := w.Pulumi(ctx, "stack", "export", "--show-secrets")
	if err != nil {
		return "", w.Failure(fmt.Errorf("read the state: %w", err), nil)
	}
	st, err := state.Parse([]byte(exported))
	if err != nil {
		return "", err
	}
	if st, err = st.Redact(known); err != nil {
		return "", err
	}
	c, err := w.openCopy(ctx, auto.UpsertStackLocalSource)
	if err != nil {
		return "", err
	}
	defer c.close()
	return c.location, c.write(ctx, st, settings)
}

// useRedacted makes the workspace work on the copy of the state without secrets.
func (w *Workspace) useRedacted(ctx context.Context) error {
	c, err := w.openCopy(ctx, auto.SelectStackLocalSource)
	if auto.IsSelectStack404Error(err) {
		return report.Fail(report.ExitCannotStart, "It is published by `kubeadm-aws redact`, which the pipelines run after each up.",
			"there is no stack %s without secrets yet", w.Stack)
	}
	if err != nil {
		return err
	}
	w.closers = append(w.closers, c.close)
	if err := c.copySettings(ctx); err != nil {
		return err
	}
	w.Engine, w.Dir, w.Location = c.Engine, c.Dir, c.location
	return nil
}

// redactedCopy is a workspace of the copy, in a directory of its own.
type redactedCopy struct {
	Workspace
	location string
}

type openStack func(context.Context, string, string, ...auto.LocalWorkspaceOption) (auto.Stack, error)

// openCopy opens the stack of the copy.
func (w *Workspace) openCopy(ctx context.Context, open openStack) (c *redactedCopy, err error) {
	env := map[string]string{}
	if w.Engine.Workspace() != nil {
		for name, value := range w.Engine.Workspace().GetEnvVars() {
			env[name] = value
		}
	}
	backend := env["PULUMI_BACKEND_URL"]
	if backend == "" {
		backend = os.Getenv("PULUMI_BACKEND_URL")
	}
	if backend, err = redactedBackend(backend); err != nil {
		return nil, err
	}
	env["PULUMI_BACKEND_URL"], env["PULUMI_CONFIG_PASSPHRASE"] = backend, redactedPassphrase
	c = &redactedCopy{Workspace: Workspace{Options: w.Options}, location: backend}
	if c.Dir, err = os.MkdirTemp("", "redacted"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = c.close()
		}
	}()
	project, err := os.ReadFile(filepath.Join(w.Project, "Pulumi.yaml"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "Pulumi.yaml"), project, 0o600); err != nil {
		return nil, err
	}
	if err := c.writeSettings(map[string]any{}); err != nil {
		return nil, err
	}
	c.Engine, err = open(ctx, w.Stack, c.Dir, auto.Program(program), auto.Pulumi(w.CLI), auto.EnvVars(env),
		auto.SecretsProvider("passphrase"))
	return c, err
}

func (c *redactedCopy) close() error { return os.RemoveAll(c.Dir) }

// redactedBackend returns the URL of the folder for the copies of a backend. A backend that is that folder already
// stays as it is: the role of a preview has no other.
func redactedBackend(backend string) (string, error) {
	at, err := url.Parse(backend)
	if err != nil || at.Scheme == "" || at.Scheme == "http" || at.Scheme == "https" {
		return "", report.Fail(report.ExitCannotStart, "Set PULUMI_BACKEND_URL to a bucket or a directory: s3://..., file:///...",
			"the backend %q cannot hold a copy of the state", backend)
	}
	if path.Base(at.Path) != redactedFolder {
		at = at.JoinPath(redactedFolder)
	}
	if at.Scheme == "file" {
		return at.String(), os.MkdirAll(at.Path, 0o700)
	}
	return at.String(), nil
}

// write replaces the copy.
func (c *redactedCopy) write(ctx context.Context, st state.State, settings map[string]string) error {
	salt, err := json.Marshal(map[string]string{"salt": redactedSalt})
	if err != nil {
		return err
	}
	st.SecretsProviders = &apitype.SecretsProvidersV1{Type: "passphrase", State: salt}
	encoded, err := st.Encode()
	if err != nil {
		return err
	}
	if _, err := c.pulumi(ctx, bytes.NewReader(encoded), "stack", "import"); err != nil {
		return c.Failure(err, nil)
	}
	tag, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	if _, err := c.Pulumi(ctx, "stack", "tag", "set", redactedTag, string(tag)); err != nil {
		return c.Failure(err, nil)
	}
	return nil
}

// copySettings writes the settings of the project with the texts that stand for their secrets.
func (c *redactedCopy) copySettings(ctx context.Context) error {
	text, err := c.Pulumi(ctx, "stack", "tag", "get", redactedTag)
	if err != nil {
		return c.Failure(err, nil)
	}
	var known map[string]string
	if err := json.Unmarshal([]byte(text), &known); err != nil {
		return fmt.Errorf("read the tag %s of the copy: %w", redactedTag, err)
	}
	settings, err := readSettings(filepath.Join(c.Project, "Pulumi."+c.Stack+".yaml"))
	if err != nil {
		return err
	}
	err = sandbox.EncryptSettings(ctx, settings, sandbox.Key{Passphrase: redactedPassphrase, Salt: redactedSalt},
		func(at string) string {
			if stands := known[at]; stands != "" {
				return stands
			}
			return redactedSetting(at, "")
		})
	if err != nil {
		return err
	}
	return c.writeSettings(settings)
}

func (c *redactedCopy) writeSettings(settings map[string]any) error {
	text, err := yaml.Marshal(map[string]any{"encryptionsalt": redactedSalt, "config": settings})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Dir, "Pulumi."+c.Stack+".yaml"), text, 0o600)
}

// secretSettings returns the secrets among the settings of the stack with the text that stands for each, and these
// texts by the paths of the settings.
func (w *Workspace) secretSettings(ctx context.Context) (known, byPath map[string]string, err error) {
	text, err := w.Pulumi(ctx, "config", "--json", "--show-secrets")
	if err != nil {
		return nil, nil, w.Failure(err, nil)
	}
	var decrypted map[string]struct {
		Value       string
		ObjectValue any
	}
	if err := json.Unmarshal([]byte(text), &decrypted); err != nil {
		return nil, nil, fmt.Errorf("read the settings: %w", err)
	}
	settings, err := readSettings(filepath.Join(w.Dir, "Pulumi."+w.Stack+".yaml"))
	if err != nil {
		return nil, nil, err
	}
	plain := map[string]string{}
	for key, value := range decrypted {
		plain[key] = value.Value
		sandbox.EachSetting(value.ObjectValue, key, func(at string, value any) (any, bool) {
			plain[at], _ = value.(string)
			return nil, false
		})
	}
	known, byPath = map[string]string{}, map[string]string{}
	sandbox.EachSetting(settings, "", func(at string, value any) (any, bool) {
		if sandbox.IsSecret(value) {
			byPath[at] = redactedSetting(at, plain[at])
			known[plain[at]] = byPath[at]
		}
		return nil, false
	})
	return known, byPath, nil
}

// undecrypted is what the CLI shows for a secret that it cannot decrypt.
const undecrypted = "ERROR_UNABLE_TO_DECRYPT"

// earlierSecrets adds the secrets among the settings of earlier updates. After a rollback, and after an update that
// failed, the state has some of them, and the stack's file does not. Settings that the history does not have are those
// of a killed run; State.Redact replaces what it does not know.
func (w *Workspace) earlierSecrets(ctx context.Context, known map[string]string) error {
	text, err := w.Pulumi(ctx, "stack", "history", "--json", "--show-secrets", "--page-size", "50", "--page", "1")
	if err != nil {
		return w.Failure(fmt.Errorf("read the history: %w", err), nil)
	}
	var updates []struct {
		Config map[string]struct {
			Value       string
			ObjectValue any
			Secret      bool
		}
	}
	if err := json.Unmarshal([]byte(text), &updates); err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	add := func(at, secret string) {
		if known[secret] == "" && secret != undecrypted {
			known[secret] = redactedSetting(at, secret)
		}
	}
	for _, update := range updates {
		for key, value := range update.Config {
			if !value.Secret {
				continue
			}
			if value.ObjectValue == nil {
				add(key, value.Value)
			}
			// A setting with one secret is marked as a whole. The secrets in settings are passwords.
			sandbox.EachSetting(value.ObjectValue, key, func(at string, value any) (any, bool) {
				if secret, ok := value.(string); ok && strings.HasSuffix(at, ".password") {
					add(at, secret)
				}
				return nil, false
			})
		}
	}
	return nil
}

// redactedSetting returns the text that stands for a secret setting. The secret is empty if it is not known.
func redactedSetting(at, secret string) string {
	name := "redacted-" + strings.NewReplacer(":", "-", ".", "-", "[", "-", "]", "").Replace(at)
	stands := sandbox.Placeholder(at, name)
	if u, err := url.Parse(secret); err == nil && u.Scheme != "" && u.Host != "" && stands == name {
		return u.Scheme + "://redacted.invalid/" + name
	}
	return stands
}

// readSettings returns the section config of a stack's file.
func readSettings(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Config map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if file.Config == nil {
		return map[string]any{}, nil
	}
	return file.Config, nil
}
