package workspace

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"kubeadm-aws/internal/report"
)

// An operation appends to the account and may write the state. The account afterwards belongs to the state.
func TestTheAccountGoesBackWithTheState(t *testing.T) {
	for name, c := range map[string]struct {
		writes, advances, failed bool
		account                  string
	}{
		"killed before the state was written":     {account: "before"},
		"killed after it":                         {writes: true, account: "before after"},
		"failed without writing it":               {advances: true, failed: true, account: "before"},
		"failed with it":                          {writes: true, advances: true, failed: true, account: "before after"},
		"succeeded without a change of the state": {advances: true, account: "before after"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put := func(file, text string) {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			put("account.jsonl", "before")
			put("state", "old")
			s := savepointIn(dir, filepath.Join(dir, "state"))
			if err := s.set(); err != nil {
				t.Fatal(err)
			}
			put("account.jsonl", "before after")
			if c.writes {
				put("state", "new")
			}
			if c.advances {
				if lost, err := s.advance(c.failed); err != nil || lost != (c.failed && !c.writes) {
					t.Errorf("lost is %v: %v", lost, err)
				}
			}
			log := &report.Log{Now: time.Now, To: &report.Text{Out: os.Stderr, Begun: time.Now()}}
			if err := s.rollback(log); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(dir, "account.jsonl"))
			if err != nil || string(text) != c.account {
				t.Errorf("the account is %q, want %q: %v", text, c.account, err)
			}
			if _, err := s.read(); !os.IsNotExist(err) {
				t.Errorf("a savepoint remains: %v", err)
			}
		})
	}
}
