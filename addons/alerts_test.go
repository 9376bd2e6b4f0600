package addons

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"kubeadm-aws/config"
)

var ownMetric = regexp.MustCompile(`kubeadm_aws_\w+`)

// A metric whose name differs from the script's would never fire and never be displayed.
func TestSnapshotMetricsAreTheScripts(t *testing.T) {
	text := readScript(t, "rabbitmq-backup")
	for _, name := range []string{"etcd-snapshot", "reboot"} {
		script, err := os.ReadFile("../cluster/scripts/" + name + ".sh")
		if err != nil {
			t.Fatal(err)
		}
		text += string(script)
	}
	written := map[string]bool{}
	for _, name := range ownMetric.FindAllString(text, -1) {
		written[name] = true
	}
	for _, name := range []string{backupTime, backupFailed, definitionsTime, definitionsFailed, rebootRequired} {
		if !written[name] {
			t.Errorf("alerts ask for %s, which the script does not write", name)
		}
	}
	dashboard, err := os.ReadFile("dashboards/platform.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ownMetric.FindAllString(string(dashboard), -1) {
		if !written[name] {
			t.Errorf("the dashboard asks for %s, which the script does not write", name)
		}
	}
}

func TestDashboardsAreComplete(t *testing.T) {
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	ids := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			UID, Title string
			Panels     []struct {
				Title   string
				Targets []struct{ Expr string }
				GridPos struct{ X, Y, W, H int }
			}
		}
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if board.UID == "" || board.Title == "" || ids[board.UID] != "" {
			t.Errorf("%s: needs a title and a uid of its own, not %q", file, board.UID)
		}
		ids[board.UID] = file
		for i, p := range board.Panels {
			if p.Title == "" || len(p.Targets) == 0 || p.Targets[0].Expr == "" {
				t.Errorf("%s: panel %d shows nothing", file, i)
			}
			if p.GridPos.W == 0 || p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: panel %q is outside of the grid", file, p.Title)
			}
		}
	}
}

// Every alert must tell the person on call what to do.
func TestAlertsHaveInstructions(t *testing.T) {
	cfg, err := config.LoadFile("dev", "..")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for group, alerts := range alertGroups(cfg) {
		for _, a := range alerts {
			if names[a.name] {
				t.Errorf("%s: two alerts are called %s", group, a.name)
			}
			names[a.name] = true
			if a.expr == "" || a.wait == "" || a.summary == "" || a.action == "" ||
				(a.severity != "warning" && a.severity != "critical") {
				t.Errorf("%s: %s is incomplete", group, a.name)
			}
		}
	}
}
