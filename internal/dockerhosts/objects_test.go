package dockerhosts

import "testing"

func TestPropagationIsTheProviders(t *testing.T) {
	for policy, want := range map[string]string{"": "Foreground", "background": "Background"} {
		object := map[string]any{"metadata": map[string]any{"annotations": map[string]any{"pulumi.com/deletionPropagationPolicy": policy}}}
		if got := propagation(object); got != want {
			t.Errorf("%q: %s, want %s", policy, got, want)
		}
	}
	if got := propagation(map[string]any{}); got != "Foreground" {
		t.Errorf("without annotations: %s", got)
	}
}

// A pod whose image the mirror does not have would never be ready.
func TestDeploymentsHaveNoPods(t *testing.T) {
	asked := map[string]any{"kind": "Deployment", "spec": map[string]any{"replicas": 1.0, "selector": "kept"}}
	got := withoutPods(asked)["spec"].(map[string]any)
	if got["replicas"] != 0 || got["selector"] != "kept" {
		t.Errorf("applied is %v", got)
	}
	if asked["spec"].(map[string]any)["replicas"] != 1.0 {
		t.Error("the object of the program has changed")
	}
}
