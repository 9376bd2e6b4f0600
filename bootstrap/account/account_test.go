package account_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"

	"kubeadm-aws/bootstrap/account"
	"kubeadm-aws/internal/sandbox"
)

// simulation is the stack in a simulated account of its own.
type simulation struct {
	t        *testing.T
	box      *sandbox.Sandbox
	stack    auto.Stack
	settings map[string]any
	space    sandbox.Workspace
}

func simulate(t *testing.T, settings map[string]any) *simulation {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the Pulumi engine")
	}
	dir := t.TempDir()
	box, err := sandbox.Start(sandbox.Options{Stack: "account", Dir: filepath.Join(dir, "account")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	r := &simulation{t: t, box: box, settings: map[string]any{}}
	r.space = sandbox.Workspace{Project: "..", Dir: dir, Stack: "account", Program: account.Deploy}
	r.set("repository", "octocat@123456/my-repo@456789")
	for key, value := range settings {
		r.set(key, value)
	}
	return r
}

// set changes a setting for the next run; nil removes it.
func (r *simulation) set(key string, value any) {
	r.settings[account.Namespace+":"+key] = value
	r.space.Settings = r.settings
	var err error
	if r.stack, err = r.space.Open(context.Background(), r.box); err != nil {
		r.t.Fatal(err)
	}
}

func (r *simulation) up(options ...optup.Option) auto.OutputMap {
	r.t.Helper()
	result, err := r.stack.Up(context.Background(), options...)
	if err != nil {
		r.t.Fatal(err)
	}
	return result.Outputs
}

// made are the names of the resources of a type in the account.
func (r *simulation) made(typ string) []string {
	var names []string
	for _, line := range r.box.Account(typ) {
		names = append(names, strings.Fields(line)[1])
	}
	slices.Sort(names)
	return names
}

func TestTheAccountComesAndGoes(t *testing.T) {
	r := simulate(t, nil)
	outputs := r.up()
	r.up(optup.ExpectNoChanges())

	if got := r.made("aws:s3/bucketV2:BucketV2"); !slices.Equal(got, []string{"kubeadm-aws-state-123456789012-eu-central-1"}) {
		t.Errorf("buckets %v", got)
	}
	roles := r.made("aws:iam/role:Role")
	if want := 3*3 + 1; len(roles) != want {
		t.Errorf("%d roles, want %d: %v", len(roles), want, roles)
	}
	created := map[string]int{}
	for i, o := range r.box.Operations() {
		if o.Verb == "create" {
			created[o.URN[strings.LastIndex(o.URN, "::")+2:]] = i
		}
	}
	for name, at := range created {
		// On an account made before, the policies that it took statements from become smaller first.
		if role, ok := strings.CutSuffix(name, "-tagged"); ok && (created[role+"-network"] > at ||
			created[role+"-names"] > at || created[role+"-network"] == 0) {
			t.Errorf("%s is created before the policies that become smaller", name)
		}
	}
	all := outputs["environmentVariables"].Value.(map[string]any)
	if got := slices.Sorted(maps.Keys(all)); len(got) != 9 {
		t.Errorf("GitHub environments %v", got)
	}
	for environment, values := range all {
		backend := values.(map[string]any)["PULUMI_BACKEND_URL"].(string)
		if redacted := strings.Contains(backend, "/redacted?"); redacted != strings.HasSuffix(environment, "-preview") {
			t.Errorf("%s keeps its state in %s", environment, backend)
		}
	}

	_, err := r.stack.Destroy(context.Background())
	if err == nil || !strings.Contains(err.Error(), "protect") {
		t.Fatalf("a protected account was destroyed: %v", err)
	}
	r.set("protect", false)
	r.up()
	var printed bytes.Buffer
	if _, err := r.stack.Destroy(context.Background(), optdestroy.ProgressStreams(&printed)); err != nil {
		t.Fatal(err)
	}
	for _, line := range r.box.Leftovers() {
		if !strings.HasPrefix(line, "aws:ecr/repository:Repository") {
			t.Errorf("left: %s", line)
		}
	}
	if got := r.made("aws:ecr/repository:Repository"); !slices.Equal(got, []string{"app"}) {
		t.Errorf("images are gone with the account's stack: %v are left", got)
	}
}

// A second account of a repository has other environments and no images, and sets no variable of the repository.
func TestASecondAccountHasNoImages(t *testing.T) {
	r := simulate(t, map[string]any{"environments": []any{"prod"}, "images": []any{}})
	outputs := r.up()
	if shared := outputs["repositoryVariables"].Value.(map[string]any); len(shared) > 0 {
		t.Errorf("variables of the repository: %v", shared)
	}
	all := outputs["environmentVariables"].Value.(map[string]any)
	for _, environment := range []string{"prod", "prod-drift", "prod-preview"} {
		values, _ := all[environment].(map[string]any)
		if values["AWS_REGION"] != "eu-central-1" || values["AWS_ACCOUNT_ID"] != "123456789012" {
			t.Errorf("variables of %s: %v", environment, values)
		}
	}
	if roles := r.made("aws:iam/role:Role"); len(roles) != 3 {
		t.Errorf("roles %v", roles)
	}
}

// An imported repository keeps its images and settings; without importImages it gets those of the program.
func TestRepositoriesAreImported(t *testing.T) {
	r := simulate(t, nil)
	r.up()
	r.set("protect", false)
	r.up()
	if _, err := r.stack.Destroy(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.stack.Up(context.Background()); err == nil || !strings.Contains(err.Error(), "EntityAlreadyExists") {
		t.Fatalf("repositories that exist were made again: %v", err)
	}
	r.set("importImages", []any{"app"})
	var printed bytes.Buffer
	if _, err := r.stack.Preview(context.Background(), optpreview.ProgressStreams(&printed)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(printed.String(), "import") {
		t.Errorf("the preview says nothing of an import:\n%s", printed.String())
	}
	r.up()
	r.set("importImages", nil)
	r.up()
	r.up(optup.ExpectNoChanges())
}

func TestMain(m *testing.M) { os.Exit(m.Run()) }
