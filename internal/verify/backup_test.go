package verify

import (
	"os"
	"strings"
	"testing"
)

// The check reads what the script on the control plane writes, so both have to say the same names.
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
	for schedule, want := range map[string]string{"weekly": Skipped, "daily": Failed} {
		f := healthy(t)
		delete(f.objects["/api/v1/nodes/master"].(map[string]any)["metadata"].(map[string]any), "annotations")
		o := Options{Config: settings()}
		o.Config.Backup.Schedule = schedule
		if r := f.check(t, o)["etcd backup"]; r.Status != want {
			t.Errorf("%s: a node of two days without a snapshot is %q (%s), want %q", schedule, r.Status, r.Message, want)
		}
	}
}
