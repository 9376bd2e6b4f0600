package addons

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const definitionsKey = "/bucket/dev/rabbitmq/definitions.json"

// definitionsHost is a control plane with RabbitMQ and S3. The script's paths are moved into the folder dir.
type definitionsHost struct {
	t        *testing.T
	dir      string
	settings []string
	// stored is the content of S3 by path. refuse makes it answer AccessDenied.
	stored map[string]string
	refuse bool
}

func newDefinitionsHost(t *testing.T) *definitionsHost {
	h := &definitionsHost{t: t, dir: t.TempDir(), stored: map[string]string{}}
	s3 := httptest.NewServer(h)
	t.Cleanup(s3.Close)
	h.settings = []string{"BUCKET=bucket", "KEY=dev/rabbitmq/definitions.json", "AWS_REGION=eu-central-1",
		"S3_ENDPOINT=" + s3.URL,
		"METADATA=" + instanceMetadata(t), "METRICS=" + h.dir + "/textfile/rabbitmq_backup.prom", "SCHEDULE=*-*-* 00/6:00:00",
		"TMPDIR=" + h.dir}
	h.stub("kubectl", `echo "$*" >>`+h.dir+`/calls; echo '{"rabbitmq_version": "4.3.5", "users": [{"name": "platform"}]}'`)
	h.stub("systemctl", `echo "$*" >>`+h.dir+`/calls`)
	return h
}

func (h *definitionsHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
	}
	sum := sha256.Sum256(body)
	signed := r.Header.Get("X-Amz-Content-Sha256") == hex.EncodeToString(sum[:]) &&
		r.Header.Get("X-Amz-Security-Token") == "instance-token" &&
		strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIAINSTANCE/")
	if h.refuse || !signed || r.Method != http.MethodPut {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>refused</Message></Error>")
		return
	}
	h.stored[r.URL.Path] = string(body)
}

func (h *definitionsHost) stub(name, text string) {
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte("#!/usr/bin/env bash\n"+text+"\n"), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

func (h *definitionsHost) read(path string) string {
	text, _ := os.ReadFile(filepath.Join(h.dir, path))
	return string(text)
}

// run runs the script with arguments, or as a step without any.
func (h *definitionsHost) run(args ...string) (string, error) {
	text := strings.NewReplacer("=/etc/", "="+h.dir+"/etc/", " /usr/local/",
		" "+h.dir+"/usr/local/").Replace(readScript(h.t, "rabbitmq-backup"))
	script := filepath.Join(h.dir, "rabbitmq-backup.0a.sh")
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command("bash", append([]string{script}, args...)...)
	cmd.Env = append([]string{"PATH=" + h.dir + ":" + os.Getenv("PATH")}, h.settings...)
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "instance/secret+key") {
		h.t.Errorf("the key is printed: %s", out)
	}
	if left, _ := filepath.Glob(h.dir + "/tmp.*"); len(left) > 0 {
		h.t.Errorf("it leaves %v", left)
	}
	return string(out), err
}

