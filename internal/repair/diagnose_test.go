package repair

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	check "kubeadm-aws/internal/verify"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func ago(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }

// ward is a stack of one control plane and four workers in which all is well.
func ward() Facts {
	f := Facts{
		Now:      now,
		Settings: &config.Config{Region: "eu-central-1", Repair: config.Repair{NotReadyMinutes: 15, MaxUnhealthyPercent: 40}},
		Kept:     func(check.NodeHealth) ([]string, error) { return nil, nil },
	}
	f.Settings.Network.Zones = []string{"a", "b", "c"}
	for i, name := range []string{"master", "a", "b", "c", "d"} {
		role := config.Worker
		if i == 0 {
			role = config.ControlPlane
		}
		f.Settings.Nodes = append(f.Settings.Nodes, config.Node{Name: name, Role: role, Zone: i % 3})
		f.Machines = append(f.Machines, account.Machine{Name: name, ID: "i-" + name, URN: "urn:" + name, State: "running",
			ControlPlane: i == 0, Launched: ago(1000)})
		f.Joined = append(f.Joined, name)
		f.Nodes = append(f.Nodes, check.NodeHealth{Name: name, Instance: "i-" + name, Ready: true, Since: ago(1000)})
	}
	return f
}

// node and machine are those of a worker.
func (f Facts) health(name string) *check.NodeHealth {
	return &f.Nodes[slices.IndexFunc(f.Nodes, func(n check.NodeHealth) bool { return n.Name == name })]
}

func (f Facts) machine(name string) *account.Machine {
	return &f.Machines[slices.IndexFunc(f.Machines, func(m account.Machine) bool { return m.Name == name })]
}

func notReady(f *Facts, name string, minutes int) {
	f.health(name).Ready, f.health(name).Since = false, ago(minutes)
}

