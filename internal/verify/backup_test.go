package verify

import (
	"os"
	"strings"
	"testing"
)

// The check reads what the script on the control plane writes, so both must use the same names.
func TestBackupAnnotationsAreThoseOfTheScript(t *testing.T) {
	script, err := os.ReadFile("../../cluster/scripts/etcd-snapshot.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{lastBackup, lastBackupKey} {
		if !strings.Contains(string(script), `"`+name+`=`) {
			t.Errorf("etcd-snapshot.sh annotates no node with %s", name)
		}
	}
}

func TestNoBackupIsDueBeforeTheScheduleSaysSo(t *testing.T) {
	for hours, want := range map[int]string{72: Skipped, 24: Failed} {
		f := healthy(t)
		delete(f.objects["/api/v1/nodes/master"].(map[string]any)["metadata"].(map[string]any), "annotations")
		o := Options{Config: settings()}
		o.Config.Backup.EveryHours = hours
		if r := f.check(t, o)["etcd backup"]; r.Status != want {
			t.Errorf("%d: a node of two days without a snapshot is %q (%s), want %q", hours, r.Status, r.Message, want)
		}
	}
}
