package driver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/report"
)

// project is a directory with the settings of this repository's dev stack, changed by edits ("old", "new", ...).
func project(t *testing.T, edits ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "Pulumi.dev.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.NewReplacer(edits...).Replace(string(text))),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fakeCLI puts a Pulumi CLI into the environment that answers like a shell script.
func fakeCLI(t *testing.T, script string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pulumi")
	text := "#!/bin/sh\ncase \"$*\" in\nversion) echo v3.259.0;;\n" + script +
		"\n*) echo \"unexpected: $*\" >&2; exit 99;;\nesac\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PULUMI", path)
}

// drive runs the command and returns its exit code and what it printed.
func drive(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// events parses the lines of --json.
func parseEvents(t *testing.T, text string) []report.Event {
	t.Helper()
	var all []report.Event
	for line := range strings.Lines(text) {
		var e report.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("not a JSON event: %q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

func TestWrongCommandLinesAreExplained(t *testing.T) {
	dir := project(t)
	for _, tt := range []struct{ args, says string }{
		{"", "which command?"},
		{"rise --stack dev", `there is no command "rise"`},
		{"up --dir " + dir, "--stack is missing; here are settings for dev"},
		{"up --stack dev --cloud azure --dir " + dir, "--cloud azure: sandbox, hosts or aws"},
		{"up --stack ../dev --dir " + dir, "the plain name"},
		{"up --stack dev --dir " + t.TempDir(), "holds no Pulumi.yaml"},
		{"up --stack dev now --dir " + dir, `"now" is not a flag`},
		{"up --stak dev", "flag provided but not defined: -stak"},
		{"verify --stack dev -o yaml --dir " + dir, "-o yaml: text or json"},
		{"verify --stack dev --wait soon", "invalid value"},
	} {
		code, stdout, stderr := drive(t, strings.Fields(tt.args)...)
		if code != report.ExitUsage || !strings.Contains(stderr, tt.says) || stdout != "" {
			t.Errorf("kubeadm-aws %s: exit %d, %q; want exit %d with %q", tt.args, code, stderr, report.ExitUsage, tt.says)
		}
	}
}

func TestHelpNamesEveryCommandAndCode(t *testing.T) {
	code, stdout, _ := drive(t, "help")
	if code != report.ExitOK {
		t.Errorf("help exits %d", code)
	}
	for _, c := range commands {
		if !strings.Contains(stdout, "  "+c.name+" ") {
			t.Errorf("help does not name %s", c.name)
		}
	}
	for _, word := range []string{"--stack", "-cloud", "130 interrupted"} {
		if !strings.Contains(stdout, word) {
			t.Errorf("help does not say %q", word)
		}
	}
}

func TestBadSettingsAreRefusedBeforeAnythingStarts(t *testing.T) {
	t.Setenv("PULUMI", "/nowhere/pulumi") // would fail if it were started
	dir := project(t, "name: platform-dev", "name: Platform_Dev", "region: eu-central-1", "region: nowhere")
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir)
	if code != report.ExitInvalid {
		t.Fatalf("exit %d, want %d:\n%s", code, report.ExitInvalid, stdout)
	}
	for _, want := range []string{"kubeadm-aws:cluster.name", "aws:region", "Platform_Dev", "instead:",
		"2 settings are refused", "Correct Pulumi.dev.yaml"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not said in:\n%s", want, stdout)
		}
	}
	code, stdout, _ = drive(t, "up", "--stack", "dev", "--dir", dir, "--json")
	events := parseEvents(t, stdout)
	if code != report.ExitInvalid || len(events) != 3 || events[0].Kind != report.KindInvalid ||
		events[2].Kind != report.KindResult || *events[2].Code != report.ExitInvalid {
		t.Errorf("exit %d, events %+v", code, events)
	}
	if _, err := os.Stat(filepath.Join(dir, ".sandbox")); !os.IsNotExist(err) {
		t.Errorf("something was started: .sandbox exists")
	}
}

func TestPlaceholdersAreRefusedOnAWS(t *testing.T) {
	fakeCLI(t, `*"stack select"*) ;; *"stack output"*) echo "{}";;`)
	dir := project(t)
	for _, tt := range []struct {
		command string
		refused bool
	}{{"up", true}, {"preview", true}, {"rebuild", true}, {"outputs", false}} {
		code, stdout, _ := drive(t, tt.command, "--stack", "dev", "--cloud", "aws", "--yes", "--dir", dir)
		if (code == report.ExitInvalid) != tt.refused {
			t.Errorf("%s with addresses for documentation exits %d:\n%s", tt.command, code, stdout)
		}
		if tt.refused && !(strings.Contains(stdout, "kubeadm-aws:access.adminCidrs") && strings.Contains(stdout, "checkip")) {
			t.Errorf("%s does not say what to do:\n%s", tt.command, stdout)
		}
	}
}

// reachable are edits that put an address into the settings of a user.
var reachable = []string{"adminCidrs: [203.0.113.0/24]", "adminCidrs: [9.9.9.9/32]"}

func TestStackWithoutSettingsIsRefused(t *testing.T) {
	code, stdout, _ := drive(t, "up", "--stack", "qa", "--dir", project(t))
	if code != report.ExitInvalid || !strings.Contains(stdout, "Pulumi.qa.yaml does not exist") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func TestCLIThatIsTooOldIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pulumi")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho v3.100.0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PULUMI", path)
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", project(t))
	if code != report.ExitCannotStart || !strings.Contains(stdout, "v3.100.0") ||
		!strings.Contains(stdout, "tools/pulumi.sh") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func TestMissingStackOnAWSSaysHowToMakeIt(t *testing.T) {
	fakeCLI(t, `*"stack select"*) echo "error: no stack named 'dev' found" >&2; exit 255;;`)
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--cloud", "aws", "--yes", "--dir", project(t, reachable...))
	if code != report.ExitCannotStart || !strings.Contains(stdout, "pulumi stack init dev") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func TestLockOfAnotherRunIsNamed(t *testing.T) {
	fakeCLI(t, `*"stack select"*) ;;
*"stack output"*) echo "{}";;
*"stack export"*) echo "{}";;
*preview*) echo "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with pulumi cancel." >&2
  echo "  s3://state/.pulumi/locks/organization/kubeadm-aws/dev/1.json: created by ci@runner-7 (pid 42) at 2026-06-01T10:00:00Z" >&2; exit 255;;`)
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--cloud", "aws", "--yes", "--dir", project(t, reachable...))
	if code != report.ExitLocked {
		t.Fatalf("exit %d, want %d: %s", code, report.ExitLocked, stdout)
	}
	for _, want := range []string{"another run holds the stack dev", "ci@runner-7 (pid 42)",
		"kubeadm-aws cancel --stack dev --cloud aws"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not said in:\n%s", want, stdout)
		}
	}
}

func TestEngineFailureIsShownOnce(t *testing.T) {
	fakeCLI(t, `*"stack select"*) ;;
*"stack export"*) echo "{}";;
*preview*) echo "noise"; echo "error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE" >&2; exit 255;;`)
	code, stdout, _ := drive(t, "preview", "--stack", "dev", "--cloud", "aws", "--dir", project(t, reachable...))
	if code != report.ExitCannotStart || strings.Count(stdout, "passphrase must be set") != 1 ||
		strings.Contains(stdout, "noise") ||
		!strings.Contains(stdout, "set PULUMI_CONFIG_PASSPHRASE, or") || strings.Contains(stdout, "Run the same command again") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
}

func TestJSONNeedsYesOnAWS(t *testing.T) {
	fakeCLI(t, `*"stack select"*) ;;
*"stack export"*) echo "{}";;`)
	code, stdout, _ := drive(t, "refresh", "--stack", "dev", "--cloud", "aws", "--json", "--dir", project(t))
	if code != report.ExitUsage || !strings.Contains(stdout, "--yes") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNextStepsAreThoseOfThePlace(t *testing.T) {
	for cloud, want := range map[string]string{
		report.CloudSandbox: "go run ./cmd/kubeadm-aws destroy --stack dev ",
		report.CloudHosts:   "go run ./cmd/kubeadm-aws verify --stack dev --cloud hosts",
		report.CloudAWS: "go run ./cmd/kubeadm-aws outputs --stack dev --cloud aws --output kubeconfig --show-secrets " +
			"> kubeconfig",
	} {
		text := fmt.Sprint(nextSteps(operation{Subject: report.Subject{Stack: "dev", Cloud: cloud}}, "blue"))
		if !strings.Contains(text, want) || strings.Contains(text, "pulumi ") ||
			strings.Contains(text, "kubectl") != (cloud != report.CloudSandbox) {
			t.Errorf("%s: next is %s, want %q", cloud, text, want)
		}
	}
}

func TestQuestionsAreAnsweredOneByOne(t *testing.T) {
	s := blue(t)
	s.in, s.out = bufio.NewReader(strings.NewReader("yes\nyes \nno\n")), io.Discard
	for i, want := range []int{report.ExitOK, report.ExitOK, report.ExitCannotStart, report.ExitCannotStart} {
		if err := s.confirm("Really?"); report.CodeOf(err) != want {
			t.Errorf("answer %d: %v, want exit code %d", i, err, want)
		}
	}
	s.op.yes = true
	if err := s.confirm("Really?"); err != nil {
		t.Errorf("with --yes: %v", err)
	}
}

const prefix = "urn:pulumi:dev::kubeadm-aws::"

// recorder keeps events.
type recorder struct{ events []report.Event }

func (r *recorder) Report(e report.Event) { r.events = append(r.events, e) }

func newTestLog(to report.Reporter) *report.Log { return &report.Log{To: to, Now: time.Now} }
