package stack_test

import (
	"slices"
	"testing"
)

// TestVolumesThatAreKept requires every volume to stay, of users and of the platform, and nothing else. The volumes
// were created while the setting was delete.
func TestVolumesThatAreKept(t *testing.T) {
	r := running(t)
	r.users()
	r.set(map[string]any{"kubeadm-aws:protection": map[string]any{"volumes": "keep"}})
	r.up().must(t)
	volumes := r.box.Account(typesInAWS["volume"])
	if len(volumes) < 8 {
		t.Fatalf("one user, three releases and two clusters have %d volumes, of which Prometheus' release has three",
			len(volumes))
	}

	t.Run("until the setting is delete again", func(t *testing.T) {
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
