package stack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/internal/sandbox"
)

// storage is prod's add-ons with other sizes.
func storage(rabbitmq, replicas, redis, postgresql int) map[string]any {
	return map[string]any{
		"rabbitmq":   map[string]any{"storageGiB": rabbitmq, "replicas": replicas},
		"redis":      map[string]any{"storageGiB": redis},
		"postgresql": map[string]any{"storageGiB": postgresql}, "acme": map[string]any{"email": "platform@example.com"},
	}
}

// otherSettings change every setting that a running stack of Pulumi.prod.yaml cannot change.
func otherSettings() map[string]any {
	nodes := []any{
		map[string]any{"name": "boss", "role": "control-plane", "instanceType": "m6i.xlarge", "volumeSize": 100},
		map[string]any{"name": "worker-1", "instanceType": "m6i.xlarge", "volumeSize": 60,
			"labels": map[string]any{"workload": "storage"}},
	}
	return map[string]any{
		"aws:region": "eu-west-1",
		"kubeadm-aws:cluster": map[string]any{"name": "other", "kubernetesVersion": "1.36.2", "cni": "none",
			"dnsDomain": "k8s.internal"},
		"kubeadm-aws:network": map[string]any{"vpcCidr": "10.9.0.0/16", "podCidr": "10.200.0.0/16",
			"serviceCidr": "10.97.0.0/16", "zones": []any{"a", "c", "b"}},
		"kubeadm-aws:image":       map[string]any{"os": "debian-12"},
		"kubeadm-aws:nodes":       nodes,
		"kubeadm-aws:addons":      storage(10, 1, 5, 20),
		"kubeadm-aws:environment": "prod",
	}
}

var fixedKeys = []string{
	"aws:region", "kubeadm-aws:cluster.name", "kubeadm-aws:cluster.kubernetesVersion", "kubeadm-aws:cluster.cni",
	"kubeadm-aws:cluster.dnsDomain",
	"kubeadm-aws:network.vpcCidr", "kubeadm-aws:network.podCidr", "kubeadm-aws:network.serviceCidr",
	"kubeadm-aws:network.zones",
	"kubeadm-aws:image.os", "kubeadm-aws:nodes", "kubeadm-aws:nodes[1].volumeSize",
	"kubeadm-aws:addons.rabbitmq.storageGiB", "kubeadm-aws:addons.rabbitmq.replicas",
	"kubeadm-aws:addons.redis.storageGiB", "kubeadm-aws:addons.postgresql.storageGiB",
}

// TestWhatCannotChangeIsRefused checks that the program itself reads the settings that the stack was created with, in
// a preview too. It reads both the state of an older program and its own.
func TestWhatCannotChangeIsRefused(t *testing.T) {
	older := madeBefore(t, "made-by-3fdc37a", "prod")
	t.Run("made by an older program", func(t *testing.T) { older.mustRefuse(t, otherSettings(), fixedKeys...) })
	older.up().must(t)
	t.Run("made by this program", func(t *testing.T) { older.mustRefuse(t, otherSettings(), fixedKeys...) })
	t.Run("up refuses too", func(t *testing.T) {
		before := len(older.box.Operations())
		if o := older.with(otherSettings()).up(); o.err == nil || !strings.Contains(o.printed, "nothing was changed") {
			t.Errorf("up carries the change out:\n%s", tail(o.printed, 2000))
		}
		for _, op := range older.box.Operations()[before:] {
			if op.Verb == "create" || op.Verb == "update" || op.Verb == "delete" {
				t.Errorf("a refused up did %s %s", op.Verb, op.URN)
			}
		}
	})
}

// TestASettingIsFreeWhereNothingDependsOnIt changes settings before the cluster is initialised, and while an add-on
// is off.
func TestASettingIsFreeWhereNothingDependsOnIt(t *testing.T) {
	r := simulate(t, "dev", small())
	r.failing(func(op sandbox.Operation) error {
		if op.Verb == "create" && op.Type == "aws:ec2/instance:Instance" {
			return errInjected
		}
		return nil
	})
	if o := r.up(); o.err == nil {
		t.Fatal("up succeeded without a machine")
	}
	r.failing(nil)
	r.mustRefuse(t, map[string]any{"kubeadm-aws:network": map[string]any{"vpcCidr": "10.9.0.0/16",
		"podCidr": "10.200.0.0/16"}}, "kubeadm-aws:network.vpcCidr")
	r.set(map[string]any{
		"kubeadm-aws:network": map[string]any{"podCidr": "10.200.0.0/16"},
		"kubeadm-aws:image":   map[string]any{"os": "debian-12"},
		"kubeadm-aws:cluster": map[string]any{"name": "platform-dev", "kubernetesVersion": "1.36.2", "cni": "none"},
	})
	addons := r.workspace.Settings["kubeadm-aws:addons"].(map[string]any)
	addons["ebsCsi"], addons["redis"] = map[string]any{"enabled": true}, map[string]any{"enabled": true, "storageGiB": 10}
	r.up().must(t)
	addons["redis"] = map[string]any{"enabled": true, "storageGiB": 5}
	r.mustRefuse(t, nil, "kubeadm-aws:addons.redis.storageGiB")
	addons["redis"] = map[string]any{"enabled": false, "storageGiB": 5}
	r.up().must(t)
	addons["redis"] = map[string]any{"enabled": true, "storageGiB": 5}
	r.up().must(t)
	r.destroy().must(t)
	// A destroyed stack has no fixed settings.
	r.with(map[string]any{"kubeadm-aws:network": map[string]any{"vpcCidr": "10.9.0.0/16",
		"podCidr": "10.201.0.0/16"}}).preview().must(t)
}

// with returns the same stack with other settings.
func (r *simulation) with(settings map[string]any) *simulation {
	other := &simulation{t: r.t, box: r.box, workspace: r.workspace}
	other.set(settings)
	return other
}

// mustRefuse previews other settings. Exactly these keys must be refused.
func (r *simulation) mustRefuse(t *testing.T, settings map[string]any, keys ...string) {
	t.Helper()
	o := r.with(settings).preview()
	if o.err == nil {
		t.Fatal("the preview accepts it")
	}
	for _, key := range keys {
		if !strings.Contains(o.printed, "  "+key+" = ") {
			t.Errorf("%s is not refused", key)
		}
	}
	if count := strings.Count(o.printed, " on the running stack: ") +
		strings.Count(o.printed, "of the running stack is"); count != len(keys) {
		t.Errorf("%s refused, want %d", fmt.Sprint(count), len(keys))
	}
	if t.Failed() {
		t.Logf("printed:\n%s", tail(o.printed, 6000))
	}
}

// TestAuthoritiesAfterTenYears lets the authorities expire. The program would create new ones, and the running
// control plane refuses them before it replaces anything.
func TestAuthoritiesAfterTenYears(t *testing.T) {
	r := simulate(t, "dev", small())
	r.up().must(t)
	if err := r.box.Close(); err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return time.Now().AddDate(10, 0, 0) }
	box, err := sandbox.Start(sandbox.Options{Stack: "dev", Dir: r.workspace.Dir, Now: later})
	if err != nil {
		t.Fatal(err)
	}
	r.box = box
	if o := r.up(); o.err == nil || !strings.Contains(o.printed, "it is another cluster's control plane") {
		t.Errorf("up replaces the authorities of a running cluster: %v\n%s", o.err, tail(o.printed, 2000))
	}
}
