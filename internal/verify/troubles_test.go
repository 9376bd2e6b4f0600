package verify

import (
	"context"
	"strings"
	"testing"
	"time"
)

// The pods and the warnings of a namespace show what a chart waits for.
func TestTroublesNameThePodsAndTheWarnings(t *testing.T) {
	f := newFakeAPI(t)
	f.objects["/api/v1/namespaces/monitoring/pods"] = []any{
		obj("prometheus-0", "", conditions("PodScheduled=False")),
		obj("grafana-1", "", conditions("PodScheduled=True Ready=True")),
	}
	f.objects["/api/v1/namespaces/monitoring/events"] = []any{obj("e", "", map[string]any{
		"reason": "FailedMount", "message": `secret "grafana-admin" not found`, "lastTimestamp": "2026-06-01T10:00:00Z",
		"involvedObject": map[string]any{"kind": "Pod", "name": "grafana-1"},
	})}
	f.objects["/api/v1/nodes"] = []any{obj("worker-1", "", conditions("Ready=Unknown")),
		obj("master", "", conditions("Ready=True"))}
	api, err := Open(f.kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := Troubles(t.Context(), api, "monitoring")
	text := strings.Join(lines, "\n")
	if err != nil || len(lines) != 2 || !strings.Contains(text, "pod prometheus-0: not scheduled: because") ||
		!strings.Contains(text, `Pod grafana-1: FailedMount: secret "grafana-admin" not found`) {
		t.Errorf("got %q (%v)", lines, err)
	}
	if nodes, err := NotReady(t.Context(), api); err != nil || len(nodes) != 1 ||
		nodes[0] != "worker-1 is not Ready: because" {
		t.Errorf("not ready: %q (%v)", nodes, err)
	}
}

// The fault of a check is reported before the check is tried again.
func TestAFailingCheckIsReportedBeforeItIsTriedAgain(t *testing.T) {
	f := healthy(t)
	f.objects["/api/v1/nodes/worker-1"] = nil
	nodes := f.objects["/api/v1/nodes"].([]any)
	worker := nodes[1].(map[string]any)["status"].(map[string]any)
	worker["conditions"] = conditions("Ready=Unknown")["status"].(map[string]any)["conditions"]
	api, err := Open(f.kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	var reported []string
	tries := 0
	at := now
	_, _ = Run(t.Context(), api, Options{
		Config: settings(), Wait: tryAgainAfter, Now: func() time.Time { return at },
		Report: func(r Result) { reported = append(reported, r.Status+" "+r.Check) },
		pause: func(context.Context, time.Duration) error {
			if tries++; tries == 1 && reported[len(reported)-1] != Waiting+" nodes" {
				t.Errorf("before the first pause it reported %q", reported)
			}
			at = at.Add(tryAgainAfter)
			return nil
		},
	})
	if tries == 0 {
		t.Error("nothing was tried again")
	}
	for _, created := range f.created {
		if strings.Contains(created, "on-worker-1") {
			t.Errorf("a pod was started on the node that is not Ready: %s", created)
		}
	}
}
