package driver

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
)

// previewPlan returns the event of the plan.
func previewPlan(t *testing.T, dir string) report.Event {
	t.Helper()
	code, stdout, stderr := drive(t, "preview", "--stack", "dev", "--dir", dir, "--json")
	if code != report.ExitOK {
		t.Fatalf("preview exits %d:\n%s%s", code, stdout, stderr)
	}
	return eventOf(t, stdout, report.KindPlan)
}

func eventOf(t *testing.T, stdout, kind string) report.Event {
	t.Helper()
	all := parseEvents(t, stdout)
	i := slices.IndexFunc(all, func(e report.Event) bool { return e.Kind == kind })
	if i < 0 {
		t.Fatalf("no event %s in\n%s", kind, stdout)
	}
	for _, e := range all {
		if e.Severity == "warning" && strings.Contains(e.Message, "duration") {
			t.Error(e.Message)
		}
	}
	return all[i]
}

// stepsOn returns which of the resources are on a critical path, in its order.
func stepsOn(path []report.PathStep, resources string) string {
	var found []string
	for _, p := range path {
		if slices.Contains(strings.Split(resources, "|"), p.Resource) {
			found = append(found, p.Resource)
		}
	}
	return strings.Join(found, "|")
}

// A plan says how long it takes: a new stack as long as its timeline says later, a change only what it does.
func TestAPlanSaysHowLongItTakes(t *testing.T) {
	needCLI(t)
	older, newer := config.Releases[0].Version, config.DefaultRelease().Version
	const name = "name: platform-dev"
	release := func(version string) string { return name + "\n    kubernetesVersion: " + version }
	nodes := func(worker string, more ...string) string {
		return release(older) + "\n  kubeadm-aws:nodes:\n    - {name: master, role: control-plane}\n    - {name: worker-1" +
			worker + "}\n    - {name: worker-2}\n    - {name: storage, labels: {workload: storage}}" + strings.Join(more, "")
	}
	dir := project(t, name, nodes(""))
	file := filepath.Join(dir, "Pulumi.dev.yaml")
	t.Setenv("TMPDIR", t.TempDir())
	code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir, "--json")
	if code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	planned, later := eventOf(t, stdout, report.KindPlan), eventOf(t, stdout, report.KindTimeline)
	if math.Abs(planned.Seconds-later.Seconds) > 0.03*later.Seconds || len(planned.Path) != len(later.Path) {
		t.Errorf("planned %v s:\n%v\nthe timeline has %v s:\n%v", planned.Seconds, planned.Path, later.Seconds, later.Path)
	}
	if e := previewPlan(t, dir); e.Seconds != 0 || e.Message != "" || e.Path != nil {
		t.Errorf("nothing changes and takes %v s: %q %v", e.Seconds, e.Message, e.Path)
	}
	for _, tt := range []struct {
		what, settings string
		seconds        [2]float64
		path, not      string // what the critical path has in this order, and what it does not have
		says           string
	}{
		{"a label", nodes(", labels: {a: b}"), [2]float64{2, 10}, "worker-1 node", "master init|worker-1 join|nodes-ready", "a few seconds"},
		{"a worker is added", nodes("", "\n    - {name: worker-3}"), [2]float64{100, 200},
			"worker-3 (Instance)|worker-3 ready|worker-3 prepare|worker-3 join|worker-3 node", "master init|worker-1 join", "about 2 min"},
		{"a worker is replaced", nodes(`, generation: "2"`), [2]float64{150, 280},
			"delete worker-1 node|delete worker-1 (Instance)|worker-1 (Instance)|worker-1 ready|worker-1 join", "master init", "about 3 min"},
		{"an upgrade", strings.Replace(nodes(""), older, newer, 1), [2]float64{290, 330},
			"master init|storage drain|storage join|storage node|worker-1 drain|worker-1 join|worker-1 node|worker-2 drain|" +
				"worker-2 join",
			"master (Instance)", "for master, storage, worker-1, worker-2 one after the other"},
	} {
		edit(t, file, nodes(""), tt.settings)
		e := previewPlan(t, dir)
		edit(t, file, tt.settings, nodes(""))
		if path := stepsOn(e.Path, tt.path+"|"+tt.not); path != tt.path {
			t.Errorf("%s: the critical path is\n%v\nit has %s\nwant %s", tt.what, e.Path, path, tt.path)
		}
		if e.Seconds < tt.seconds[0] || e.Seconds > tt.seconds[1] || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%s takes %v s: %q", tt.what, e.Seconds, e.Message)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "kubeadm-aws-plan*")); len(left) > 0 {
		t.Errorf("the plans are left: %v", left)
	}
}

// An upgrade of three control planes and three workers takes each node in its turn, and so does its duration.
func TestAnUpgradeOfThreeTakesEachInTurn(t *testing.T) {
	needCLI(t)
	older, newer := config.Releases[0].Version, config.DefaultRelease().Version
	dir := project(t, "name: platform-dev", "name: platform-dev\n    kubernetesVersion: "+older+`
  kubeadm-aws:nodes:
    - {name: m2, role: control-plane}
    - {name: m1, role: control-plane}
    - {name: m3, role: control-plane}
    - {name: worker-2}
    - {name: worker-1}
    - {name: storage, labels: {workload: storage}}`)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	edit(t, filepath.Join(dir, "Pulumi.dev.yaml"), "kubernetesVersion: "+older, "kubernetesVersion: "+newer)
	e := previewPlan(t, dir)
	const inTurn = "m1 init|m2 drain|m2 join|m3 drain|m3 join|storage drain|storage join|worker-1 drain|worker-1 join|" +
		"worker-2 drain|worker-2 join|worker-2 node"
	if path := stepsOn(e.Path, inTurn); path != inTurn {
		t.Errorf("the critical path is\n%v\nwant %s", e.Path, inTurn)
	}
	if !strings.Contains(e.Message, "for m1, m2, m3, storage, worker-1, worker-2 one after the other") {
		t.Errorf("the plan says %q of\n%v", e.Message, e.Path)
	}
}
