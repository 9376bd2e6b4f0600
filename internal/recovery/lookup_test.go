package recovery

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/testenv"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/stack"
)

// simulated brings up the dev stack with every option, and returns its settings, its state and its workspace.
func simulated(t *testing.T) (*config.Config, state.State, *sandbox.Sandbox) {
	t.Helper()
	testenv.NeedPulumi(t)
	dir := t.TempDir()
	s, err := sandbox.Start(sandbox.Options{Stack: "dev", Dir: filepath.Join(dir, "account")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	settings := map[string]any{
		"kubeadm-aws:dns":      map[string]any{"domain": "example.org", "createZone": true},
		"kubeadm-aws:identity": map[string]any{"enabled": true},
		"kubeadm-aws:addons": map[string]any{
			"acme": map[string]any{"email": "a@example.org"}, "logging": map[string]any{"enabled": true},
			"postgresql": map[string]any{"enabled": true},
		},
	}
	engine, err := sandbox.Workspace{Project: "../..", Dir: dir, Stack: "dev", Program: stack.Deploy,
		Settings: settings}.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	exported, err := engine.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(exported)
	if err != nil {
		t.Fatal(err)
	}
	st, err := state.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadFile("dev", dir)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, st, s
}

// Everything that the program creates can be found by its inputs, and only that.
func TestEveryResourceCanBeLookedUp(t *testing.T) {
	cfg, st, s := simulated(t)
	used := map[string]bool{}
	for _, r := range st.Resources {
		used[string(r.Type)] = true
		lookup, there, err := resolve(r, cfg)
		if err != nil {
			t.Errorf("%s: %v", state.Readable(r.URN), err)
		}
		switch {
		case !there:
			outside := strings.HasPrefix(string(r.Type), "aws:") || strings.HasPrefix(string(r.Type), "kubernetes:")
			if outside && !lookupKeys[string(r.Type)].nothing {
				t.Errorf("%s is not looked for", state.Readable(r.URN))
			}
		case lookup.ID != "":
			if lookup.ID != string(r.ID) {
				t.Errorf("%s is looked for as %s, and is %s", state.Readable(r.URN), lookup.ID, r.ID)
			}
		default:
			found, err := account.Find(t.Context(), &workspace.Workspace{Sandbox: s}, []account.Lookup{lookup})
			if ids := found[r.URN]; err != nil || !slices.Equal(ids, []string{string(r.ID)}) {
				t.Errorf("looking for %s (%s) finds %v (%v)", state.Readable(r.URN), r.ID, ids, err)
			}
		}
	}
	// An interrupted run of an earlier version may have created these.
	older := []string{"aws:ecr/repository:Repository", "aws:ecr/lifecyclePolicy:LifecyclePolicy"}
	for typ := range lookupKeys {
		if !used[typ] && !slices.Contains(older, typ) {
			t.Errorf("nothing in the stack is a %s; lookupKeys need not know it", typ)
		}
	}
}
