package driver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"kubeadm-aws/internal/state"
)

// stateOf reads the state of a rehearsal as it lies on the disk.
func stateOf(t *testing.T, dir string) state.State {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, ".sandbox", "dev", "state", ".pulumi", "stacks", "kubeadm-aws", "dev.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Checkpoint struct{ Latest state.State }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	st := file.Checkpoint.Latest
	if len(st.Resources) == 0 {
		t.Fatal("the state is empty")
	}
	return st
}