// TestWhatCountsAsFailed goes through everything that can be wrong with a node.
func TestWhatCountsAsFailed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Facts)
		// replace is the worker to replace, or "". says is a part of what is said about the node.
		replace, says string
		left          bool
	}{
		"all well":            {change: func(*Facts) {}},
		"machine terminated":  {change: func(f *Facts) { f.machine("a").State = "terminated" }, replace: "a", says: "terminated"},
		"machine ending":      {change: func(f *Facts) { f.machine("a").State = "shutting-down" }, replace: "a"},
		"machine gone":        {change: func(f *Facts) { f.machine("a").State = "gone" }, replace: "a"},
		"not ready for long":  {change: func(f *Facts) { notReady(f, "a", 15) }, replace: "a", says: "not Ready since"},
		"not ready, restarts": {change: func(f *Facts) { notReady(f, "a", 14) }, says: "after 15m0s"},
		"stopped by a person": {change: func(f *Facts) {
			f.machine("a").State, f.machine("a").Reason = "stopped", "Client.UserInitiatedShutdown"
			notReady(f, "a", 600)
		}, says: "so it stays"},
		"shut down from inside": {change: func(f *Facts) {
			f.machine("a").State, f.machine("a").Reason = "stopped", "Client.InstanceInitiatedShutdown"
		}, says: "so it stays"},
		"stopped for no known reason": {change: func(f *Facts) { f.machine("a").State = "stopped" }, says: "so it stays"},
		"stopped by AWS": {change: func(f *Facts) {
			f.machine("a").State, f.machine("a").Reason = "stopped", "Server.ScheduledStop"
		}, replace: "a", says: "stopped by AWS"},
		"status check, AWS may recover": {change: func(f *Facts) { f.machine("a").FailedSince = ago(9) }, says: "after 10m0s"},
		"status check for long":         {change: func(f *Facts) { f.machine("a").FailedSince = ago(10) }, replace: "a"},
		"status check and not ready": {change: func(f *Facts) {
			f.machine("a").FailedSince = ago(2)
			notReady(f, "a", 16)
		}, replace: "a", says: "not Ready"},
		"node deleted": {change: func(f *Facts) {
			f.Nodes = slices.DeleteFunc(f.Nodes, func(n check.NodeHealth) bool { return n.Name == "a" })
		}, replace: "a", says: "no node of it"},
		"node of another machine": {change: func(f *Facts) { f.health("a").Instance = "i-former" }, replace: "a"},
		"node not there yet": {change: func(f *Facts) {
			f.machine("a").Launched = ago(3)
			f.health("a").Instance = "i-former"
		}, says: "after 15m0s"},
		"an operator works on it": {change: func(f *Facts) {
			notReady(f, "a", 60)
			f.health("a").Off = true
		}, says: "kubeadm-aws/repair=off"},
		"control plane": {change: func(f *Facts) { notReady(f, "master", 60) }, left: true, says: "docs/recovery.md"},
		"control plane restarts": {change: func(f *Facts) { notReady(f, "master", 5) },
			says: "after 15m0s"},
		"never joined": {change: func(f *Facts) {
			f.Joined = slices.DeleteFunc(f.Joined, func(n string) bool { return n == "a" })
		}, left: true, says: "up does that"},
		"machine lost from the state": {change: func(f *Facts) {
			f.Machines = slices.DeleteFunc(f.Machines, func(m account.Machine) bool { return m.Name == "a" })
		}, left: true, says: "up does that"},
		"in the settings only": {change: func(f *Facts) {
			f.Machines = slices.DeleteFunc(f.Machines, func(m account.Machine) bool { return m.Name == "a" })
			f.Joined = slices.DeleteFunc(f.Joined, func(n string) bool { return n == "a" })
		}, says: "in the settings only"},
		"its replacement was interrupted": {change: func(f *Facts) {
			f.Joined = slices.DeleteFunc(f.Joined, func(n string) bool { return n == "a" })
			f.History = History{Unfinished: map[string]string{"a": "i-former"}}
		}, replace: "a", says: "interrupted"},
		"a pod lives only there": {change: func(f *Facts) {
			notReady(f, "a", 60)
			f.Kept = func(check.NodeHealth) ([]string, error) { return []string{"pod x stays"}, nil }
		}, left: true, says: "pod x stays"},
		"a pod lived there, and the machine has ended": {change: func(f *Facts) {
			f.machine("a").State = "terminated"
			f.Kept = func(check.NodeHealth) ([]string, error) { return []string{"pod x stays"}, nil }
		}, replace: "a"},
		"replaced a moment ago": {change: func(f *Facts) {
			notReady(f, "a", 20)
			f.History.Began = map[string][]time.Time{"a": {ago(59)}}
		}, left: true, says: "not replaced again before"},
		"replaced before the cool-down": {change: func(f *Facts) {
			notReady(f, "a", 20)
			f.History.Began = map[string][]time.Time{"a": {ago(60)}}
		}, replace: "a"},
		"replaced twice": {change: func(f *Facts) {
			notReady(f, "a", 20)
			f.History.Began = map[string][]time.Time{"a": {ago(1400), ago(300)}}
		}, left: true, says: "does not help"},
		"replaced twice, long ago": {change: func(f *Facts) {
			notReady(f, "a", 20)
			f.History.Began = map[string][]time.Time{"a": {ago(1440), ago(300)}}
		}, replace: "a"},
		"a repair was killed before it ended the machine": {change: func(f *Facts) {
			notReady(f, "a", 20)
			f.History = History{Began: map[string][]time.Time{"a": {ago(5)}}, Unfinished: map[string]string{"a": "i-a"}}
		}, replace: "a"},
		"another worker was replaced": {change: func(f *Facts) {
			notReady(f, "a", 20)
			f.History.Began = map[string][]time.Time{"b": {ago(5)}}
		}, replace: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			f := ward()
			c.change(&f)
			d, err := Diagnose(f)
			if err != nil {
				t.Fatal(err)
			}
			var replaced []string
			for _, p := range d.Replace {
				replaced = append(replaced, p.Name)
				d.Notes = append(d.Notes, p.String())
			}
			if got := strings.Join(replaced, " "); got != c.replace || (len(d.Left) > 0) != c.left {
				t.Errorf("replaces %q, leaves %v", got, d.Left)
			}
			if said := strings.Join(append(d.Notes, d.Left...), "\n"); !strings.Contains(said, c.says) || c.says == "" &&
				c.replace == "" && said != "" {
				t.Errorf("says %q", said)
			}
		})
	}
}

