package bootstrap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"go.yaml.in/yaml/v3"

	"kubeadm-aws/bootstrap/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
)

// place is where the account's stack has its state. On AWS that is the bucket which the stack itself makes, so the
// first up keeps it in a local folder until the bucket exists, and the last destroy takes it back there.
type place struct {
	run   *run
	stack auto.Stack
	// location tells a person where the state is.
	location string
	// bucket is the URL of the backend in the bucket; inBucket reports whether the state is there.
	bucket   string
	inBucket bool
	// interrupted means that an earlier run has stopped while it moved the state into the bucket.
	interrupted bool
	secrets     string
	// local is the folder of the state that is not in the bucket.
	local string
	close func()
}

func (r *run) open(ctx context.Context) (*place, error) {
	if r.cloud == report.CloudAWS {
		return r.openAWS(ctx)
	}
	dir := filepath.Join(filepath.Dir(r.project), ".sandbox", "bootstrap")
	box, err := sandbox.Start(sandbox.Options{Stack: stackName, Dir: filepath.Join(dir, "account")})
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart, "", "start the sandbox: %w", err)
	}
	copies := sandbox.Workspace{Project: r.project, Dir: dir, Stack: stackName, Program: account.In(r.project),
		Settings: r.settingsOf(), CLI: r.cli}
	stack, err := copies.Open(ctx, box)
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart, "", "%w", errors.Join(err, box.Close()))
	}
	return &place{run: r, stack: stack, location: filepath.Join(dir, "state"), local: dir,
		close: func() { _ = box.Close() }}, nil
}

// openAWS selects the state in the bucket, or the local one where there is no bucket yet.
func (r *run) openAWS(ctx context.Context) (*place, error) {
	region, err := regionOf(r.project)
	if err != nil {
		return nil, err
	}
	id, err := accountOf(ctx, region)
	if err != nil {
		return nil, err
	}
	p := &place{run: r, local: filepath.Join(r.project, ".state"), close: func() {}}
	p.bucket = account.Backend(account.StateBucket(id, region), region)
	p.secrets = account.SecretsProvider(stackName, region)
	if err := p.locate(ctx); err != nil {
		return nil, err
	}
	if p.inBucket {
		err = p.selectIn(ctx, p.bucket)
	} else {
		err = p.selectLocal(ctx)
	}
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart, "", "open the stack of the account: %s", report.Shortened(err))
	}
	if err := p.refuseAccount(ctx, id); err != nil {
		return nil, err
	}
	for key, value := range r.settingsOf() {
		if err := p.stack.SetConfig(ctx, key, auto.ConfigValue{Value: value.(string)}); err != nil {
			return nil, report.Fail(report.ExitCannotStart, "", "%s: %s", key, report.Shortened(err))
		}
	}
	return p, nil
}

// locate finds out where the state is. A move ends with an import, so a stack without resources in the bucket next to a
// local one is that of a move that was interrupted: the local one has the state.
func (p *place) locate(ctx context.Context) error {
	all, err := p.stacks(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(s stackInBucket) bool { return ours(s.Name) })
	_, missing := os.Stat(filepath.Join(p.local, ".pulumi", "stacks", account.Namespace, stackName+".json"))
	p.interrupted = i >= 0 && all[i].ResourceCount == 0 && missing == nil
	p.inBucket = i >= 0 && !p.interrupted
	return nil
}

// accountKey is the setting with the account that the settings file belongs to.
const accountKey = account.Namespace + ":account"

// refuseAccount refuses a settings file of another account, and notes the account in a new one. The file has the key of
// the stack's secrets, so each account needs its own.
func (p *place) refuseAccount(ctx context.Context, id string) error {
	noted, err := p.stack.GetConfig(ctx, accountKey)
	switch {
	case err != nil: // not set yet
		err = p.stack.SetConfig(ctx, accountKey, auto.ConfigValue{Value: id})
		if err != nil {
			return report.Fail(report.ExitCannotStart, "", "%s: %s", accountKey, report.Shortened(err))
		}
	case noted.Value != id:
		return report.Fail(report.ExitInvalid, "Log in to account "+noted.Value+", or put the file of account "+id+" there: each account "+
			"has its own (docs/bootstrap.md, \"More than one account\").",
			"bootstrap/Pulumi.%s.yaml belongs to account %s, and these credentials to %s", stackName, noted.Value, id)
	}
	return nil
}

