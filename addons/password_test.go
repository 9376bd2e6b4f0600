package addons

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeKubectl simulates services in containers: the file password holds the password that the service accepts. It
// records its arguments, and fails if the file dead exists.
const fakeKubectl = `#!/usr/bin/env bash
echo "$*" >>calls
if [ -e dead ]; then echo "error: unable to upgrade connection: container not found"; exit 1; fi
case "$*" in
*authenticate_user*) IFS= read -r given; if [ "$given" = "$(cat password)" ]; then echo Success; else echo 'Error: failed to authenticate user'; exit 65; fi ;;
*valkey-cli*) IFS= read -r given; if [ "$given" = "$(cat password)" ]; then echo PONG; else echo 'AUTH failed: WRONGPASS invalid username-password pair'; fi ;;
*GF_SECURITY_ADMIN_PASSWORD*) IFS= read -r given; [ -e same ] && [ "$given" = "$(cat password)" ] ;;
*change_password*|*reset-admin-password*) if [ -e stubborn ]; then echo 'Error: no such user'; exit 1; fi; IFS= read -r given; printf %s "$given" >password ;;
*'rollout restart'*) [ -e stubborn ] || cp secret password ;;
esac
`

// runPassword runs the script for a service that accepts "old", with files of these names next to the fake.
func runPassword(t *testing.T, service, password string, files ...string) (out, accepted, calls string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"kubectl": fakeKubectl, "password": "old", "secret": password} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	w := tar.NewWriter(compressed)
	if err := w.WriteHeader(&tar.Header{Name: "password", Mode: 0o600, Size: int64(len(password))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(password)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("scripts/password.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SERVICE="+service, "USERNAME=platform", "LIMIT=0",
		"INTERVAL=0")
	cmd.Stdin = strings.NewReader(base64.StdEncoding.EncodeToString(packed.Bytes()))
	text, err := cmd.CombinedOutput()
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	return string(text), read("password"), read("calls"), err
}

func TestChangedPasswordReachesTheService(t *testing.T) {
	const fresh = `n'e"w $(id) \ pässword`
	for _, service := range []string{"rabbitmq", "redis", "grafana"} {
		out, accepted, calls, err := runPassword(t, service, fresh)
		if err != nil || out != "changed\n" || accepted != fresh {
			t.Errorf("%s: it accepts %q after %q, %v", service, accepted, out, err)
		}
		if strings.Contains(calls, "w $(id)") {
			t.Errorf("%s: the password is on a command line:\n%s", service, calls)
		}
	}
}

func TestPasswordThatIsAcceptedChangesNothing(t *testing.T) {
	for _, service := range []string{"rabbitmq", "redis"} {
		out, _, calls, err := runPassword(t, service, "old")
		if err != nil || out != "unchanged\n" || strings.Count(calls, "\n") != 1 {
			t.Errorf("%s: %q, %v, calls:\n%s", service, out, err, calls)
		}
	}
}

// Its sidecars have the password in their environment, so they need a restart. A new Grafana has it already.
func TestAnotherPasswordRestartsGrafana(t *testing.T) {
	for file, restarts := range map[string]bool{"same": false, "other": true} {
		out, _, calls, err := runPassword(t, "grafana", "fresh", file)
		if got := strings.Contains(calls, "rollout restart deployment/grafana"); err != nil || got != restarts {
			t.Errorf("the environment has the %s password: %v, restarted: %t\n%s", file, err, got, out)
		}
	}
}

func TestPasswordThatCannotBeSetFails(t *testing.T) {
	for _, service := range []string{"rabbitmq", "redis", "grafana"} {
		for file, says := range map[string]string{"dead": "container not found", "stubborn": "password"} {
			out, accepted, _, err := runPassword(t, service, "fresh", file)
			if err == nil || !strings.Contains(out, says) || accepted != "old" || strings.Contains(out, "fresh") {
				t.Errorf("%s with %s: it accepts %q after %q, %v", service, file, accepted, out, err)
			}
		}
	}
}

// A step's password is passed on its standard input, which is secret in the state.
func TestPasswordsOfServicesAreApplied(t *testing.T) {
	r := install(t, given, everything)
	for service, running := range map[string]string{"rabbitmq": "rabbitmq", "redis": "valkey"} {
		step := r.find(t, "password-"+service)
		if !step.inputs["stdin"].IsSecret() || strings.Contains(step.inputs["create"].StringValue(), "given-") {
			t.Errorf("the password of %s is readable", service)
		}
		if !r.outlives(running, step.name) {
			t.Errorf("%s does not wait for %s", step.name, running)
		}
	}
	metadata := plainMap(r.find(t, "secret-postgresql-app").inputs)["metadata"].(map[string]any)
	if label := metadata["labels"].(map[string]any); label["cnpg.io/reload"] != "true" {
		t.Error("CloudNativePG does not watch the Secret of PostgreSQL's password")
	}
}