// TestTooManyAreNotReplaced counts what is unhealthy against the share of the settings.
func TestTooManyAreNotReplaced(t *testing.T) {
	for _, c := range []struct {
		unhealthy string
		percent   int
		tooMany   bool
		zones     string
	}{
		{"", 40, false, ""},
		{"a", 40, false, "eu-central-1b"},
		{"a", 1, false, "eu-central-1b"},
		{"a d", 40, true, "eu-central-1b"},
		{"a b", 40, true, "eu-central-1b eu-central-1c"},
		{"a b", 50, false, "eu-central-1b eu-central-1c"},
		{"a b c d", 100, false, "eu-central-1b eu-central-1c eu-central-1a"},
		// A control plane is no worker.
		{"master a", 40, false, "eu-central-1b"},
	} {
		f := ward()
		for _, name := range strings.Fields(c.unhealthy) {
			notReady(&f, name, 5) // it does not count as failed yet, and may be a part of something large
		}
		d, err := Diagnose(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.TooMany(c.percent); got != c.tooMany || strings.Join(d.Zones, " ") != c.zones {
			t.Errorf("%q of four at %d %%: too many is %v, zones %v", c.unhealthy, c.percent, got, d.Zones)
		}
	}
	f := ward()
	for _, name := range []string{"a", "b", "c"} {
		f.machine(name).State, f.machine(name).Reason = "stopped", "Client.UserInitiatedShutdown"
	}
	if d, _ := Diagnose(f); d.TooMany(40) || d.Unhealthy != 0 {
		t.Errorf("machines that someone stopped count as unhealthy: %d", d.Unhealthy)
	}
}

// TestHistorySurvives writes a history and reads it, and counts a replacement that goes on once.
func TestHistorySurvives(t *testing.T) {
	first := FailedWorker{Name: "a", URN: "urn:a", Machine: "i-a"}
	h := History{Began: map[string][]time.Time{"a": {ago(1500)}, "b": {ago(1500)}}}.Begin(first, now)
	if len(h.Began) != 1 || !slices.Equal(h.Began["a"], []time.Time{now}) {
		t.Errorf("what is older than a day is kept: %v", h.Began)
	}
	h = parse(h.format())
	if h.Unfinished["a"] != "i-a" || !slices.Equal(h.Began["a"], []time.Time{now}) {
		t.Errorf("read %+v", h)
	}
	for _, p := range []FailedWorker{first, {Name: "a"}} {
		if again := h.Begin(p, now.Add(time.Minute)); len(again.Began["a"]) != 1 || again.Unfinished["a"] != "i-a" {
			t.Errorf("%+v: a replacement that goes on counts twice: %+v", p, again)
		}
	}
	other := h.Begin(FailedWorker{Name: "a", URN: "urn:a", Machine: "i-new"}, now.Add(time.Hour))
	if len(other.Began["a"]) != 2 || len(h.Began["a"]) != 1 {
		t.Errorf("another replacement: %v; the former history: %v", other.Began, h.Began)
	}
	if end := parse(other.End("a").format()); len(end.Unfinished) > 0 || len(end.Began["a"]) != 2 {
		t.Errorf("read %+v", end)
	}
	if keys := slices.Collect(maps.Keys(History{}.format().Metadata.Annotations)); len(keys) > 0 {
		t.Errorf("annotations %v of an empty history", keys)
	}
}

// TestAnUnfinishedReplacementIsNotForgotten lets another worker fail while one has neither machine nor steps.
func TestAnUnfinishedReplacementIsNotForgotten(t *testing.T) {
	f := ward()
	lost := func(name string) {
		f.Machines = slices.DeleteFunc(f.Machines, func(m account.Machine) bool { return m.Name == name })
		f.Joined = slices.DeleteFunc(f.Joined, func(n string) bool { return n == name })
	}
	diagnose := func(want string) Diagnosis {
		t.Helper()
		d, err := Diagnose(f)
		var replaced []string
		for _, p := range d.Replace {
			replaced = append(replaced, p.Name)
		}
		if got := strings.Join(replaced, " "); err != nil || got != want {
			t.Errorf("replaces %q, want %q: %v %v", got, want, d, err)
		}
		return d
	}
	f.machine("b").State = "terminated"
	f.History = f.History.Begin(diagnose("b").Replace[0], now)
	lost("b")
	f.machine("a").State = "terminated"
	d := diagnose("b a")
	f.History = parse(d.History.Begin(d.Replace[1], now).End("a").format())
	f.machine("a").State = "running"
	diagnose("b")

	// Without the record of what is unfinished, for example of an older driver, a person is told.
	f.History.Unfinished = nil
	if d := diagnose(""); len(d.Left) != 1 || !strings.Contains(d.Left[0], "up does that") {
		t.Errorf("left %v, notes %v", d.Left, d.Notes)
	}

	// A replacement that up has finished, and one of a worker that left the settings.
	f = ward()
	f.History.Unfinished = map[string]string{"a": "i-former", "gone": "i-gone"}
	if d := diagnose(""); len(d.History.Unfinished) > 0 {
		t.Errorf("unfinished %v", d.History.Unfinished)
	}
}
