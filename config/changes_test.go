package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestEverySettingIsClassified requires a row for each setting. A new setting has to be declared free, fixed once its
// resource is created, or only growing.
func TestEverySettingIsClassified(t *testing.T) {
	known := []string{"aws:region"}
	known = append(known, leaves()...)
	for _, name := range sortedKeys(fieldsOf(reflect.TypeFor[AWS]())) {
		if name != "assumeRole" {
			known = append(known, "aws:"+name)
			continue
		}
		for _, inner := range sortedKeys(fieldsOf(reflect.TypeFor[AssumeRole]())) {
			known = append(known, "aws:assumeRole."+inner)
		}
	}
	var rows []string
	for _, row := range settingRules {
		if slices.Contains(rows, row.key) {
			t.Errorf("%s has two rows", row.key)
		}
		rows = append(rows, row.key)
		if !slices.Contains(known, row.key) {
			t.Errorf("%s is not a setting", row.key)
		}
		if (row.rule != free) != (row.reason != "" && row.remedy != "") {
			t.Errorf("%s: a reason and a remedy belong to what is not free, and only to that", row.key)
		}
	}
	for _, key := range known {
		if !slices.Contains(rows, key) {
			t.Errorf("%s has no row in settingRules (config/changes.go): may it change on a running stack?", key)
		}
	}
}

func TestRefuseChanges(t *testing.T) {
	made := Made{
		"aws:region": "eu-central-1", "cluster.name": "dev", "cluster.cni": "calico", "network.podCidr": "10.244.0.0/16",
		"network.zones":       []string{"a", "b", "", "d"},
		"nodes[m].role":       ControlPlane,
		"nodes[m].volumeSize": 40, "nodes[s].volumeSize": 60, "nodes[s].role": Worker, "nodes[gone].volumeSize": 400,
		"nodes[gone].role":        Worker,
		"addons.redis.storageGiB": 5, "addons.rabbitmq.replicas": 3, "addons.postgresql.generation": "2",
	}
	nodes := "nodes: [{name: m, role: control-plane}, {name: w}, {name: s, volumeSize: 60, labels: {workload: storage}}]\n"
	const replicas = "addons: {rabbitmq: {replicas: 3}}\n"
	zones := func(list string) string { return nodes + replicas + "network: {zones: [" + list + "]}" }
	for _, c := range []struct{ name, settings, key, want string }{
		{"nothing", zones("a, b, c, d"), "", ""},
		{"a new zone in a free place", zones("a, b, e, d"), "", ""},
		{"a zone more", zones("a, b, c, d, e"), "", ""},
		{"the last zones less", zones("a, b, c"), "", ""},
		{"order of zones", zones("b, a, c, d"), "network.zones", "position of its subnet's range"},
		{"a zone in the place of another", zones("a, e, c, d"), "network.zones", `instead: ["a","b","","d"]`},
		{"a zone moves to the end", zones("a, c, d, b"), "network.zones", "add zones at the end"},
		{"a zone is removed before others", zones("a, b, d"), "network.zones", "remove them from the end"},
		{"pods", nodes + replicas + "network: {podCidr: 10.240.0.0/16, zones: [a, b, c, d]}", "network.podCidr",
			`"10.244.0.0/16"`},
		{"CNI", zones("a, b, c, d") + "\ncluster: {cni: none}", "cluster.cni", `is "calico" on the running stack`},
		{"smaller disk", strings.Replace(zones("a, b, c, d"), "volumeSize: 60", "volumeSize: 50", 1), "nodes[2].volumeSize",
			"another name"},
		{"larger disk", strings.Replace(zones("a, b, c, d"), "volumeSize: 60", "volumeSize: 70", 1), "", ""},
		{"another place in the list", strings.Replace(zones("a, b, c, d"), "{name: w}, ", "{name: v}, {name: w}, ", 1), "",
			""},
		{"role", strings.Replace(zones("a, b, c, d"), "{name: m, role: control-plane}, {name: w}",
			"{name: m}, {name: w, role: control-plane}", 1), "nodes[0].role", "another name"},
		{"another control plane", strings.Replace(zones("a, b, c, d"), "{name: m,", "{name: n,", 1), "nodes",
			"the control plane of the running stack is m"},
		{"fewer replicas", nodes + "network: {zones: [a, b, c, d]}", "addons.rabbitmq.replicas", "is 3 on the running stack"},
		{"another generation of the database", strings.Replace(zones("a, b, c, d"), "addons: {",
			"addons: {postgresql: {enabled: true, generation: '3', restore: {from: postgresql-2}}, ", 1), "", ""},
		{"no generation of the database", strings.Replace(zones("a, b, c, d"), "addons: {",
			"addons: {postgresql: {enabled: true}, ", 1), "addons.postgresql.generation", "an empty one"},
		{"fewer replicas of an add-on that goes",
			nodes + "network: {zones: [a, b, c, d]}\naddons: {rabbitmq: {enabled: false}}", "", ""},
		{"more replicas", strings.Replace(zones("a, b, c, d"), "replicas: 3", "replicas: 5", 1), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := loadText(t, "dev", c.settings)
			if err != nil {
				t.Fatal(err)
			}
			err = cfg.RefuseChanges(made)
			if c.key == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			refused, ok := err.(Changes)
			if !ok || len(refused) != 1 {
				t.Fatalf("want one refusal, got %v", err)
			}
			if refused[0].Key != Namespace+":"+c.key || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %s and %q in\n%v", c.key, c.want, err)
			}
		})
	}
}

