package stack_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
)

// TestAGroupTakesTheNodesOfAList turns the four workers of a running stack into one entry, which changes nothing. Then
// it scales the group: a node that stays is neither replaced nor renamed.
func TestAGroupTakesTheNodesOfAList(t *testing.T) {
	master := map[string]any{"name": "master", "role": "control-plane"}
	worker := func(name string, zone int) map[string]any {
		return map[string]any{"name": name, "zone": zone, "labels": map[string]any{"tier": "front"}}
	}
	group := func(count int, without ...string) map[string]any {
		g := map[string]any{"name": "pool", "count": count, "zones": []any{0, 1, 2},
			"labels": map[string]any{"tier": "front"}}
		if len(without) > 0 {
			g["without"] = without
		}
		return map[string]any{"kubeadm-aws:nodes": []any{master, g}}
	}
	settings := small()
	settings["kubeadm-aws:nodes"] = []any{worker("pool-3", 2), master, worker("pool-1", 0), worker("pool-2", 1),
		worker("pool-4", 0)}
	r := simulate(t, "dev", settings)
	r.up().must(t)

	r.set(group(4))
	r.preview().mustNotChange(t)
	r.up(optup.ExpectNoChanges()).mustNotChange(t)

	for _, step := range []struct {
		name string
		to   map[string]any
		want []string
	}{
		{"the second of four goes", group(3, "pool-2"), []string{"delete pool-2"}},
		{"two more", group(5, "pool-2"), []string{"create pool-5", "create pool-6"}},
		{"the fourth is replaced under another name", group(5, "pool-2", "pool-4"),
			[]string{"create pool-7", "delete pool-4"}},
		{"the last two go", group(3, "pool-2", "pool-4"), []string{"delete pool-6", "delete pool-7"}},
		{"the numbers are used again", group(3), []string{"create pool-2", "delete pool-5"}},
	} {
		r.set(step.to)
		o := r.up().must(t)
		machines := slices.DeleteFunc(o.order, func(line string) bool {
			name := strings.Fields(line)[1]
			return strings.Count(name, "-") != 1 || !strings.HasPrefix(name, "pool-")
		})
		slices.Sort(machines)
		if !slices.Equal(machines, step.want) {
			t.Errorf("%s: machines %q, want %q", step.name, machines, step.want)
		}
		for _, line := range o.changes {
			if strings.Contains(line, "replace") {
				t.Errorf("%s: %s", step.name, line)
			}
		}
	}
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
}

// TestASpotWorker changes the type of a spot instance and makes it an on-demand one. AWS does neither to a machine that
// runs, and the provider plans no change when the market options go.
func TestASpotWorker(t *testing.T) {
	with := func(more map[string]any) map[string]any {
		worker := map[string]any{"name": "worker-1", "instanceType": "t3.medium"}
		maps.Copy(worker, more)
		return map[string]any{"kubeadm-aws:nodes": []any{map[string]any{"name": "master", "role": "control-plane"},
			map[string]any{"name": "storage", "labels": map[string]any{"workload": "storage"}}, worker}}
	}
	r := simulate(t, "dev", small())
	r.set(with(map[string]any{"spot": true}))
	r.up().must(t)
	for _, change := range []map[string]any{{"spot": true, "instanceType": "t3.large"},
		{"instanceType": "t3.large", "generation": "2"}} {
		r.set(with(change))
		if o := r.up().must(t); !slices.Contains(o.order, "create-replacement worker-1") {
			t.Errorf("%v: worker-1 is not replaced: %q", change, o.order)
		}
		r.up(optup.ExpectNoChanges()).mustNotChange(t)
		if change["spot"] == true {
			r.mustRefuse(t, with(map[string]any{"instanceType": "t3.large"}), "kubeadm-aws:nodes[2].spot")
		}
	}
}

// TestAWorkerOnARM adds an ARM worker to a running stack and moves another one to ARM. AWS refuses both with an image
// of the other architecture, and it cannot change the type of a machine to one of another architecture.
func TestAWorkerOnARM(t *testing.T) {
	with := func(size string, more ...any) map[string]any {
		return map[string]any{"kubeadm-aws:nodes": append([]any{
			map[string]any{"name": "master", "role": "control-plane"},
			map[string]any{"name": "worker-1", "instanceType": size}}, more...)}
	}
	arm := map[string]any{"name": "arm", "count": 2, "instanceType": "t4g.medium"}
	r := simulate(t, "dev", small())
	r.set(with("t3.medium"))
	r.up().must(t)
	r.set(with("t3.medium", arm))
	for _, line := range r.up().must(t).changes {
		if strings.Contains(line, "Instance") && !strings.Contains(line, "arm-") {
			t.Errorf("a machine that runs changes: %s", line)
		}
	}
	r.set(with("t4g.medium", arm))
	if o := r.up().must(t); !slices.Contains(o.order, "create-replacement worker-1") ||
		slices.Contains(o.order, "update worker-1") {
		t.Errorf("worker-1 is not replaced: %q", o.order)
	}
	r.up(optup.ExpectNoChanges()).mustNotChange(t)
	r.destroy().must(t)
	r.mustBeEmpty()
}