func readScript(t *testing.T, name string) string {
	t.Helper()
	text, err := Scripts.ReadFile("scripts/" + name + ".sh")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metrics returns the time of the last success and whether the last run failed.
func (h *definitionsHost) metrics() (success, failed string) {
	values := regexp.MustCompile(`(?m)^kubeadm_aws_rabbitmq_backup_\w+ (.*)$`).FindAllStringSubmatch(
		h.read("textfile/rabbitmq_backup.prom"), -1)
	if len(values) != 2 {
		h.t.Fatalf("metrics: %v", values)
	}
	return values[0][1], values[1][1]
}

func TestDefinitionsReachTheBucket(t *testing.T) {
	h := newDefinitionsHost(t)
	out, err := h.run("now")
	if err != nil || !strings.Contains(h.stored[definitionsKey], `"users"`) {
		t.Fatalf("%v: %s\nstored: %v", err, out, h.stored)
	}
	if call := h.read("calls"); !strings.Contains(call,
		"exec statefulset/rabbitmq-server -c rabbitmq -- rabbitmqctl -q export_definitions -") {
		t.Errorf("kubectl %s", call)
	}
	success, failed := h.metrics()
	if success == "0" || failed != "0" {
		t.Errorf("metrics: success at %s, failed %s", success, failed)
	}
	h.refuse = true
	// A full disk has no space for a new file.
	full := filepath.Join(h.dir, "textfile/rabbitmq_backup.prom.new")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := h.run("now"); err == nil {
		t.Error(out)
	}
	if again, failed := h.metrics(); again != success || failed != "1" {
		t.Errorf("metrics on a full disk: success at %s, failed %s", again, failed)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	// A failed run and a killed one keep the time of the last success.
	for _, command := range []string{"now", "failed"} {
		if out, err := h.run(command); err == nil {
			t.Errorf("%s: %s", command, out)
		}
		if again, failed := h.metrics(); again != success || failed != "1" {
			t.Errorf("metrics after %s: success at %s, failed %s", command, again, failed)
		}
	}
}

// The cases produce every message of the script. Every failed run writes the metric for the alert.
func TestDefinitionsThatDoNotReachTheBucket(t *testing.T) {
	said := ""
	for says, spoil := range map[string]func(h *definitionsHost){
		"BUCKET is not set":                       func(h *definitionsHost) { h.settings = h.settings[1:] },
		"a temporary directory cannot be created": func(h *definitionsHost) { h.stub("mktemp", "exit 1") },
		"RabbitMQ gives no definitions: no":       func(h *definitionsHost) { h.stub("kubectl", "echo no >&2; exit 1") },
		"answers without definitions":             func(h *definitionsHost) { h.stub("kubectl", "echo '{}'") },
		"gives no credentials": func(
			h *definitionsHost) {
			h.settings = append(h.settings, "METADATA=http://127.0.0.1:1")
		},
		"definitions.json cannot be written: curl: (22) The requested URL returned error: 403<Error><Code>AccessDenied": func(
			h *definitionsHost) {
			h.refuse = true
		},
		"stopped by a signal": func(h *definitionsHost) {
			h.stub("kubectl",
				"kill -TERM $(ps -o ppid= -p $PPID); sleep 0.1")
		},
	} {
		h := newDefinitionsHost(t)
		spoil(h)
		out, err := h.run("now")
		if err == nil || !strings.Contains(out, says) || len(h.stored) > 0 {
			t.Errorf("want %q: %v, %s, stored %v", says, err, out, h.stored)
		}
		if success, failed := h.metrics(); success != "0" || failed != "1" {
			t.Errorf("%s: metrics: success at %s, failed %s", says, success, failed)
		}
		said += out
	}
	h := newDefinitionsHost(t)
	h.stub("textfile", "a file where a directory has to be")
	if out, err := h.run("now"); err != nil || !strings.Contains(out, "cannot be written") {
		t.Errorf("without metrics: %v, %s", err, out)
	}
	for _, message := range regexp.MustCompile(`die "([^$"]*)`).FindAllStringSubmatch(readScript(t,
		"rabbitmq-backup"), -1) {
		if !strings.Contains(said, message[1]) {
			t.Errorf("no test reaches %q", message[1])
		}
	}
}

func TestTimerOfDefinitionsComesAndGoes(t *testing.T) {
	h := newDefinitionsHost(t)
	out, err := h.run()
	if err != nil || out != "copies at *-*-* 00/6:00:00\n" {
		t.Fatalf("%v: %s", err, out)
	}
	if timer := h.read("etc/systemd/system/rabbitmq-backup.timer"); !strings.Contains(timer,
		"\nOnCalendar=*-*-* 00/6:00:00\n") {
		t.Errorf("the timer: %s", timer)
	}
	if service := h.read("etc/systemd/system/rabbitmq-backup.service"); !strings.Contains(service, "\nExecStopPost=") {
		t.Errorf("a killed run reports nothing: %s", service)
	}
	// The timer has no environment: the script reads the settings that it wrote.
	endpoint := h.settings
	h.settings = append(h.settings[4:6:6], h.settings[7])
	if out, err := h.run("now"); err != nil || h.stored[definitionsKey] == "" {
		t.Errorf("by the timer: %v: %s", err, out)
	}
	if installed := h.read("usr/local/sbin/rabbitmq-backup"); installed != h.read("rabbitmq-backup.0a.sh") {
		t.Errorf("the timer runs another script: %s", installed)
	}
	h.settings = append(endpoint, "ACTION=remove")
	if out, err := h.run(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	left, err := filepath.Glob(h.dir + "/*/*/*/rabbitmq-backup*")
	if err != nil || len(left) > 0 || h.read("textfile/rabbitmq_backup.prom") != "" ||
		h.read("etc/kubernetes/rabbitmq-backup.env") != "" {
		t.Errorf("the timer leaves %v", left)
	}
	if calls := h.read("calls"); !strings.Contains(calls, "enable rabbitmq-backup.timer") ||
		!strings.Contains(calls, "disable --now rabbitmq-backup.timer") {
		t.Errorf("systemctl: %s", calls)
	}
}