// TestTheControlPlanesOfARunningStack may become more or fewer, but the one that began stays. Another number of them
// is refused while one is out of service, and with an upgrade. The order of the list has no meaning, and
// several are upgraded as one is.
func TestTheControlPlanesOfARunningStack(t *testing.T) {
	const workers = "{name: w, labels: {workload: storage}}, {name: v}"
	plane := func(name string, zone int) string {
		return fmt.Sprintf("{name: %s, role: control-plane, zone: %d}, ", name, zone)
	}
	three := plane("c", 2) + plane("a", 0) + plane("b", 1)
	made := func(names ...string) Made {
		m := Made{versionKey: "1.36.2"}
		for _, name := range names {
			m["nodes["+name+"].role"] = ControlPlane
		}
		return m
	}
	joined := func(names ...string) Made {
		m := made(names...)
		for _, name := range names {
			m["nodes["+name+"].machineGeneration"] = "ubuntu-24.04/"
		}
		return m
	}
	with := func(m Made, key string, value any) Made { m[key] = value; return m }
	const same = "cluster: {kubernetesVersion: 1.36.2}\n"
	for _, c := range []struct {
		made                Made
		nodes, more, refuse string
	}{
		{made("a", "b", "c"), three, same, ""},
		{Made{"nodes[a].instanceType": "t3.large"}, three, "", ""}, // no cluster yet
		{made("c"), three, same, ""},
		{made("a", "b", "c"), plane("c", 0), same, ""},
		{made("a", "b", "c"), plane("a", 0), same, "another name is another machine"},
		{joined("a", "b", "c"), three, "cluster: {kubernetesVersion: 1.36.3}\n", ""},
		{made("a", "b", "c"), three, "cluster: {kubernetesVersion: 1.36.1}\n", "cannot go back to an older release"},
		{made("a", "b", "c"), three + plane("d", 1) + plane("e", 2), same, ""},
		{made("c", "b", "x"), three, same, "some are added, and others are removed, in the same up"},
		{made("a", "b", "c"), plane("c", 0), same + "protection: {protect: true}\n",
			"a and b would be deleted, and protection.protect is true"},
		{made("c"), three, same + "protection: {protect: true}\n", ""},
		{with(made("a", "b", "c"), "nodes[a].leaving", true), three, same, "an update that removes a has begun and not finished"},
		{with(made("a", "b", "c"), "nodes[a].leaving", true), plane("c", 0), same, ""},
		{made("c"), three, "cluster: {kubernetesVersion: 1.36.3}\n", "and Kubernetes is upgraded in the same up"},
		{with(made("a", "b", "c", "d", "e"), "nodes[b].away", true), three, same, "their number changes, and b is not back"},
		{with(made("a", "b", "c", "d", "e"), "nodes[d].away", true), three, same, ""},
		{with(with(made("a", "b", "c"), "nodes[a].left", true), "nodes[a].machineGeneration", "ubuntu-24.04/"), three, same,
			"nodes[1].generation = \"\"\n      is the generation of a machine that has left the cluster"},
		{with(with(made("a", "b", "c"), "nodes[a].left", true), "nodes[a].machineGeneration", "ubuntu-24.04//1"), three,
			same, ""},
		{with(made("a", "b", "c"), "nodes[b].machineGeneration", "ubuntu-24.04/"), three, "cluster: {kubernetesVersion: 1.36.3}\n",
			"not joined yet: a, c"},
		{with(made("c"), "nodes[c].instanceType", "t3.small"), three, same, "c stops in the same up because of kubeadm-aws:nodes[0]"},
	} {
		cfg, err := loadText(t, "dev", c.more+"nodes: ["+c.nodes+workers+"]")
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(c.nodes, three) && cfg.ControlPlane().Name != "a" {
			t.Errorf("a new cluster begins with %s", cfg.ControlPlane().Name)
		}
		if cfg.Initialised = "c"; len(ControlPlanes(cfg.Nodes)) == 3 && cfg.ControlPlane().Name != "c" {
			t.Errorf("a cluster that began with c begins with %s", cfg.ControlPlane().Name)
		}
		err = cfg.RefuseChanges(c.made)
		if c.refuse == "" && err != nil || c.refuse != "" && !strings.Contains(fmt.Sprint(err), c.refuse) {
			t.Errorf("%v, %s: %v", c.made, c.nodes, err)
		}
	}
}

