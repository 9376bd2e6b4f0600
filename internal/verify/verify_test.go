package verify

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
)

func TestHealthyClusterPassesEveryCheck(t *testing.T) {
	f := healthy(t)
	results := f.check(t, Options{})
	for _, c := range checks {
		if r := results[c.name]; r.Status != OK {
			t.Errorf("%s is %q: %s", c.name, r.Status, r.Message)
		}
	}
	if f.peer != "kubernetes-admin" {
		t.Errorf("the client showed the certificate of %q, want kubernetes-admin", f.peer)
	}
}

func TestChecksRemoveWhatTheyMake(t *testing.T) {
	f := healthy(t)
	f.check(t, Options{})
	made := 0
	for _, path := range f.created {
		inScratch := strings.Contains(path, "/namespaces/"+scratchPrefix) && strings.Count(path, "/") > 4
		if inScratch {
			continue // deleted with its namespace
		}
		made++
		if !slices.Contains(f.removed, path) {
			t.Errorf("%s was made and not removed", path)
		}
	}
	if made < 5 {
		t.Errorf("only %d objects were made: %v", made, f.created)
	}
}

// A volume whose class keeps it, or whose pod never started, must not stay in the account.
func TestAVolumeThatFailedIsRemovedToo(t *testing.T) {
	f := healthy(t)
	f.podStatus = pending("PodScheduled=True Ready=False")
	if r := f.check(t, Options{})["volume"]; r.Status != Failed {
		t.Fatalf("volume is %q: %s", r.Status, r.Message)
	}
	if !slices.Equal(f.released, []string{"/api/v1/persistentvolumes/pv-1"}) {
		t.Errorf("volumes that end with their claim: %v, want pv-1", f.released)
	}
}

// The next run removes the objects of a killed run, and leaves those that another run has just created.
func TestStaleObjectsAreRemoved(t *testing.T) {
	f := healthy(t)
	young := obj("kubeadm-aws-verify-dns-b", scratchLabel+"=dns", nil)
	young["metadata"].(map[string]any)["creationTimestamp"] = now.Add(-time.Minute).Format(time.RFC3339)
	f.objects["/api/v1/namespaces"] = []any{obj("kubeadm-aws-verify-dns-a", scratchLabel+"=dns", nil), young, obj("mine", "", nil)}
	data := "/api/v1/namespaces/data/pods"
	f.objects[data] = append(f.objects[data].([]any), obj("kubeadm-aws-verify-redis-a", scratchLabel+"=pod", nil))
	f.check(t, Options{})
	for path, want := range map[string]bool{
		"/api/v1/namespaces/kubeadm-aws-verify-dns-a": true, "/api/v1/namespaces/kubeadm-aws-verify-dns-b": false,
		"/api/v1/namespaces/mine": false, data + "/kubeadm-aws-verify-redis-a": true, data + "/valkey-0": false,
	} {
		if got := slices.Contains(f.removed, path); got != want {
			t.Errorf("%s removed: %v, want %v", path, got, want)
		}
	}
}

