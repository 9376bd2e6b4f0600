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