// TestOneControlPlaneStopsAtATime refuses settings that stop two machines of etcd in one update.
func TestOneControlPlaneStopsAtATime(t *testing.T) {
	made := Made{}
	for _, name := range []string{"a", "b", "c"} {
		made["nodes["+name+"].role"], made["nodes["+name+"].instanceType"] = ControlPlane, "t3.large"
		made["nodes["+name+"].machineGeneration"] = "ubuntu-24.04/"
	}
	const plane, worker = "{name: %s, role: control-plane, instanceType: t3.large%s}, ", "{name: w, labels: {workload: storage}}]"
	for _, c := range []struct {
		away, a, b string
		refused    int
		says       string
	}{
		{"", "", "", 0, ""},
		{"", ", generation: '2'", "", 0, ""},
		{"", ", generation: '2'", ", generation: '2'", 2, "another control plane stops in the same up"},
		{"a", ", generation: '2'", "", 0, ""},
		{"a", "", ", generation: '2'", 1, "a is not back, and another control plane would stop"},
		{"abc", ", generation: '2'", ", generation: '2'", 0, ""},
	} {
		nodes := fmt.Sprintf("nodes: ["+plane+plane+plane+worker, "a", c.a, "b", c.b, "c", "")
		cfg, err := loadText(t, "dev", nodes)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b", "c"} {
			made["nodes["+name+"].away"] = strings.Contains(c.away, name)
		}
		changes, _ := cfg.RefuseChanges(made).(Changes)
		if len(changes) != c.refused || c.refused > 0 && !strings.Contains(changes.Error(), c.says) {
			t.Errorf("%q, %q away: %v", nodes, c.away, changes)
		}
	}
	testStoppedControlPlanes(t, made, plane, worker)
	made = Made{"nodes[a].role": ControlPlane, "nodes[a].instanceType": "t3.xlarge", "nodes[a].machineGeneration": "x/"}
	cfg, err := loadText(t, "dev", fmt.Sprintf("nodes: ["+plane+worker, "a", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.RefuseChanges(made); err != nil {
		t.Errorf("the only control plane: %v", err)
	}
}

// testStoppedControlPlanes finds the control planes that stop, and one that stays and can be asked.
func testStoppedControlPlanes(t *testing.T, made Made, plane, worker string) {
	t.Helper()
	for _, c := range []struct{ away, left, gone, a, b, stop, asks string }{
		{asks: "a"},
		{b: ", generation: '2'", stop: "b", asks: "a"},
		{a: ", generation: '2'", stop: "a", asks: "b"},
		{a: ", zone: 1", stop: "a", asks: "b"},
		{away: "a", a: ", generation: '2'", stop: "a", asks: "b"},
		{away: "ab", a: ", generation: '2'", stop: "a", asks: "c"},
		{away: "a", gone: "a", a: ", generation: '2'", asks: "b"},
		{away: "b", left: "b", b: ", generation: '2'", asks: "a"},
		// The cluster is lost and restored.
		{away: "abc", a: ", generation: '2'", b: ", generation: '2'", asks: "a"},
	} {
		cfg, err := loadText(t, "dev", fmt.Sprintf("nodes: ["+plane+plane+plane+worker, "a", c.a, "b", c.b, "c", ""))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Initialised = "a"
		was := maps.Clone(made)
		for _, name := range []string{"a", "b", "c"} {
			was["nodes["+name+"].availabilityZone"] = "eu-central-1a"
			was["nodes["+name+"].away"] = strings.Contains(c.away, name)
			was["nodes["+name+"].left"] = strings.Contains(c.left, name)
			if strings.Contains(c.gone, name) {
				delete(was, "nodes["+name+"].instanceType")
			}
		}
		stop, stays := StoppedControlPlanes(cfg, was)
		if strings.Join(stop, " ") != c.stop || stays.Name != c.asks {
			t.Errorf("%+v: %q stop, and %s is asked", c, stop, stays.Name)
		}
	}
}

// TestControlPlanesOfOneZoneAreWarnedOf finds the zone whose loss ends the majority.
func TestControlPlanesOfOneZoneAreWarnedOf(t *testing.T) {
	for zones, warns := range map[[3]int]bool{{0, 1, 2}: false, {0, 0, 1}: true, {2, 1, 2}: true, {0, 0, 0}: true} {
		nodes := ""
		for i, zone := range zones {
			nodes += fmt.Sprintf("{name: m%d, role: control-plane, zone: %d}, ", i, zone)
		}
		cfg, err := loadText(t, "dev", "nodes: ["+nodes+"{name: w, labels: {workload: storage}}]")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(cfg.Warnings(), "\n"), "etcd has no majority"); got != warns {
			t.Errorf("zones %v: warned %v: %q", zones, got, cfg.Warnings())
		}
	}
}

