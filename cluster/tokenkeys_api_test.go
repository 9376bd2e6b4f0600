package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"kubeadm-aws/config"
)

// keyFolder has the files of the keys as a control plane has them, and their public parts by number.
func keyFolder(t *testing.T, count int) (folder string, public []string) {
	t.Helper()
	folder = t.TempDir()
	for n := range count {
		private, part := serviceAccountKey(t)
		public = append(public, part)
		names := map[string]string{fmt.Sprintf("sa-%d.key", n): private, fmt.Sprintf("sa-%d.pub", n): part}
		if n == 0 {
			names["sa.key"], names["sa.pub"] = private, part
		}
		for name, content := range names {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return folder, public
}

// flagsOfKeys returns the flags of the API server, as the program and kubeadm write them, with the files in a folder.
func flagsOfKeys(keys TokenKeys, folder string) []string {
	list := keys.apiServerFlags()
	if len(list) == 0 {
		list = []any{object{"name": keyFlag, "value": "/etc/kubernetes/pki/sa.pub"},
			object{"name": signingKeyFlag, "value": "/etc/kubernetes/pki/sa.key"}}
	}
	var flags []string
	for _, flag := range list {
		file := filepath.Base(flag.(object)["value"].(string))
		flags = append(flags, fmt.Sprintf("--%s=%s", flag.(object)["name"], filepath.Join(folder, file)))
	}
	return flags
}

// keyBucket serves the discovery documents, as the bucket does while a rotation changes them.
type keyBucket struct {
	*httptest.Server
	keys string
}

func newKeyBucket(t *testing.T) *keyBucket {
	t.Helper()
	b := &keyBucket{}
	b.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		document := b.keys
		if r.URL.Path == "/"+config.DiscoveryPath {
			document, _ = discoveryDocument(b.URL)
		}
		_, _ = w.Write([]byte(document))
	}))
	t.Cleanup(b.Close)
	return b
}

// verifier returns who reads the published keys now and keeps them, as AWS may.
func (b *keyBucket) verifier(t *testing.T) func(token string) error {
	t.Helper()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(b.keys), &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("%v: %s", err, b.keys)
	}
	copied := b.keys
	kept := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(copied))
	}))
	t.Cleanup(kept.Close)
	ctx := oidc.ClientContext(context.Background(), kept.Client())
	by := oidc.NewVerifier(b.URL, oidc.NewRemoteKeySet(ctx, kept.URL), &oidc.Config{ClientID: "sts.amazonaws.com"})
	return func(token string) error {
		_, err := by.Verify(ctx, token)
		return err
	}
}

// TestARotationOnRealAPIServers plays the stages with an API server for each, on one etcd. At every change the former
// server goes on next to the new one, as with several control planes. One verifier keeps the keys that were published
// before.
func TestARotationOnRealAPIServers(t *testing.T) {
	folder, public := keyFolder(t, 2)
	published := newKeyBucket(t)
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	keys := ReadTokenKeys("", "", "")
	var tokens, forAWS []string // one of each stage
	var before *control
	var former func(string) error
	etcd := ""
	for stage := range 4 {
		if stage > 0 {
			now = now.Add(26 * time.Hour)
			keys, _ = PlanTokenKeys(rotating(1, 25), keys, now)
			keys.Since = now
		}
		var accepted []string
		for _, n := range keys.Accepted {
			accepted = append(accepted, public[n])
		}
		text, err := keySet(accepted...)
		if err != nil {
			t.Fatal(err)
		}
		published.keys = text
		verify := published.verifier(t)
		flags := append(apiServerFlags(t, published.URL), flagsOfKeys(keys, folder)...)
		if etcd != "" {
			flags = append(flags, "--etcd-servers="+etcd)
		}
		c, client := openControl(t, flags...)
		if etcd == "" {
			etcd = client
			c.run("", "create", "serviceaccount", "app")
		}
		sameKeys(t, c, text)
		tokens, forAWS = append(tokens, c.token("")), append(forAWS, c.token("sts.amazonaws.com"))
		if stage == 3 {
			refusesKey(t, c, verify, tokens[:2], forAWS[:2])
			tokens, forAWS = tokens[2:], forAWS[2:] // those of the new key
		}
		for i, token := range tokens {
			if !c.accepted(token) {
				t.Errorf("stage %d: token %d is refused", stage, i)
			}
			if err := verify(forAWS[i]); err != nil {
				t.Errorf("stage %d: token %d for AWS: %v", stage, i, err)
			}
		}
		newest := len(tokens) - 1
		if before != nil && !before.accepted(tokens[newest]) {
			t.Errorf("stage %d: the control plane that is not changed yet refuses the new token", stage)
		}
		if former != nil && former(forAWS[newest]) != nil {
			t.Errorf("stage %d: who has cached the keys of before refuses the new token", stage)
		}
		before, former = c, verify
	}
	if keys.Signing != 1 || spaced(keys.Accepted) != "1" {
		t.Errorf("the rotation ends with %+v", keys)
	}
}

// sameKeys expects the API server to show the published keys.
func sameKeys(t *testing.T, c *control, published string) {
	t.Helper()
	ids := func(text string) string {
		var set struct {
			Keys []struct {
				ID string `json:"kid"`
			} `json:"keys"`
		}
		if err := json.Unmarshal([]byte(text), &set); err != nil {
			t.Fatal(err)
		}
		all := map[string]bool{}
		for _, key := range set.Keys {
			all[key.ID] = true
		}
		return fmt.Sprint(all)
	}
	if shown := c.run("", "get", "--raw", "/"+config.KeySetPath); ids(shown) != ids(published) {
		t.Errorf("published %s, the API server has %s", published, shown)
	}
}

// refusesKey expects tokens of a key that was dropped to be refused.
func refusesKey(t *testing.T, c *control, verify func(string) error, tokens, forAWS []string) {
	t.Helper()
	for i := range tokens {
		if c.accepted(tokens[i]) {
			t.Errorf("the API accepts token %d of the key that was dropped", i)
		}
		if err := verify(forAWS[i]); err == nil || !strings.Contains(err.Error(), "signature") {
			t.Errorf("token %d of the key that was dropped, for AWS: %v", i, err)
		}
	}
}
