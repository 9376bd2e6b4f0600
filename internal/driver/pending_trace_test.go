package driver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/sandbox"
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

// Everything that the program makes, with every option on, can be found again by its inputs, and nothing else is found.
func TestEverythingLeavesATrace(t *testing.T) {
	needCLI(t)
	dir := project(t, "kubeadm-aws:owner: platform", `kubeadm-aws:owner: platform
  kubeadm-aws:dns: {domain: example.org, createZone: true}
  kubeadm-aws:addons: {acme: {email: a@example.org}, logging: {enabled: true}, postgresql: {enabled: true}}`)
	if code, stdout, _ := drive(t, "up", "--stack", "dev", "--dir", dir); code != report.ExitOK {
		t.Fatalf("up exits %d:\n%s", code, stdout)
	}
	cfg, err := config.LoadFile("dev", dir)
	if err != nil {
		t.Fatal(err)
	}
	st := stateOf(t, dir)
	used := map[string]bool{}
	world(t, dir, func(s *sandbox.Sandbox) error {
		for _, r := range st.Resources {
			used[r.Type] = true
			w, there, err := follow(r, cfg)
			if err != nil {
				t.Errorf("%s: %v", state.Readable(r.URN), err)
			}
			switch {
			case !there:
				if outside := strings.HasPrefix(r.Type, "aws:") || strings.HasPrefix(r.Type, "kubernetes:"); outside && !traces[r.Type].nothing {
					t.Errorf("%s is not looked for", state.Readable(r.URN))
				}
			case w.ID != "":
				if w.ID != r.ID {
					t.Errorf("%s is looked for as %s, and is %s", state.Readable(r.URN), w.ID, r.ID)
				}
			default:
				if ids := s.AWS.Find(w.Type, w.Tags, w.Properties); !slices.Equal(ids, []string{r.ID}) {
					t.Errorf("looking for %s (%s) finds %v", state.Readable(r.URN), r.ID, ids)
				}
			}
		}
		return nil
	})
	for typ := range traces {
		if !used[typ] {
			t.Errorf("nothing in the stack is a %s; traces need not know it", typ)
		}
	}
}