// TestSmallerVolumesOfChartsAreRefused takes sizes from the values of an add-on and from the program's defaults.
// TestAnIssuerStays checks that the issuer of a running cluster neither changes nor goes, and that a cluster without
// one may get one.
func TestAnIssuerStays(t *testing.T) {
	const url = "https://oidc.example.com"
	issuer := Made{"identity.enabled": true, "identity.issuer": url}
	for _, c := range []struct {
		made Made
		now  string
		keys []string
	}{
		{issuer, "identity: {enabled: true}", []string{"identity.issuer"}},
		{issuer, identityWith(url), nil},
		{issuer, identityWith(url + "/a"), []string{"identity.issuer"}},
		{issuer, "", []string{"identity.enabled", "identity.issuer"}},
		{Made{}, "identity: {enabled: true}", nil},
		{Made{}, identityWith(url), nil},
	} {
		cfg, err := loadText(t, "dev", c.now)
		if err != nil {
			t.Fatal(err)
		}
		refused, _ := cfg.RefuseChanges(c.made).(Changes)
		var keys []string
		for _, f := range refused {
			keys = append(keys, strings.TrimPrefix(f.Key, Namespace+":"))
			if !strings.Contains(f.Error(), "in the token of every pod that runs") {
				t.Errorf("no reason: %v", f)
			}
		}
		if !slices.Equal(keys, c.keys) {
			t.Errorf("%q: refused %v, want %v", c.now, keys, c.keys)
		}
	}
}

func TestSmallerVolumesOfChartsAreRefused(t *testing.T) {
	for _, v := range ChartVolumes {
		key := strings.TrimPrefix(v.Key(), "addons."+v.addon+".values.")
		nested := func(size string) string {
			for _, name := range slices.Backward(strings.Split(key, ".")) {
				size = "{" + name + ": " + size + "}"
			}
			return "addons: {" + v.addon + ": {enabled: true, values: " + size + "}}"
		}
		for _, c := range []struct {
			made    any
			now     string
			refused bool
		}{
			{"50Gi", nested("40Gi"), true}, {"50Gi", nested("50Gi"), false}, {"50Gi", nested("60Gi"), false},
			{"50Gi", nested("50G"), true}, {"50Gi", nested("51200Mi"), false}, {"0.5Ti", nested("500Gi"), true},
			{"1500", nested("1k"), true}, {"1e12", nested("1T"), false}, {"50Gi", nested("~"), false},
			{"50Gi", "", true}, {v.Size, "", false},
			{"50Gi", "addons: {" + v.addon + ": {enabled: false}}", false},
			{"50Gi", nested("5368709120"), true},
		} {
			cfg, err := loadText(t, "dev", c.now)
			if err != nil {
				t.Fatalf("%s: %v", c.now, err)
			}
			if c.now == "" && !cfg.Addons.ByKey()[v.addon].On() {
				continue
			}
			err = cfg.RefuseChanges(Made{v.Key(): c.made})
			if (err != nil) != c.refused {
				t.Errorf("%v, then %s: %v", c.made, c.now, err)
			}
			if err != nil && !strings.Contains(err.Error(), "addons."+v.addon+".enabled: false") {
				t.Errorf("no remedy in %v", err)
			}
		}
	}
}

