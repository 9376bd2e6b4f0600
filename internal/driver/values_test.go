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
