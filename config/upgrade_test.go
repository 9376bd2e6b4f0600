package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestRefuseUpgrade(t *testing.T) {
	for _, c := range []struct{ from, to, reason, instead string }{
		{"1.35.4", "1.35.4", "", ""}, {"1.35.4", "1.35.5", "", ""}, {"1.35.9", "1.35.10", "", ""},
		{"1.35.4", "1.36.0", "", ""},
		{"1.36.3", "1.36.2", "cannot go back to an older release", `"1.36.3"; the ways back are in docs/upgrade.md`},
		{"1.36.10", "1.36.9", "cannot go back", `"1.36.10"`}, {"1.36.0", "1.35.9", "cannot go back", `"1.36.0"`},
		{"1.34.2", "1.36.3", "one minor release at a time",
			`"` + Releases[0].Version + `", and "1.36.3" in an up after that`},
		{"1.33.2", "1.36.3", "one minor release at a time", "a release of 1.34; this program has none"},
	} {
		reason, instead := refuseUpgrade(c.from, c.to)
		if (reason == "") != (c.reason == "") || !strings.Contains(reason, c.reason) ||
			!strings.Contains(instead, c.instead) {
			t.Errorf("%s -> %s: %q, instead %q", c.from, c.to, reason, instead)
		}
	}
}

// TestUpgradeOfARunningStack reads the release and the machines of a running stack.
func TestUpgradeOfARunningStack(t *testing.T) {
	const newer = "cluster: {kubernetesVersion: 1.36.3}\n"
	nodes := func(worker string) string {
		return "nodes: [{name: m, role: control-plane, instanceType: t3.large}, {name: w, instanceType: " + worker + "}]\n"
	}
	made := func(release string) Made {
		return Made{versionKey: release}
	}
	for _, c := range []struct {
		made     Made
		settings string
		says     []string
	}{
		{made("1.35.4"), newer + nodes("t3.medium"), nil},
		{Made{}, newer + nodes("t3.medium"), nil},
		{made("1.36.4"), newer + nodes("t3.medium"), []string{
			`cluster.kubernetesVersion = "1.36.3"`, `is "1.36.4" on the running stack: etcd and the objects in it`}},
	} {
		cfg, err := loadText(t, "dev", c.settings)
		if err != nil {
			t.Fatal(err)
		}
		err = cfg.RefuseChanges(c.made)
		if (err == nil) != (c.says == nil) {
			t.Errorf("%s: %v", c.settings, err)
		}
		for _, want := range c.says {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
	}
}

// TestRefuseMachineChanges changes each setting that stops or replaces a machine.
func TestRefuseMachineChanges(t *testing.T) {
	made := Made{"nodes[m].role": ControlPlane, "nodes[m].instanceType": "t3.large", "nodes[w].instanceType": "t3.medium",
		"nodes[w].availabilityZone": "eu-central-1a", "nodes[w].machineGeneration": "debian-12/1",
		"nodes[gone].instanceType": "t3.nano", "nodes[w].spot": false,
		"nodes[w].ami": "ami-00000000000000001", "nodes[m].ami": "ami-00000000000000003"}
	pinned := func(image string) string {
		return strings.Replace("image: {os: debian-12, generation: '1', ami: AMI}\nnodes: [{name: m, role: control-plane, "+
			"instanceType: t3.large}, {name: w, instanceType: t3.medium}]", "AMI", image, 1)
	}
	settings := func(image, worker string) string {
		return "image: {os: debian-12, generation: '" + image + "'}\nnodes: [{name: m, role: control-plane, instanceType: " +
			"t3.large}, {name: w, " + worker + "}]\n"
	}
	for _, c := range []struct{ settings, exempt, says string }{
		{settings("1", "instanceType: t3.medium"), "", ""},
		{settings("1", "instanceType: t3.large"), "", `nodes[1].instanceType = "t3.large"`},
		{settings("1", "instanceType: t3.medium, zone: 1"), "", "nodes[1].zone = 1"},
		{settings("1", "instanceType: t3.medium, spot: true}, {name: s, labels: {workload: storage}"), "", `nodes[1].spot = true`},
		{settings("2", "instanceType: t3.medium"), "", `image.generation = "2"`},
		{pinned("ami-00000000000000001"), "", ""},
		{pinned("ami-00000000000000002"), "", `image.ami = "ami-00000000000000002"`},
		{pinned("ami-00000000000000002"), "", "takes every worker out of service"},
		{settings("1", "instanceType: t3.medium}, {name: n, role: control-plane}, {name: o, role: control-plane"), "",
			"has the control planes m on the running stack: their number changes before an upgrade"},
		{settings("1", "instanceType: t3.medium, generation: '2'"), "", `nodes[1].generation = "2"`},
		{settings("1", "instanceType: t3.medium, generation: '2'"), "w", ""},
	} {
		cfg, err := loadText(t, "dev", c.settings)
		if err != nil {
			t.Fatal(err)
		}
		switch err := RefuseMachineChanges(cfg, made, c.exempt); {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", c.settings, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: no %q in %v", c.settings, c.says, err)
		}
	}
}

// TestOneNodeOfAGroupIsReplaced stops an upgrade at the second node of a group. Another generation of the group would
// replace all its nodes, so the refusal names an entry of its own, which changes no other node.
func TestOneNodeOfAGroupIsReplaced(t *testing.T) {
	made := Made{"nodes[m].role": ControlPlane}
	const master = "nodes: [{name: m, role: control-plane}, {name: s, labels: {workload: storage}}, "
	for name, zone := range map[string]string{"pool-1": "a", "pool-2": "b", "pool-3": "c"} {
		made["nodes["+name+"].machineGeneration"] = "ubuntu-24.04/"
		made["nodes["+name+"].availabilityZone"] = "eu-central-1" + zone
	}
	for settings, refused := range map[string]bool{
		"{name: pool, count: 3, zones: [0, 1, 2], generation: '2'}]":                                             true,
		"{name: pool, count: 2, zones: [0, 1, 2], without: [pool-2]}, {name: pool-2, zone: 1, generation: '2'}]": false,
	} {
		cfg, err := loadText(t, "dev", master+settings)
		if err != nil {
			t.Fatal(err)
		}
		err = RefuseMachineChanges(cfg, made, "pool-2")
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "count one lower, without: [pool-2] unless") {
			t.Errorf("%s: %v", settings, err)
		}
		// The example holds for the last node as well.
		if last := RefuseMachineChanges(cfg, made, "pool-3"); refused && !strings.Contains(fmt.Sprint(last),
			"an entry of its own for pool-3") {
			t.Errorf("%s: %v", settings, last)
		}
	}
	cfg, err := loadText(t, "dev", master+"{name: pool, count: 2, zones: [0, 1, 2]}, {name: pool-3, zone: 2, generation: '2'}]")
	if err == nil {
		err = RefuseMachineChanges(cfg, made, "pool-3")
	}
	if err != nil {
		t.Errorf("the last node: %v", err)
	}
}