// TestAnAddonWithDataIsKept refuses to switch it off on a protected stack, and warns on others.
func TestAnAddonWithDataIsKept(t *testing.T) {
	made := Made{"addons.postgresql.storageGiB": 10, "addons.postgresql.generation": "2", "addons.rabbitmq.replicas": 1,
		"addons.redis.storageGiB": 5, ChartVolumes[0].Key(): "20Gi", ChartVolumes[1].Key(): "1Gi",
		ChartVolumes[3].Key(): "10Gi"}
	const off = "addons: {postgresql: {enabled: false}, rabbitmq: {enabled: false}, redis: {enabled: false}, " +
		"monitoring: {enabled: false}, logging: {enabled: false}}\n"
	const on = "addons: {logging: {enabled: true}, postgresql: {enabled: true, generation: '2', restore: {from: postgresql-1}}}\n"
	for _, c := range []struct {
		settings        string
		refused, warned []string
	}{
		{off + "protection: {protect: true}\n", []string{"logging", "monitoring", "postgresql", "redis"}, nil},
		{off, nil, []string{"logging", "monitoring", "postgresql", "redis"}},
		{on + "protection: {protect: true}\n", nil, []string{}},
		{"protection: {protect: true}\n", []string{"logging", "postgresql"}, nil}, // In dev they are off by default.
	} {
		cfg, err := loadText(t, "dev", c.settings)
		if err != nil {
			t.Fatal(err)
		}
		refused, _ := cfg.RefuseChanges(made).(Changes)
		var keys []string
		for _, f := range refused {
			if !strings.Contains(f.Reason, "is true on the running stack: ") ||
				!strings.Contains(f.Example, "protection.protect false") {
				t.Errorf("no reason or remedy: %v", f)
			}
			keys = append(keys, strings.TrimSuffix(strings.TrimPrefix(f.Key, Namespace+":addons."), ".enabled"))
		}
		if !slices.Equal(keys, c.refused) {
			t.Errorf("%s refused %v, want %v", c.settings, keys, c.refused)
		}
		warnings := ChangeWarnings(cfg, made)
		for i, addon := range c.warned {
			if len(warnings) != len(c.warned) || !strings.Contains(warnings[i], "addons."+addon+".enabled") ||
				!strings.Contains(warnings[i], "deleted with their data") {
				t.Errorf("%s warns %q, want %v", c.settings, warnings, c.warned)
			}
		}
	}
	if text := (Protection{Volumes: "keep"}).RemovedVolumes(); !strings.Contains(text, "stay in EBS") {
		t.Errorf("volumes that are kept: %s", text)
	}
}

// TestNothingMadeRefusesNothing checks that settings are free before the resources that depend on them exist.
func TestNothingMadeRefusesNothing(t *testing.T) {
	cfg, err := loadText(t, "dev", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.RefuseChanges(Made{}); err != nil {
		t.Error(err)
	}
}

func TestDataZones(t *testing.T) {
	for settings, want := range map[string][]string{
		"": {"c"},
		"nodes: [{name: m, role: control-plane}, {name: w, zone: 1}, {name: v, zone: 2, taints: [{key: a, effect: " +
			"NoSchedule}]}]": {"b"},
		"nodes: [{name: m, role: control-plane}, {name: w, zone: 1}, {name: s, labels: {workload: storage}}, {name: v, " +
			"taints: [{key: a, effect: PreferNoSchedule}]}]": {"a"},
	} {
		cfg, err := loadText(t, "dev", settings)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.DataZones(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", settings, got, want)
		}
	}
}
