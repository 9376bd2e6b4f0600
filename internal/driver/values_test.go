package driver

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
)

func TestAMisspeltHelmValueIsWarnedOf(t *testing.T) {
	cfg, err := config.LoadFile("dev", "../..")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Addons.Redis.Values = map[string]any{"replica": map[string]any{"enabeld": true}}
	var out bytes.Buffer
	if err := warnOfValues(cfg, &report.Log{Now: time.Now, To: report.JSON{Out: &out}}); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "addons.redis.values") ||
		!strings.Contains(text, `"severity":"warning"`) {
		t.Errorf("the driver says %q", text)
	}
}

// A secret of the settings is secret in a simulation too, which has no key for it and takes a placeholder.
func TestASecretOfTheSettingsStaysSecretInASimulation(t *testing.T) {
	needCLI(t)
	dir := project(t, "name: platform-dev", "name: platform-dev\n  kubeadm-aws:grafanaPassword: {secure: v1:abc:def}")
	for _, changes := range []string{"create 1", "nothing changes"} {
		code, stdout, stderr := drive(t, "up", "--stack", "dev", "--dir", dir)
		if code != report.ExitOK || !strings.Contains(stdout, changes) {
			t.Fatalf("up exits %d without %q:\n%s%s", code, changes, stdout, stderr)
		}
		if strings.Contains(stdout, "plain text") {
			t.Errorf("up says that the secret is known:\n%s", stdout)
		}
	}
}
