package sandbox

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go.yaml.in/yaml/v3"
)

// Workspace is the directory of a simulation: a copy of the project's settings with a state backend of its own, so
// that nothing rewrites the user's files.
type Workspace struct {
	// Project is the directory with Pulumi.yaml and Pulumi.<stack>.yaml; Dir is where the copies and the state go.
	Project, Dir string
	Stack        string
	Program      pulumi.RunFunc
	// Settings replace or add values of the stack's configuration by path, such as "kubeadm-aws:image.os"; nil removes.
	Settings map[string]any
	// CLI is the Pulumi command line; nil takes the one on PATH.
	CLI auto.PulumiCommand
}

// passphrase encrypts the secrets of a simulation's state. The secrets are made up, but tests check that they are
// encrypted.
const passphrase = "rehearsal"

// newSalt is the salt of a new simulation.
const newSalt = "v1:cmVoZWFyc2U=:v1:UZKvxUQlRZwj520T:I22oSTI8ONAKDklC2FWb7vT7sTOEVQ=="

// Open copies the settings and selects the stack, which is created when the state does not have it.
// Secrets of the user's stack cannot be decrypted here and become placeholders.
func (w Workspace) Open(ctx context.Context, s *Sandbox) (auto.Stack, error) {
	if err := os.MkdirAll(filepath.Join(w.Dir, "state"), 0o700); err != nil {
		return auto.Stack{}, err
	}
	project, err := os.ReadFile(filepath.Join(w.Project, "Pulumi.yaml"))
	if err != nil {
		return auto.Stack{}, err
	}
	if err := os.WriteFile(filepath.Join(w.Dir, "Pulumi.yaml"), project, 0o600); err != nil {
		return auto.Stack{}, err
	}
	if err := w.writeSettings(ctx); err != nil {
		return auto.Stack{}, err
	}
	home := filepath.Join(w.Dir, "home")
	if err := withoutLog(home); err != nil {
		return auto.Stack{}, err
	}
	backend := url.URL{Scheme: "file", Path: filepath.Join(w.Dir, "state")}
	env := map[string]string{
		"PULUMI_BACKEND_URL":                            backend.String(),
		"PULUMI_HOME":                                   home,
		"PULUMI_CONFIG_PASSPHRASE":                      passphrase,
		"PULUMI_SKIP_UPDATE_CHECK":                      "true",
		"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
	}
	if os.Getenv("GOGC") == "" {
		// A tenth of the CPU time of an up is the CLI's garbage collection. This halves it for 60 MB more.
		env["GOGC"] = "200"
	}
	maps.Copy(env, s.Env())
	options := []auto.LocalWorkspaceOption{auto.Program(w.Program), auto.EnvVars(env)}
	if w.CLI != nil {
		options = append(options, auto.Pulumi(w.CLI))
	}
	stack, err := auto.UpsertStackLocalSource(ctx, w.Stack, w.Dir, options...)
	if err != nil {
		return auto.Stack{}, fmt.Errorf("open the simulation of stack %s in %s: %w", w.Stack, w.Dir, err)
	}
	return stack, nil
}

// withoutLog puts a file where the CLI makes the directory of its log. The CLI then writes no log and works on. It has
// no setting for that. The log holds every property of every resource, and is four tenths of the CPU time of an up that
// changes nothing.
func withoutLog(home string) error {
	logs := filepath.Join(home, "logs")
	if found, err := os.Lstat(logs); err == nil && found.Mode().IsRegular() {
		return nil
	}
	if err := os.RemoveAll(logs); err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	return os.WriteFile(logs, nil, 0o600)
}

// writeSettings writes Pulumi.<stack>.yaml, keeping the salt of an earlier copy. Encrypted settings get placeholders,
// which are encrypted too.
func (w Workspace) writeSettings(ctx context.Context) error {
	name := "Pulumi." + w.Stack + ".yaml"
	var source, copied struct {
		Salt   string         `yaml:"encryptionsalt,omitempty"`
		Config map[string]any `yaml:"config"`
	}
	text, err := os.ReadFile(filepath.Join(w.Project, name))
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, &source); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if text, err := os.ReadFile(filepath.Join(w.Dir, name)); err == nil {
		if err := yaml.Unmarshal(text, &copied); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(w.Dir, name), err)
		}
	}
	source.Salt = copied.Salt
	if source.Salt == "" {
		source.Salt = newSalt
	}
	stands := func(at string) string { return Placeholder(at, EncryptedSetting) }
	if err := EncryptSettings(ctx, source.Config, Key{passphrase, source.Salt}, stands); err != nil {
		return err
	}
	if source.Config == nil {
		source.Config = map[string]any{}
	}
	for path, value := range w.Settings {
		setPath(source.Config, strings.Split(path, "."), value)
	}
	out, err := yaml.Marshal(source)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.Dir, name), out, 0o600)
}

// setPath puts a value into nested maps, making those that are missing; nil removes what is there.
func setPath(into map[string]any, path []string, value any) {
	for ; len(path) > 1; path = path[1:] {
		next, ok := into[path[0]].(map[string]any)
		if !ok {
			next = map[string]any{}
			into[path[0]] = next
		}
		into = next
	}
	if value == nil {
		delete(into, path[0])
		return
	}
	into[path[0]] = value
}

// EachSetting calls visit with each value below settings of a stack's file and its path, such as
// "kubeadm-aws:nodes[0].name". visit may replace the value, which is then not looked into.
func EachSetting(settings any, at string, visit func(at string, value any) (to any, replaced bool)) {
	next := func(at string, value any, set func(any)) {
		if to, replaced := visit(at, value); replaced {
			set(to)
			return
		}
		EachSetting(value, at, visit)
	}
	switch v := settings.(type) {
	case map[string]any:
		for key, field := range v {
			next(strings.TrimPrefix(at+"."+key, "."), field, func(to any) { v[key] = to })
		}
	case []any:
		for i, element := range v {
			next(fmt.Sprintf("%s[%d]", at, i), element, func(to any) { v[i] = to })
		}
	}
}

// IsSecret reports whether a value of a stack's file is encrypted.
func IsSecret(value any) bool {
	fields, _ := value.(map[string]any)
	_, secret := fields["secure"]
	return secret && len(fields) == 1
}
