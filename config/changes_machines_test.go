package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestMachinesThatCannotChangeInPlace refuses what AWS does not do to a machine that runs, or does to several at once.
// A new generation replaces the machines, one after the other.
func TestMachinesThatCannotChangeInPlace(t *testing.T) {
	made := Made{}
	for _, name := range []string{"w-1", "w-2", "s", "m"} {
		made["nodes["+name+"].instanceType"], made["nodes["+name+"].spot"] = "t3.medium", name == "s"
		made["nodes["+name+"].machineGeneration"] = "ubuntu-24.04/"
	}
	made["nodes[m].instanceType"], made["nodes[m].role"] = "t3.large", ControlPlane
	const size, other = "instanceType: t3.medium", "instanceType: t3.large"
	const spot, twice = "spot: true", "several workers would stop"
	for _, c := range []struct{ workers, spot, refused, says string }{
		{size, spot, "", ""},
		{other, spot, "nodes[1].instanceType", twice},
		{other, spot, "nodes[1].instanceType", `another nodes[1].generation, such as "t3.large"`},
		{other + ", generation: '2'", spot, "", ""},
		{"instanceType: t4g.large", spot, "", ""}, // another architecture is another machine
		{size, spot + ", " + other, "", ""},       // replaced
		{size, "spot: false", "nodes[2].spot", `another nodes[2].generation, such as "on-demand"`},
		{size, "spot: false, generation: '2'", "", ""},
		{size, "spot: false, zone: 1", "", ""},
	} {
		settings := fmt.Sprintf("nodes: [{name: m, role: control-plane, instanceType: t3.large}, {name: w, count: 2, %s}, "+
			"{name: s, instanceType: t3.medium, taints: [{key: spot, effect: NoSchedule}], %s}]", c.workers, c.spot)
		settings = strings.Replace(settings, size+", taints", "taints", strings.Count(c.spot, other))
		cfg, err := loadText(t, "dev", settings)
		if err != nil {
			t.Fatal(err)
		}
		made["nodes[s].availabilityZone"] = "eu-central-1a"
		changes, _ := cfg.RefuseChanges(made).(Changes)
		switch {
		case c.refused == "" && len(changes) > 0:
			t.Errorf("%s: refused: %v", settings, changes)
		case c.refused != "" && (len(changes) != 1 || changes[0].Key != Namespace+":"+c.refused ||
			!strings.Contains(changes.Error(), c.says)):
			t.Errorf("%s: want %s and %q in one refusal, got %v", settings, c.refused, c.says, changes)
		}
	}

	one := "nodes: [{name: m, role: control-plane, instanceType: t3.large}, {name: w-1, instanceType: t3.large}, " +
		"{name: w-2, instanceType: t3.medium}]"
	cfg, err := loadText(t, "dev", one)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.RefuseChanges(made); err != nil {
		t.Errorf("one worker of another type: %v", err)
	}
}