// A node that was shut down leaves its pods as failed; their controllers have created others.
func TestReplacedPodsAreIgnored(t *testing.T) {
	for kind, want := range map[string]string{"ReplicaSet": OK, "Job": OK, "Node": Failed, "": Failed} {
		f := healthy(t)
		dead := obj("dead", "", map[string]any{"status": map[string]any{"phase": "Failed", "reason": "Terminated"}})
		if kind != "" {
			dead["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"kind": kind, "controller": true}}
		}
		f.objects["/api/v1/pods"] = append(f.objects["/api/v1/pods"].([]any), dead)
		if r := f.check(t, Options{})["other pods"]; r.Status != want {
			t.Errorf("with a failed pod of %q, other pods is %q (%s), want %q", kind, r.Status, r.Message, want)
		}
	}
}

func TestWhatIsNotThereIsSkippedWithAReason(t *testing.T) {
	on := func(yes bool) *bool { return &yes }
	for _, tt := range []struct {
		check, reason string
		options       func(*Options)
	}{
		{"logging", "off in the settings", func(o *Options) { o.Config.Addons.Logging.Enabled = on(false) }},
		{"rabbitmq", "charts are not installed", func(o *Options) { o.Hosts = true }},
		{"calico", "replace it", func(o *Options) { o.Hosts = true }},
		{"redis", "charts are not installed", func(o *Options) {
			o.Hosts, o.Real = true, []string{"rabbitmq-cluster-operator"}
		}},
		{"cloud controller", "removes its taint", func(o *Options) { o.Hosts = true }},
		{"issuer", "off in the settings", func(o *Options) { o.Config.Identity.Enabled = false }},
		{"issuer", "no bucket exists", func(o *Options) { o.Hosts = true }},
		{"calico", "cni: none", func(o *Options) { o.Config.Cluster.CNI = "none" }},
	} {
		t.Run(tt.check+": "+tt.reason, func(t *testing.T) {
			o := Options{Config: settings()}
			tt.options(&o)
			r := healthy(t).check(t, o)[tt.check]
			if r.Status != Skipped || !strings.Contains(r.Message, tt.reason) {
				t.Errorf("%s is %q: %q, want it skipped because of %q", tt.check, r.Status, r.Message, tt.reason)
			}
		})
	}
}

func TestFailingChecksAreTriedUntilTheWaitIsOver(t *testing.T) {
	f := healthy(t)
	spec := f.objects["/api/v1/nodes"].([]any)[1].(map[string]any)["spec"].(map[string]any)
	spec["unschedulable"] = true
	tries := 0
	r := f.check(t, Options{Wait: time.Minute, pause: func(_ context.Context, d time.Duration) error {
		if d != tryAgainAfter {
			return nil // waiting for a pod
		}
		if tries++; tries == 3 {
			f.mu.Lock()
			defer f.mu.Unlock()
			spec["unschedulable"] = false
		}
		return nil
	}})["nodes"]
	if r.Status != OK || tries != 3 {
		t.Errorf("nodes is %q after %d tries, want ok after 3", r.Status, tries)
	}
	spec["unschedulable"] = true
	tries = 0
	r = f.check(t, Options{Wait: time.Minute, pause: func(_ context.Context, d time.Duration) error {
		if d == tryAgainAfter {
			tries++
		}
		return nil
	}})["nodes"]
	if want := int(time.Minute / tryAgainAfter); r.Status != Failed || tries != want {
		t.Errorf("nodes is %q after %d tries, want it to fail after the %d of a minute", r.Status, tries, want)
	}
}

func TestDeadAPIEndsTheChecks(t *testing.T) {
	f := healthy(t)
	kubeconfig := f.kubeconfig(t)
	f.Close()
	api, err := Open(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), api, Options{Config: settings()})
	if err != nil || len(results) != 1 || results[0].Status != Failed {
		t.Fatalf("got %v, %v; want one failed check", results, err)
	}
}

func TestInterruptEndsTheChecks(t *testing.T) {
	f := healthy(t)
	api, err := Open(f.kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	results, err := Run(ctx, api, Options{Config: settings(), Now: func() time.Time { return now },
		Report: func(r Result) {
			if r.Check == "nodes" {
				cancel()
			}
		}})
	if err == nil || len(results) > 3 {
		t.Errorf("got %d results and %v, want the checks to end after nodes", len(results), err)
	}
}

func TestOnlyNodesOfTheSettingsCount(t *testing.T) {
	c := settings()
	c.Nodes = append(c.Nodes, config.Node{Name: "worker-2", Role: config.Worker})
	r := healthy(t).check(t, Options{Config: c})["nodes"]
	if r.Status != Failed || !strings.Contains(r.Message, "worker-2 is missing") {
		t.Errorf("nodes is %q: %q", r.Status, r.Message)
	}
}
