package stack_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// small disables every add-on that the cluster does not need, for tests of the cluster itself.
func small() map[string]any {
	off := map[string]any{}
	for _, name := range []string{
		"metricsServer", "ebsCsi", "certManager", "loadBalancer", "monitoring", "logging",
		"rabbitmq", "redis", "postgresql", "argocd", "argoRollouts",
	} {
		off[name] = map[string]any{"enabled": false}
	}
	return map[string]any{"kubeadm-aws:addons": off}
}

func TestEveryStackIsCreatedAndDestroyed(t *testing.T) {
	for _, name := range []string{"dev", "staging", "prod"} {
		t.Run(name, func(t *testing.T) {
			r := simulate(t, name, nil)
			preview := r.preview().must(t)
			if len(preview.changes) == 0 {
				t.Error("the preview of an empty account shows nothing to create")
			}
			for _, op := range r.box.Operations() {
				if op.Verb == "create" || op.Verb == "update" || op.Verb == "delete" {
					t.Fatalf("the preview did %s %s", op.Verb, op.URN)
				}
			}
			r.up().must(t)
			r.up(optup.ExpectNoChanges()).mustNotChange(t)
			r.refresh().mustNotChange(t)
			if name == "prod" {
				before := r.box.Leftovers()
				blocked := r.destroy()
				if blocked.err == nil || !strings.Contains(blocked.printed, "kubeadm-aws:protection.protect") {
					t.Fatalf("prod was destroyed although it is protected:\n%s", tail(blocked.printed, 2000))
				}
				if after := r.box.Leftovers(); !slices.Equal(before, after) {
					t.Fatalf("a refused destroy changed the account: %d resources before, %d after", len(before), len(after))
				}
				r.set(map[string]any{"kubeadm-aws:protection": map[string]any{"protect": false, "volumes": "delete"}})
				r.up().must(t)
			}
			r.set(map[string]any{"kubeadm-aws:backup": map[string]any{"keepBucket": false}})
			r.up().must(t)
			r.destroy().must(t)
			r.mustBeEmpty()
		})
	}
}

// The nodes of the default configuration, in a form that a test can change.
func nodes() []any {
	node := func(name, role, size string, zone int, more map[string]any) map[string]any {
		n := map[string]any{"name": name, "role": role, "instanceType": size, "zone": zone}
		maps.Copy(n, more)
		return n
	}
	return []any{
		node("master", "control-plane", "t3.large", 0, nil),
		node("worker-1", "worker", "t3.medium", 1, map[string]any{"labels": map[string]any{"workload": "api"}}),
	}
}

// TestChanges shows the engine's plan for each kind of change to a running stack.
func TestChanges(t *testing.T) {
	base := small()
	base["kubeadm-aws:nodes"] = nodes()
	edit := func(f func(n []any) []any) map[string]any { return map[string]any{"kubeadm-aws:nodes": f(nodes())} }
	cases := []struct {
		name     string
		settings map[string]any
	}{
		{"label of a node", edit(func(n []any) []any {
			n[1].(map[string]any)["labels"] = map[string]any{"workload": "api", "tier": "front"}
			return n
		})},
		{"taint of a node", edit(func(n []any) []any {
			n[1].(map[string]any)["taints"] = []any{map[string]any{"key": "dedicated", "value": "api", "effect": "NoSchedule"}}
			return n
		})},
		{"a worker more", edit(func(n []any) []any {
			return append(n, map[string]any{"name": "worker-0", "role": "worker", "instanceType": "t3.medium", "zone": 2})
		})},
		{"a worker less", edit(func(n []any) []any { return n[:1] })},
		{"a group with the worker in it", edit(func(n []any) []any {
			worker := n[1].(map[string]any)
			worker["name"], worker["count"] = "worker", 3
			return n
		})},
		{"a group without nodes", edit(func(n []any) []any {
			worker := n[1].(map[string]any)
			worker["name"], worker["count"] = "worker", 0
			return append(n, map[string]any{"name": "other"})
		})},
		{"order of the nodes", edit(func(n []any) []any { slices.Reverse(n); return n })},
		{"instance type of a worker", edit(func(
			n []any) []any {
			n[1].(map[string]any)["instanceType"] = "t3.large"
			return n
		})},
		{"volume size of a worker", edit(func(n []any) []any { n[1].(map[string]any)["volumeSize"] = 120; return n })},
		{"zone of a worker", edit(func(n []any) []any { n[1].(map[string]any)["zone"] = 2; return n })},
		{"new generation of the image", map[string]any{"kubeadm-aws:image": map[string]any{"generation": "2"}}},
		{"new generation of the control plane", edit(
			func(n []any) []any { n[0].(map[string]any)["generation"] = "2"; return n })},
		{"admin networks", map[string]any{"kubeadm-aws:access": map[string]any{"adminCidrs": []any{"198.51.100.7/32"}}}},
		{"kubelet setting",
			map[string]any{"kubeadm-aws:kubernetes": map[string]any{"kubelet": map[string]any{"maxPods": 60}}}},
		{"API server flag",
			map[string]any{"kubeadm-aws:kubernetes": map[string]any{"apiServer": map[string]any{"event-ttl": "2h"}}}},
		{"registry mirror",
			map[string]any{"kubeadm-aws:mirrors": map[string]any{"registries": map[string]any{"registry.k8s.io": "https://mirror.example.com"}}}},
		{"backup schedule", map[string]any{"kubeadm-aws:backup": map[string]any{"everyHours": 6, "keepBucket": false}}},
		{"backup retention", map[string]any{"kubeadm-aws:backup": map[string]any{"retentionDays": 90, "keepBucket": false}}},
		{"reboots for updates", map[string]any{"kubeadm-aws:maintenance": map[string]any{"reboots": true}}},
		{"owner", map[string]any{"kubeadm-aws:owner": "platform-team"}},
	}
	r := simulate(t, "dev", base)
	r.up().must(t)
	var report strings.Builder
	for _, c := range cases {
		r.workspace.Settings = maps.Clone(base)
		r.set(c.settings)
		o := r.preview()
		fmt.Fprintf(&report, "## %s\n", c.name)
		if o.err != nil {
			fmt.Fprintf(&report, "error: %v\n%s\n", o.err, tail(o.printed, 1500))
		}
		if len(o.changes) == 0 {
			report.WriteString("no change\n")
		}
		for _, line := range o.changes {
			report.WriteString(line + "\n")
		}
		report.WriteString("\n")
	}
	golden(t, "changes.txt", report.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", path, got)
	}
}

// TestRebootsAreSwitchedOnAndOff changes the setting on a running stack, in both directions.
func TestRebootsAreSwitchedOnAndOff(t *testing.T) {
	r := simulate(t, "dev", small())
	r.up().must(t)
	for _, on := range []bool{true, false} {
		r.set(map[string]any{"kubeadm-aws:maintenance": map[string]any{"reboots": on}})
		var did []string
		before := len(r.box.Operations())
		r.up().must(t)
		for _, op := range r.box.Operations()[before:] {
			if op.Verb == "create" || op.Verb == "update" || op.Verb == "delete" {
				did = append(did, op.Verb+" "+op.URN[strings.LastIndex(op.URN, ":")+1:])
			}
		}
		want := map[bool]string{true: "create reboots", false: "delete reboots"}[on]
		if !slices.Equal(did, []string{want}) {
			t.Errorf("up did %v, want %s", did, want)
		}
	}
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
}
