package cluster

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

// threeRunning makes all nodes of deploy control planes and adds worker-9. initialised began the cluster.
func threeRunning(initialised string, running map[string]Running) func(*Args) {
	return func(a *Args) {
		worker := a.Hosts[1]
		worker.Name = "worker-9"
		for i := range a.Hosts {
			a.Hosts[i].Role = config.ControlPlane
		}
		a.Hosts = append(a.Hosts, worker)
		a.Initialised, a.Config.Initialised = initialised, initialised
		withNodes(running)(a)
	}
}

// TestStepsOfAnUpgradeOfThree upgrades one control plane after the other, then the workers.
func TestStepsOfAnUpgradeOfThree(t *testing.T) {
	running := runningNodes("1.35.4")
	running["worker-9"] = Running{Joined: "1.35.4"}
	r := deploy(t, threeRunning("storage", running))
	for step, waits := range map[string][]string{
		"storage-init":   {"storage-prepare", "master-prepare", "worker-1-prepare", "worker-9-prepare"},
		"master-drain":   {"storage-init", "master-prepare"},
		"master-join":    {"master-drain"},
		"worker-1-drain": {"master-join"},
		"worker-1-join":  {"worker-1-drain"},
		"worker-9-drain": {"worker-1-join"},
		"worker-9-join":  {"worker-9-drain"},
	} {
		for _, name := range waits {
			if got := dependencies(t, r, step); !slices.Contains(got, name) {
				t.Errorf("%s does not wait for %s: %v", step, name, got)
			}
		}
	}
	if _, drains := r.commands()["storage-drain"]; drains {
		t.Error("the control plane that decides whose turn it is waits for itself")
	}
	command := text(t, r.commands()["master-drain"], "create")
	for _, want := range []string{"ROLE='control-plane'", "PROVIDER_ID="} {
		if !strings.Contains(command, want) {
			t.Errorf("no %s in %s", want, command)
		}
	}
	// A worker that is new waits for every API server.
	delete(running, "worker-9")
	r = deploy(t, threeRunning("storage", running))
	if got := dependencies(t, r, "worker-9-join"); !slices.Contains(got, "worker-1-join") {
		t.Errorf("a new worker joins before the API servers have its release: %v", got)
	}
	// In a cluster at its release it does not.
	r = deploy(t, threeRunning("storage", runningNodes("1.36.3")))
	if got := dependencies(t, r, "worker-9-join"); slices.Contains(got, "worker-1-join") {
		t.Errorf("a new worker waits for all control planes: %v", got)
	}
}

// TestPlanOfAnUpgradeOfThree names the control planes in their order, from the one at which an update stopped.
func TestPlanOfAnUpgradeOfThree(t *testing.T) {
	cfg := &config.Config{Cluster: config.Cluster{KubernetesVersion: "1.36.3"}, Initialised: "m2", Nodes: []config.Node{
		{Name: "m3", Role: config.ControlPlane}, {Name: "a", Role: config.Worker}, {Name: "m1", Role: config.ControlPlane},
		{Name: "m2", Role: config.ControlPlane},
	}}
	old := Running{Joined: "1.35.4", Returned: "1.35.4"}
	half := Running{Joined: "1.35.4", Drained: "1.36.3", Returned: "1.35.4"}
	done := Running{Joined: "1.36.3", Drained: "1.36.3", Returned: "1.36.3"}
	for _, c := range []struct {
		first, second, third Running
		says, out            string
	}{
		{old, old, old, "First m2: checks that change nothing, a snapshot of etcd, then the control plane. Its API does not " +
			"answer up to three times, for half a minute at most; pods keep running. Then the other control planes one after " +
			"the other: m1, m3. ", ""},
		{done, half, old, "in place. Then the other control planes one after the other: m1, m3. ", "m1"},
		{done, done, half, "in place. Then the other control planes one after the other: m3. ", "m3"},
		{done, done, done, "in place. Then one after the other: a. ", "a"},
	} {
		plan := PlanUpgrade(cfg, map[string]Running{"m2": c.first, "m1": c.second, "m3": c.third, "a": old})
		if plan == nil || !strings.Contains(plan.String(), c.says) || plan.OutOfService() != c.out {
			t.Errorf("no %q in %v, or out of service is not %q", c.says, plan, c.out)
		}
	}
}
