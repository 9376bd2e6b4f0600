package bootstrap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/testenv"
)

// project is a copy of the settings of both projects, because a run writes into them.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "bootstrap/Pulumi.yaml", "bootstrap/Pulumi.account.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bootstrapped runs the command and returns its exit code and what it printed.
func bootstrapped(t *testing.T, dir string, args ...string) (int, string) {
	t.Helper()
	testenv.NeedPulumi(t)
	var out bytes.Buffer
	code := Run(context.Background(), append([]string{"--dir", dir}, args...), &out, &out)
	return code, out.String()
}

// ask makes one request to moto.
func ask(t *testing.T, method, url, target, body string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	// Moto finds the service and the region in the signature, and does not check it.
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/"+map[bool]string{true: "kms", false: "s3"}[target != ""]+"/aws4_request, SignedHeaders=host, Signature=0")
	if target != "" {
		request.Header.Set("X-Amz-Target", "TrentService."+target)
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode > 299 {
		t.Fatalf("%s %s %s: %s %s", method, url, target, answer.Status, text)
	}
}

// mirrored starts moto and a sandbox for the engine. The bucket and the key that the program makes in the sandbox come
// to exist in moto, where the real CLI keeps the state.
func mirrored(t *testing.T) (url string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the Pulumi engine")
	}
	url = testenv.StartMoto(t)
	box, err := sandbox.Start(sandbox.Options{Stack: stackName, Dir: t.TempDir(), Done: func(op sandbox.Operation) {
		name := "kubeadm-aws-state-123456789012-eu-central-1"
		switch {
		case op.Verb == "create" && strings.Contains(op.URN, "aws:s3/bucketV2:"):
			ask(t, http.MethodPut, url+"/"+name, "", "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>")
		case op.Verb == "create" && strings.Contains(op.URN, "aws:kms/alias:"):
			ask(t, http.MethodPost, url, "CreateKey", `{"KeySpec":"SYMMETRIC_DEFAULT"}`)
			ask(t, http.MethodPost, url, "CreateAlias", `{"AliasName":"alias/kubeadm-aws-state","TargetKeyId":"`+keyOf(t, url)+`"}`)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	for key, value := range box.Env() {
		t.Setenv(key, value)
	}
	t.Setenv("PULUMI_HOME", t.TempDir())
	t.Setenv("PULUMI_SKIP_UPDATE_CHECK", "true")
	return url
}

// keyOf is the id of the only key in moto.
func keyOf(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url + "/moto-api/data.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "arn:aws:kms:eu-central-1:123456789012:key/")
	if !found || len(rest) < 36 {
		t.Fatalf("moto shows no key: %.300s", text)
	}
	return rest[:36]
}

// shell runs commands as a person pastes them. The stand-in for gh writes down what it was asked.
func shell(t *testing.T, dir, commands string) (output string, asked []string, err error) {
	t.Helper()
	bin := t.TempDir()
	record := filepath.Join(bin, "asked")
	// No environment exists yet.
	stub := "#!/bin/sh\nprintf '%s\\n' \"$*\" >>" + record + "\ncase \"$*\" in 'api --silent repos/'*) exit 1 ;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "gh"), []byte(stub), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+filepath.Dir(testenv.NeedPulumi(t))+":"+os.Getenv("PATH"), "AWS_REGION=eu-central-1")
	text, err := cmd.CombinedOutput()
	written, _ := os.ReadFile(record)
	return string(text), strings.Split(strings.TrimSpace(string(written)), "\n"), err
}

// commandsIn are the lines of the output that a person pastes.
func commandsIn(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		if word, _, _ := strings.Cut(line, " "); slices.Contains([]string{"gh", "export", "pulumi"}, word) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// The real CLI, its S3 backend and its KMS secrets against moto: the first run moves the state into the bucket that it
// made, the next runs find it there, what is printed works, and a bucket with stacks in it stays.
func TestTheStateMovesIntoTheBucket(t *testing.T) {
	mirrored(t)
	dir := project(t)
	code, out := bootstrapped(t, dir, "--cloud", "aws", "--yes", "--repository", "octocat@123456/my-repo@456789")
	if code != report.ExitOK {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	settings, err := os.ReadFile(filepath.Join(dir, "bootstrap", "Pulumi.account.yaml"))
	if err != nil || !strings.Contains(string(settings), "secretsprovider: awskms://") ||
		strings.Contains(string(settings), "encryptionsalt") {
		t.Errorf("the settings name another secrets provider: %v\n%s", err, settings)
	}
	if _, err := os.Stat(filepath.Join(dir, "bootstrap", ".state")); !os.IsNotExist(err) {
		t.Errorf("the local state is still there: %v", err)
	}
	code, out = bootstrapped(t, dir, "--cloud", "aws", "--yes")
	if code != report.ExitOK || !strings.Contains(out, "nothing changes") || !strings.Contains(out, "s3://kubeadm-aws-state-123456789012-eu-central-1") {
		t.Fatalf("the second run: exit code %d:\n%s", code, out)
	}

	printed, asked, err := shell(t, dir, commandsIn(out)+"pulumi config set --secret x hello --stack dev\npulumi config get x --stack dev\n")
	if err != nil || !strings.HasSuffix(strings.TrimSpace(printed), "hello") {
		t.Fatalf("the printed commands: %v\n%s", err, printed)
	}
	for _, want := range []string{
		"variable set AWS_ROLE_ARN --env dev --body arn:aws:iam::123456789012:role/kubeadm-aws-dev-apply --repo octocat/my-repo",
		"variable set AWS_ACCOUNT_ID --env prod-drift --body 123456789012 --repo octocat/my-repo",
		"api --silent --method PUT repos/octocat/my-repo/environments/prod-preview",
		`variable list --json name,value --jq [.[] | select(.name == "STACKS") | .value | fromjson[]] + ` +
			`["dev","prod","staging"] | unique | tojson --repo octocat/my-repo`,
		"variable set AWS_ROLE_IMAGES --body arn:aws:iam::123456789012:role/kubeadm-aws-images --repo octocat/my-repo",
		"variable set PULUMI_BACKEND_URL --env prod-preview --body s3://kubeadm-aws-state-123456789012-eu-central-1/redacted?region=eu-central-1 --repo octocat/my-repo",
		"api --silent --method POST repos/octocat/my-repo/environments/prod/deployment-branch-policies -f name=main",
	} {
		if !slices.Contains(asked, want) {
			t.Errorf("gh was not asked for %q, but for\n%s", want, strings.Join(asked, "\n"))
		}
	}

	// A pipeline that has the file without what stack init wrote into it cannot open the stack.
	printed, _, err = shell(t, dir, "export PULUMI_BACKEND_URL='s3://kubeadm-aws-state-123456789012-eu-central-1?region=eu-central-1'\n"+
		"grep -q '^encryptedkey:' Pulumi.dev.yaml\ncp Pulumi.dev.yaml kept.yaml\n"+
		"sed -i '/^secretsprovider:/d;/^encryptedkey:/d' Pulumi.dev.yaml\npulumi config get x --stack dev </dev/null\n")
	cause := report.CauseOf(printed)
	if err == nil || cause == nil || !strings.Contains(cause.Advice(report.Subject{Stack: "dev"}, ""), "Pulumi.dev.yaml lacks") {
		t.Errorf("without the key in the file: %v\n%s", err, printed)
	}
	if err := os.Rename(filepath.Join(dir, "kept.yaml"), filepath.Join(dir, "Pulumi.dev.yaml")); err != nil {
		t.Fatal(err)
	}

	code, out = bootstrapped(t, dir, "--cloud", "aws", "--yes", "--destroy")
	if code != report.ExitCannotStart || !strings.Contains(out, "kubeadm-aws/dev") || !strings.Contains(out, "nothing was touched") {
		t.Fatalf("a bucket with stacks in it: exit code %d:\n%s", code, out)
	}
	remove := "export PULUMI_BACKEND_URL='s3://kubeadm-aws-state-123456789012-eu-central-1?region=eu-central-1'\n"
	for _, stack := range []string{"dev", "staging", "prod"} {
		remove += fmt.Sprintf("pulumi stack rm %s --yes\n", stack)
	}
	if printed, _, err = shell(t, dir, remove); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	if code, out = bootstrapped(t, dir, "--cloud", "aws", "--yes", "--destroy"); code != report.ExitOK {
		t.Fatalf("destroy: exit code %d:\n%s", code, out)
	}
	if settings, err = os.ReadFile(filepath.Join(dir, "bootstrap", "Pulumi.account.yaml")); err != nil ||
		strings.Contains(string(settings), "123456789012") || strings.Contains(string(settings), "protect") {
		t.Errorf("the settings after a destroy: %v\n%s", err, settings)
	}
}

// failing makes the CLI fail once at a command.
func failing(t *testing.T, command string) {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *%q*) if mkdir %q; then echo interrupted >&2; exit 1; fi ;; esac\nexec %q \"$@\"\n",
		command, filepath.Join(dir, "failed"), testenv.NeedPulumi(t))
	if err := os.WriteFile(filepath.Join(dir, "pulumi"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PULUMI", filepath.Join(dir, "pulumi"))
}

// A run that stops while it moves the state leaves a stack without resources in the bucket. The next run goes on from
// the local state.
func TestAMoveThatWasInterruptedIsRepeated(t *testing.T) {
	mirrored(t)
	dir := project(t)
	failing(t, "stack import")
	code, out := bootstrapped(t, dir, "--cloud", "aws", "--yes", "--repository", "octocat/my-repo")
	if code != report.ExitFailed || !strings.Contains(out, "move the state into the bucket") {
		t.Fatalf("the import fails: exit code %d:\n%s", code, out)
	}
	code, out = bootstrapped(t, dir, "--cloud", "aws", "--yes")
	if code != report.ExitOK || !strings.Contains(out, "nothing changes") {
		t.Fatalf("again: exit code %d:\n%s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "bootstrap", ".state")); !os.IsNotExist(err) {
		t.Errorf("the local state is still there: %v", err)
	}
	code, out = bootstrapped(t, dir, "--cloud", "aws", "--yes")
	if code != report.ExitOK || !strings.Contains(out, "nothing changes") ||
		!strings.Contains(out, "s3://kubeadm-aws-state-123456789012-eu-central-1") {
		t.Fatalf("in the bucket: exit code %d:\n%s", code, out)
	}

	// A destroy that fails leaves the settings protected.
	failing(t, "destroy --")
	if code, out = bootstrapped(t, dir, "--cloud", "aws", "--yes", "--destroy"); code == report.ExitOK {
		t.Fatalf("the destroy fails: exit code %d:\n%s", code, out)
	}
	settings, err := os.ReadFile(filepath.Join(dir, "bootstrap", "Pulumi.account.yaml"))
	if err != nil || strings.Contains(string(settings), "protect") {
		t.Errorf("after a destroy that failed: %v\n%s", err, settings)
	}

	// The file of another account is refused.
	other := strings.Replace(string(settings), "123456789012", "210987654321", 1)
	if err := os.WriteFile(filepath.Join(dir, "bootstrap", "Pulumi.account.yaml"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out = bootstrapped(t, dir, "--cloud", "aws", "--yes")
	if code != report.ExitInvalid || !strings.Contains(out, "belongs to account 210987654321") {
		t.Errorf("the file of another account: exit code %d:\n%s", code, out)
	}
}

func TestTheSandboxIsTheDefault(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the Pulumi engine")
	}
	dir := project(t)
	code, out := bootstrapped(t, dir)
	if code != report.ExitInvalid || !strings.Contains(out, "make bootstrap REPOSITORY=") {
		t.Errorf("without a repository: exit code %d:\n%s", code, out)
	}
	code, out = bootstrapped(t, dir, "--repository", "octocat/my-repo")
	if code != report.ExitOK || !strings.Contains(out, "gh variable set AWS_REGION --body 'eu-central-1' --repo octocat/my-repo") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if code, out = bootstrapped(t, dir, "--repository", "octocat/my-repo", "--destroy"); code != report.ExitOK {
		t.Errorf("destroy: exit code %d:\n%s", code, out)
	}
	if code, _ = bootstrapped(t, dir, "--cloud", "mars"); code != report.ExitUsage {
		t.Errorf("another cloud: exit code %d", code)
	}
}
