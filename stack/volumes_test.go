package stack_test

import (
	"slices"
	"testing"
)

// TestVolumesThatAreKept wants every volume to stay, those of users and those of the platform, and nothing else. They
// were made while the setting said that they go.
func TestVolumesThatAreKept(t *testing.T) {
	r := running(t)
	r.users()
	r.set(map[string]any{"kubeadm-aws:protection": map[string]any{"volumes": "keep"}})
	r.up().must(t)
	volumes := r.box.Account(typesInAWS["volume"])
	if len(volumes) < 8 {
		t.Fatalf("one user, three releases and two clusters have %d volumes, of which Prometheus' release has three", len(volumes))
	}

	t.Run("until the setting says that they go", func(t *testing.T) {
		r := r.twin(t)
		r.set(map[string]any{"kubeadm-aws:protection": map[string]any{"volumes": "delete"}})
		r.up().must(t)
		r.destroy().must(t)
		r.mustBeEmpty()
	})
	r.destroy().must(t)
	if left := r.box.Leftovers(); !slices.Equal(left, volumes) {
		t.Errorf("left: %q\nvolumes: %q", left, volumes)
	}
}
