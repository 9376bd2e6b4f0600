package addons

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/testenv"
)

// instanceMetadata answers as the metadata service of an instance with a role.
func instanceMetadata(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/latest/api/token":
			fmt.Fprint(w, "session-token")
		case r.Header.Get("X-aws-ec2-metadata-token") != "session-token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
			fmt.Fprint(w, "control-plane")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/control-plane":
			fmt.Fprint(w,
				`{"Code": "Success", "AccessKeyId": "AKIAINSTANCE", "SecretAccessKey": "instance/secret+key", "Token": "instance-token"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// renewCredentials runs the script with a kubectl that records its input. It returns the Secret and the output.
func renewCredentials(t *testing.T, settings ...string) (secret map[string]string, out string, err error) {
	t.Helper()
	dir := t.TempDir()
	fake := "#!/bin/sh\necho \"$*\" >>" + dir + "/calls\ncase \"$*\" in *apply*) cat >" + dir +
		"/applied ;; *get*) echo cluster/postgresql ;; esac\n"
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "scripts/backup-credentials.sh", "now")
	cmd.Env = append([]string{"PATH=" + dir + ":" + os.Getenv("PATH"), "AWS_REGION=eu-central-1",
		"ROLE_ARN=arn:aws:iam::123456789012:role/dev-postgresql-backup"}, settings...)
	text, err := cmd.CombinedOutput()
	var object struct{ Data map[string]string }
	if applied, failed := os.ReadFile(filepath.Join(dir, "applied")); failed == nil {
		if err := json.Unmarshal(applied, &object); err != nil {
			t.Fatalf("not a Secret: %v\n%s", err, applied)
		}
		calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
		if !strings.Contains(string(calls),
			"annotate cluster.postgresql.cnpg.io postgresql --overwrite kubeadm-aws/credentials-until=2") {
			t.Errorf("the Cluster does not get the time when the keys expire:\n%s", calls)
		}
	}
	secret = map[string]string{}
	for key, value := range object.Data {
		plain, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		secret[key] = string(plain)
	}
	return secret, string(text), err
}

func TestBackupCredentialsAreThoseOfTheRole(t *testing.T) {
	secret, out, err := renewCredentials(t, "STS_ENDPOINT="+testenv.StartMoto(t), "METADATA="+instanceMetadata(t))
	if err != nil || !strings.HasPrefix(out, "credentials until 2") {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.HasPrefix(secret["ACCESS_KEY_ID"], "ASIA") || secret["SECRET_ACCESS_KEY"] == "" ||
		secret["SESSION_TOKEN"] == "" || secret["REGION"] != "eu-central-1" {
		t.Errorf("the Secret holds %v", secret)
	}
	if strings.Contains(out, secret["SECRET_ACCESS_KEY"]) {
		t.Error("the key is printed")
	}
}

// A role that was made a moment ago is refused for some seconds.
func TestBackupCredentialsWaitForANewRole(t *testing.T) {
	sts, refusals := testenv.StartMoto(t), 0
	target, err := url.Parse(sts)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	young := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusals++; refusals <= 2 {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not yet</Message></Error></ErrorResponse>")
			return
		}
		forward.ServeHTTP(w, r)
	}))
	defer young.Close()
	settings := []string{"STS_ENDPOINT=" + young.URL, "METADATA=" + instanceMetadata(t), "PATIENCE=60", "INTERVAL=0"}
	if secret, out, err := renewCredentials(t, settings...); err != nil || secret["ACCESS_KEY_ID"] == "" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestBackupCredentialsNameWhatIsMissing(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform: "+
			"sts:AssumeRole</Message></Error></ErrorResponse>")
	}))
	defer refusing.Close()
	for says, settings := range map[string][]string{
		"gives no credentials":                      {"METADATA=" + refusing.URL, "STS_ENDPOINT=" + refusing.URL},
		"not authorized to perform: sts:AssumeRole": {"METADATA=" + instanceMetadata(t), "STS_ENDPOINT=" + refusing.URL},
		"STS_ENDPOINT is not set":                   {"METADATA=" + refusing.URL},
	} {
		secret, out, err := renewCredentials(t, settings...)
		if err == nil || !strings.Contains(out, says) || len(secret) > 0 {
			t.Errorf("%v says %q with the Secret %v", settings, out, secret)
		}
	}
}

func TestRestoreIsANewGeneration(t *testing.T) {
	spec := func(change func(*config.PostgreSQL)) map[string]any {
		r := install(t, nil, func(c *config.Config) { everything(c); change(&c.Addons.PostgreSQL) })
		return plainMap(r.find(t, "postgresql").inputs)
	}
	first := spec(func(*config.PostgreSQL) {})
	if _, found := first["metadata"].(map[string]any)["annotations"].(map[string]any)[GenerationAnnotation]; found {
		t.Error("a stack that was made before there were generations would get a new database")
	}
	restored := spec(func(p *config.PostgreSQL) {
		p.Generation, p.Restore = "2", config.PostgreSQLRestore{From: "postgresql", TargetTime: "2026-11-25T01:30:00Z"}
	})
	if got := restored["metadata"].(map[string]any)["annotations"].(map[string]any)[GenerationAnnotation]; got != "2" {
		t.Errorf("the generation is %v", got)
	}
	recovery := restored["spec"].(map[string]any)["bootstrap"].(map[string]any)["recovery"].(map[string]any)
	store := restored["spec"].(map[string]any)["backup"].(map[string]any)["barmanObjectStore"].(map[string]any)
	source := restored["spec"].(map[string]any)["externalClusters"].([]any)[0].(map[string]any)
	if recovery["source"] != source["name"] ||
		source["barmanObjectStore"].(map[string]any)["serverName"] != "postgresql" || store["serverName"] != "postgresql-2-20260301t120000" {
		t.Errorf("restores %v from %v into %v", recovery, source, store)
	}
}

func TestARestoreMayTakeHours(t *testing.T) {
	of := func(restore config.PostgreSQLRestore) registered {
		r := install(t, nil, func(c *config.Config) {
			everything(c)
			if c.Addons.PostgreSQL.Restore = restore; restore.From != "" {
				c.Addons.PostgreSQL.Generation = "2"
			}
		})
		return r.find(t, "postgresql")
	}
	if got := of(config.PostgreSQLRestore{}).timeout; got != "12m0s" {
		t.Errorf("an empty database has %s", got)
	}
	if got := of(config.PostgreSQLRestore{From: "postgresql"}).timeout; got != "6h2m0s" {
		t.Errorf("a restore has %s", got)
	}
	restored := config.PostgreSQL{Generation: "2", Restore: config.PostgreSQLRestore{From: "postgresql"}}
	for _, c := range []struct {
		before Database
		want   time.Duration
	}{
		{Database{Image: postgresqlImage}, moveTimeout}, // the generation before
		{Database{Image: postgresqlImage, Generation: "2", NotReady: true}, moveTimeout},
		{Database{Image: postgresqlImage, Generation: "2"}, 0},
	} {
		p := postgreSQL{&builder{cfg: &config.Config{}, args: Args{Database: c.before}}}
		p.cfg.Addons.PostgreSQL = restored
		if got := p.readyTimeout(); got != c.want {
			t.Errorf("with %+v in the state: %s", c.before, got)
		}
	}
	for before, want := range map[string]time.Duration{
		"": 0, postgresqlImage: 0, "registry:5000/cnpg/postgresql:" + major(postgresqlImage) + ".1": 0,
		"registry:5000/cnpg/postgresql:9.6": moveTimeout,
	} {
		p := postgreSQL{&builder{cfg: &config.Config{}, args: Args{Database: Database{Image: before}}}}
		if got := p.readyTimeout(); got != want {
			t.Errorf("from %q: %s", before, got)
		}
	}
}

// Switching backups off removes the timer and the keys. Otherwise the timer would fail every 20 minutes.
func TestTimerOfBackupCredentialsGoes(t *testing.T) {
	dir := t.TempDir()
	text := readScript(t, "backup-credentials")
	for _, folder := range []string{"/etc/", "/usr/local/sbin/"} {
		text = strings.ReplaceAll(text, " "+folder, " "+dir+folder)
		text = strings.ReplaceAll(text, "="+folder, "="+dir+folder)
	}
	for name, content := range map[string]string{
		"script": text, "etc/systemd/system/postgresql-backup-credentials.timer": "x", "etc/kubernetes/postgresql-backup.env": "x",
		"etc/systemd/system/postgresql-backup-credentials.service": "x", "usr/local/sbin/postgresql-backup-credentials": "x",
		"kubectl":   "#!/bin/sh\necho kubectl \"$@\" >>" + dir + "/calls\n",
		"systemctl": "#!/bin/sh\necho systemctl \"$@\" >>" + dir + "/calls\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", filepath.Join(dir, "script"))
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "ACTION=remove")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left, err := filepath.Glob(dir + "/*/*/*/postgresql-backup*")
	env, _ := filepath.Glob(dir + "/etc/kubernetes/*")
	if err != nil || len(left)+len(env) > 0 {
		t.Errorf("it leaves %v %v", left, env)
	}
	calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
	for _, want := range []string{"disable --now postgresql-backup-credentials.timer", "daemon-reload",
		"-n data delete secret postgresql-backup"} {
		if !strings.Contains(string(calls), want) {
			t.Errorf("no %q in %s", want, calls)
		}
	}
	step := install(t, nil, everything).find(t, "postgresql-backup-credentials")
	if removal := step.inputs["delete"]; !removal.IsString() || !strings.Contains(removal.StringValue(), "ACTION='remove'") {
		t.Errorf("switching backups off runs %v", removal)
	}
}
