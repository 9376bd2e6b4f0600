package verify

import (
	"net/http"
	"strings"
	"testing"
)

// release puts the Application root and its Rollout into the states of a release from one version to another.
func (f *fakeAPI) release(health, phase, stable, current string) {
	first(f, "/apis/argoproj.io/v1alpha1/applications")["status"] = map[string]any{
		"sync": map[string]any{"status": "Synced"}, "health": map[string]any{"status": health},
	}
	api := obj("api", "apps", map[string]any{"status": map[string]any{
		"phase": phase, "stableRS": stable, "currentPodHash": current,
	}})
	metadata(api)["annotations"] = map[string]any{"argocd.argoproj.io/tracking-id": "root:argoproj.io/Rollout:apps/api"}
	f.objects["/apis/argoproj.io/v1alpha1/rollouts"] = []any{api}
}

func TestAReleaseUnderWayIsNoFault(t *testing.T) {
	for health, phase := range map[string]string{"Progressing": "Progressing", "Suspended": "Paused"} {
		f := healthy(t)
		f.release(health, phase, "old", "new")
		r := f.check(t, Options{})["argo cd"]
		if r.Status == Failed || !strings.Contains(r.Message, "a release is under way in root") {
			t.Errorf("%s: %q, %q", health, r.Status, r.Message)
		}
	}
}

// An Ingress that names the path of its application's health has to answer there; another one only must not fail.
func TestTheHealthOfAnApplicationIsAsked(t *testing.T) {
	for _, tt := range []struct {
		health string
		code   int
		says   string
	}{
		{"/healthz", http.StatusOK, ""}, {"/healthz", http.StatusFound, ""},
		{"/healthz", http.StatusNotFound, "404 for /healthz, its own health"},
		{"/healthz", http.StatusInternalServerError, "500: the application fails"},
		{"", http.StatusNotFound, ""}, {"", http.StatusInternalServerError, "500: the application fails"},
		{"", http.StatusServiceUnavailable, "no healthy target"},
	} {
		f := healthy(t)
		i := f.ingress(t, tt.code)
		if tt.health != "" {
			metadata(i)["annotations"] = map[string]any{healthPath: tt.health}
		}
		f.objects["/apis/networking.k8s.io/v1/ingresses"] = []any{i}
		r := f.check(t, Options{})["ingress"]
		if (r.Status == Failed) != (tt.says != "") || !strings.Contains(r.Message, tt.says) {
			t.Errorf("%q answers %d: %q, %q", tt.health, tt.code, r.Status, r.Message)
		}
	}
}