// selectLocal selects the stack in the local folder.
func (p *place) selectLocal(ctx context.Context) error {
	if err := os.MkdirAll(p.local, 0o700); err != nil {
		return err
	}
	if p.interrupted {
		// The move has written the keys of the bucket's stack into the settings file.
		if err := dropKeys(p.settingsFile()); err != nil {
			return err
		}
	}
	return p.selectIn(ctx, p.localURL())
}

func (p *place) settingsFile() string {
	return filepath.Join(p.run.project, "Pulumi."+stackName+".yaml")
}

func (p *place) localURL() string { return (&url.URL{Scheme: "file", Path: p.local}).String() }

// selectIn selects the stack in a backend and makes it there when it is missing.
func (p *place) selectIn(ctx context.Context, backend string) error {
	options := []auto.LocalWorkspaceOption{p.run.program(), auto.Pulumi(p.run.cli), auto.EnvVars(p.env(backend))}
	if backend == p.bucket {
		options = append(options, auto.SecretsProvider(p.secrets))
	}
	var err error
	p.stack, err = auto.UpsertStackLocalSource(ctx, stackName, p.run.project, options...)
	p.location = backend
	return err
}

// env are the variables of a backend. The state of the account holds no secrets, so the local one has an empty
// passphrase.
func (p *place) env(backend string) map[string]string {
	env := map[string]string{"PULUMI_BACKEND_URL": backend}
	if backend != p.bucket {
		env["PULUMI_CONFIG_PASSPHRASE"] = ""
	}
	return env
}

// pulumi runs the CLI in the project of the account.
func (p *place) pulumi(ctx context.Context, backend string, stdin []byte, args ...string) (string, error) {
	var env []string
	for key, value := range p.env(backend) {
		env = append(env, key+"="+value)
	}
	stdout, stderr, _, err := p.run.cli.Run(ctx, p.run.project, bytes.NewReader(stdin), nil, nil, env, args...)
	if err != nil {
		return "", fmt.Errorf("pulumi %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr))
	}
	return stdout, nil
}

// stackInBucket is a stack by its full name.
type stackInBucket struct {
	Name          string
	ResourceCount int
}

// stacks are all stacks in the bucket; nil when there is no bucket.
func (p *place) stacks(ctx context.Context) ([]stackInBucket, error) {
	text, err := p.pulumi(ctx, p.bucket, nil, "stack", "ls", "--all", "--json")
	if err != nil {
		if strings.Contains(err.Error(), "NoSuchBucket") {
			return nil, nil
		}
		return nil, report.Fail(report.ExitCannotStart, "Is the bucket yours, and may these credentials read it?", "look into %s: %s", p.bucket, report.Shortened(err))
	}
	var all []stackInBucket
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("read the stacks in %s: %w", p.bucket, err)
	}
	return all, nil
}

// ours reports whether a name is that of the account's stack: the CLI leaves out the project that it runs in.
func ours(name string) bool {
	return name == stackName || strings.HasSuffix(name, account.Namespace+"/"+stackName)
}

// refuseOthers refuses to take the bucket from under a stack.
func (p *place) refuseOthers(ctx context.Context) error {
	if p.bucket == "" {
		return nil
	}
	all, err := p.stacks(ctx)
	if err != nil {
		return err
	}
	var others []string
	for _, s := range all {
		if !ours(s.Name) {
			others = append(others, s.Name)
		}
	}
	if len(others) > 0 {
		return report.Fail(report.ExitCannotStart, "Destroy each, then remove it: pulumi stack rm NAME",
			"the bucket holds the state of %s; nothing was touched", strings.Join(others, ", "))
	}
	return nil
}

// moveState moves the state of a first up from the local folder into the bucket that it made.
func (p *place) moveState(ctx context.Context) error {
	if p.bucket == "" || p.inBucket {
		return nil
	}
	var err error
	if p.interrupted {
		// It has no resources, and its keys are lost.
		_, err = p.pulumi(ctx, p.bucket, nil, "stack", "rm", stackName, "--yes", "--preserve-config")
	}
	if err == nil {
		err = p.move(ctx, p.localURL(), p.bucket)
	}
	if err != nil {
		return report.Fail(report.ExitFailed, "Run the same command again: it goes on from the state in "+p.local+".", "move the state into the bucket: %w", err)
	}
	p.inBucket = true
	return os.RemoveAll(p.local)
}

