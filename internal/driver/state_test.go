package driver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/internal/state"
)

// stateOf reads the state of a simulation from the disk.
func stateOf(t *testing.T, dir string) state.State {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, ".sandbox", "dev", "state", ".pulumi", "stacks", "kubeadm-aws",
		"dev.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Checkpoint apitype.CheckpointV3
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if file.Checkpoint.Latest == nil || len(file.Checkpoint.Latest.Resources) == 0 {
		t.Fatal("the state is empty")
	}
	return state.State{DeploymentV3: *file.Checkpoint.Latest}
}
