package cluster

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

// runningNodes are the nodes of deploy, at a release.
func runningNodes(release string) map[string]Running {
	return map[string]Running{"master": {Joined: release}, "worker-1": {Joined: release}, "storage": {Joined: release}}
}

func withNodes(running map[string]Running) func(*Args) {
	return func(a *Args) {
		a.Config.Nodes = nil
		for _, h := range a.Hosts {
			a.Config.Nodes = append(a.Config.Nodes, h.Node)
		}
		a.Config.Cluster.KubernetesVersion = "1.36.3"
		a.Running = running
	}
}

// dependencies returns the steps that a step waits for.
func dependencies(t *testing.T, r *recorder, step string) []string {
	t.Helper()
	var names []string
	for _, urn := range r.command(t, step).RegisterRPC.GetDependencies() {
		names = append(names, urn[strings.LastIndex(urn, "::")+2:])
	}
	return names
}

func TestStepsOfAnUpgrade(t *testing.T) {
	r := deploy(t, withNodes(runningNodes("1.35.4")))
	for step, waits := range map[string][]string{
		// Nothing changes before every running node has its packages.
		"master-init":    {"master-prepare", "worker-1-prepare", "storage-prepare"},
		"storage-drain":  {"master-init", "storage-prepare"},
		"storage-join":   {"storage-drain"},
		"storage-node":   {"storage-join"},
		"worker-1-drain": {"storage-node", "worker-1-prepare"},
		"worker-1-join":  {"worker-1-drain"},
	} {
		for _, name := range waits {
			if got := dependencies(t, r, step); !slices.Contains(got, name) {
				t.Errorf("%s does not wait for %s: %v", step, name, got)
			}
		}
	}
	if got := dependencies(t, r, "worker-1-prepare"); slices.Contains(got, "storage-node") {
		t.Errorf("worker-1 downloads its packages late: %v", got)
	}
	// A cluster at its release has no such order, whether it was upgraded before or not.
	done := Running{Joined: "1.36.3", Drained: "1.36.3", Returned: "1.36.3"}
	for _, running := range []map[string]Running{nil, runningNodes("1.36.3"),
		{"master": {Joined: "1.36.3"}, "worker-1": done, "storage": done}} {
		r := deploy(t, withNodes(running))
		if got := dependencies(t, r, "worker-1-join"); slices.Contains(got, "storage-node") {
			t.Errorf("%v: worker-1 waits for storage: %v", running, got)
		}
		if got := dependencies(t, r, "master-init"); slices.Contains(got, "worker-1-prepare") {
			t.Errorf("%v: the control plane waits for a worker: %v", running, got)
		}
		_, drains := r.commands()["worker-1-drain"]
		if drains != (running["worker-1"] == done) {
			t.Errorf("%v: drains %v", running, drains)
		}
	}
}

// An interrupted upgrade has nodes of both releases, and steps of both for one node.
func TestPlanUpgrade(t *testing.T) {
	cfg := &config.Config{Cluster: config.Cluster{KubernetesVersion: "1.36.3"}, Nodes: []config.Node{
		{Name: "m", Role: config.ControlPlane}, {Name: "w3", Role: config.Worker}, {Name: "w1", Role: config.Worker},
		{Name: "w2", Role: config.Worker}, {Name: "w0", Role: config.Worker},
	}}
	done := Running{Joined: "1.36.3", Drained: "1.36.3", Returned: "1.36.3"}
	for _, c := range []struct {
		running map[string]Running
		plan    *Upgrade
		says    string
	}{
		{nil, nil, ""},
		{map[string]Running{"m": {Joined: "1.36.3"}, "w1": done}, nil, ""},
		// The node step of older programs names no release.
		{map[string]Running{"m": {Joined: "1.36.3"}, "w1": {Joined: "1.36.3", Returned: ""}}, nil, ""},
		{map[string]Running{"m": {Joined: "1.35.4"}, "w3": {Joined: "1.35.4"}, "w1": {Joined: "1.35.4"}},
			&Upgrade{From: "1.35.4", ControlPlanes: []string{"m"}, Workers: []string{"w1", "w3"}},
			"Kubernetes 1.35.4 -> 1.36.3, in place. First m: "},
		{map[string]Running{"m": {Joined: "1.36.3"}, "w1": done, "w2": {Joined: "1.35.4", Drained: "1.36.3"}},
			&Upgrade{From: "1.35.4", Workers: []string{"w2"}}, "in place. Then one after the other: w2."},
		{map[string]Running{"m": {Joined: "1.36.3"}, "w1": {Joined: "1.36.3", Drained: "1.36.3", Returned: "1.35.4"}},
			&Upgrade{From: "1.36.3", Workers: []string{"w1"}}, "The upgrade to Kubernetes 1.36.3 goes on."},
	} {
		plan := PlanUpgrade(cfg, c.running)
		switch {
		case (plan == nil) != (c.plan == nil):
			t.Errorf("%v: plan %v", c.running, plan)
		case plan == nil:
		case plan.From != c.plan.From || !slices.Equal(plan.ControlPlanes, c.plan.ControlPlanes) ||
			!slices.Equal(plan.Workers, c.plan.Workers):
			t.Errorf("%v: plan %+v, want %+v", c.running, plan, c.plan)
		case !strings.Contains(plan.String(), c.says):
			t.Errorf("no %q in %q", c.says, plan)
		}
	}
}

// The commands of a deployment read back as the releases that they bring.
func TestReadRunning(t *testing.T) {
	texts := map[string]string{}
	r := deploy(t, withNodes(runningNodes("1.35.4")))
	for name, args := range r.commands() {
		texts[name] = text(t, args, "create")
	}
	got := ReadRunning(texts)
	want := map[string]Running{"master": {Joined: "1.36.3", Returned: "1.36.3"},
		"worker-1": {Joined: "1.36.3", Drained: "1.36.3", Returned: "1.36.3"},
		"storage":  {Joined: "1.36.3", Drained: "1.36.3", Returned: "1.36.3"}}
	for name, running := range want {
		if got[name] != running {
			t.Errorf("%s runs %+v, want %+v", name, got[name], running)
		}
	}
	if len(got) != len(want) {
		t.Errorf("nodes %v", got)
	}
}