// leaveBucket takes the state back to the local folder, so that the bucket can go.
func (p *place) leaveBucket(ctx context.Context) error {
	if !p.inBucket {
		return nil
	}
	if err := os.MkdirAll(p.local, 0o700); err != nil {
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	if err := p.move(ctx, p.bucket, p.localURL()); err != nil {
		return report.Fail(report.ExitFailed, "", "take the state out of the bucket: %w", err)
	}
	// From now on the state in the bucket is old. Without it, the next run takes the local one.
	if _, err := p.pulumi(ctx, p.bucket, nil, "stack", "rm", stackName, "--yes", "--force",
		"--preserve-config"); err != nil {
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	p.inBucket = false
	return nil
}

// move copies the state to another backend and selects it there.
func (p *place) move(ctx context.Context, from, to string) error {
	exported, err := p.pulumi(ctx, from, nil, "stack", "export", "--stack", stackName)
	if err != nil {
		return err
	}
	// The keys of the settings file belong to the old backend.
	if err := dropKeys(p.settingsFile()); err != nil {
		return err
	}
	if err := p.selectIn(ctx, to); err != nil {
		return err
	}
	fresh, err := p.pulumi(ctx, to, nil, "stack", "export", "--stack", stackName)
	if err != nil {
		return err
	}
	moved, err := withSecretsOf(exported, fresh)
	if err != nil {
		return err
	}
	_, err = p.pulumi(ctx, to, moved, "stack", "import", "--stack", stackName)
	return err
}

// withSecretsOf gives a state the secrets manager of another. It is right only for a state without secrets.
func withSecretsOf(exported, other string) ([]byte, error) {
	moved, err := state.Parse([]byte(exported))
	if err != nil {
		return nil, err
	}
	target, err := state.Parse([]byte(other))
	if err != nil {
		return nil, err
	}
	const signature = "4dabf18193072939515e22adb298388d" // Pulumi's mark of a special value
	if strings.Contains(exported, `"`+signature+`": "1b47061264138c4ac30d75fd1eb44270"`) {
		return nil, errors.New("the state of the account holds a secret, and a move would lose it")
	}
	moved.SecretsProviders = target.SecretsProviders
	return moved.Encode()
}

// dropKeys removes what a secrets manager wrote into the settings file.
func dropKeys(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(text), "\n")
	kept := ""
	for _, line := range lines {
		if key, _, _ := strings.Cut(line, ":"); key != "encryptionsalt" && key != "secretsprovider" && key != "encryptedkey" {
			kept += line
		}
	}
	return os.WriteFile(path, []byte(kept), 0o600)
}

// forget removes the local state of an account that is gone.
func (p *place) forget(ctx context.Context) error {
	if p.bucket != "" {
		if err := p.stack.RemoveConfig(ctx, accountKey); err != nil {
			return err
		}
		if err := dropKeys(p.settingsFile()); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.local)
}

// regionOf reads the region out of the settings file, before any backend is known.
func regionOf(project string) (string, error) {
	var file struct{ Config map[string]any }
	text, err := os.ReadFile(filepath.Join(project, "Pulumi."+stackName+".yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	region, _ := file.Config["aws:region"].(string)
	if err != nil || region == "" {
		return "", report.Fail(report.ExitInvalid, "pulumi -C bootstrap config set --stack account aws:region eu-central-1",
			"bootstrap/Pulumi.%s.yaml sets no aws:region", stackName)
	}
	return region, nil
}

// accountOf asks AWS whose credentials these are.
func accountOf(ctx context.Context, region string) (string, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region))
	if err == nil {
		var caller *sts.GetCallerIdentityOutput
		if caller, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err == nil {
			return *caller.Account, nil
		}
	}
	next := "Set AWS_PROFILE, or log in: aws sso login. See who you are: aws sts get-caller-identity"
	return "", report.Fail(report.ExitCannotStart, next, "ask AWS who is calling: %w", err)
}
