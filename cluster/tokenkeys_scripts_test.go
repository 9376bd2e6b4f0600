package cluster

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/cluster/stepline"
)

// tokenOf returns the text of a token that a key has signed, as far as the script reads it.
func tokenOf(t *testing.T, public string) string {
	t.Helper()
	key, err := webKey(public)
	if err != nil {
		t.Fatal(err)
	}
	header, err := json.Marshal(map[string]string{"alg": "RS256", "kid": key["kid"]})
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(header) + ".payload.signature"
}

// tokenHost is a control plane with the public parts of two keys. The file /signs is the token that the API server
// issues, and /keys is what it publishes. /secrets is the list of Secrets with tokens.
func tokenHost(t *testing.T) (h *scriptHost, public []string) {
	h = newScriptHost(t)
	for _, name := range []string{"0", "1"} {
		_, part := serviceAccountKey(t)
		public = append(public, part)
		h.write("/etc/kubernetes/pki/sa-"+name+".pub", part, 0o644)
	}
	h.env = map[string]string{"ACCEPTS": "0 1", "SIGNS": "0", "ENDS": "1", "ADDRESSES": "10.0.1.10 10.0.1.11"}
	h.stub("kubectl", `echo "kubectl $*" >>$ROOT/calls
case $* in
*jwks) cat $ROOT/keys ;;
*"create token"*) cat $ROOT/signs ;;
*"get secrets"*) [ ! -e $ROOT/api-down ] && cat $ROOT/secrets ;;
esac`)
	h.stub("sleep", "")
	set, err := keySet(public...)
	if err != nil {
		t.Fatal(err)
	}
	h.write("/keys", set, 0o600)
	h.write("/signs", tokenOf(t, public[0]), 0o600)
	h.write("/var/lib/kubeadm-aws/x", "", 0o600)
	return h, public
}

// TestAStageIsRecorded expects every API server to be asked, and the time of a stage to stay when the step runs again.
func TestAStageIsRecorded(t *testing.T) {
	h, public := tokenHost(t)
	o := h.run("token-keys.sh", "")
	since, ok := strings.CutPrefix(o.stdout, "signing with 0 since ")
	if _, err := time.Parse(time.RFC3339, since); !ok || err != nil || o.code != 0 {
		t.Fatalf("prints %q: %s", o.stdout, o.stderr)
	}
	for _, want := range []string{"--server https://10.0.1.10:6443", "--server https://10.0.1.11:6443"} {
		if !strings.Contains(h.read("/calls"), want) {
			t.Errorf("no %s in %s", want, h.read("/calls"))
		}
	}
	record := h.read("/var/lib/kubeadm-aws/token-keys")
	h.write("/var/lib/kubeadm-aws/token-keys", strings.Replace(record, since, "2026-01-02T03:04:05Z", 1), 0o600)
	h.succeeds(h.run("token-keys.sh", ""), "signing with 0 since 2026-01-02T03:04:05Z")
	h.env["SIGNS"] = "1"
	h.write("/signs", tokenOf(t, public[1]), 0o600)
	if o := h.run("token-keys.sh", ""); !strings.HasPrefix(o.stdout, "signing with 1 since 2") ||
		strings.Contains(o.stdout, "2026-01-02") {
		t.Errorf("the next stage prints %q: %s", o.stdout, o.stderr)
	}
}

func testTokenKeysFailures(t *testing.T) {
	host := func(t *testing.T) (*scriptHost, string) { h, _ := tokenHost(t); return h, "" }
	const refuses2 = "the API server at 10.0.1.10 does not accept the keys 0 1 of service accounts, or does not sign with 0"
	refuses(t, "token-keys.sh", host, []spoilt{
		{says: "needs root", spoil: stubbed("id", "echo 1000")},
		{says: refuses2, spoil: func(h *scriptHost) string { h.write("/keys", `{"keys":[]}`, 0o600); return "" }},
		{says: refuses2, spoil: func(h *scriptHost) string {
			_, other := serviceAccountKey(h.t)
			h.write("/signs", tokenOf(h.t, other), 0o600)
			return ""
		}},
	})
	h, public := tokenHost(t)
	h.remove("/etc/kubernetes/pki/sa-0.pub")
	secret := func(name, public string) string {
		return name + " " + base64.StdEncoding.EncodeToString([]byte(tokenOf(t, public))) + "\n"
	}
	folder := h.at("/etc/kubernetes/pki")
	h.write("/secrets", secret("apps/new", public[1])+"apps/empty \n", 0o600)
	h.succeeds(h.run("token-keys.sh", "", "secrets", folder), "")
	h.write("/secrets", secret("apps/new", public[1])+secret("ci/old", public[0])+secret("ci/older", public[0]), 0o600)
	o := h.run("token-keys.sh", "", "secrets", folder)
	h.fails(o, 1, "and nothing has been changed: ci/old ci/older. Renew each token")
	if strings.Contains(o.stderr, "apps/new") || strings.Contains(o.stderr, "payload") {
		t.Errorf("it says %s", o.stderr)
	}
	h.write("/api-down", "", 0o600)
	h.fails(h.run("token-keys.sh", "", "secrets", folder), 1, "so no key is dropped and nothing has been changed")
	h.fails(h.run("token-keys.sh", "", "secrets"), 2)
	delete(h.env, "SIGNS")
	h.fails(h.run("token-keys.sh", ""), 2, "SIGNS is not set")
}

// keyFlagsOf returns what kubeadm writes for the flags of keys into the manifest of the API server.
func keyFlagsOf(keys TokenKeys) string {
	if !keys.Rotated {
		return "--service-account-key-file=/etc/kubernetes/pki/sa.pub --service-account-signing-key-file=/etc/kubernetes/pki/sa.key"
	}
	text := ""
	for _, flag := range keys.apiServerFlags() {
		text += " --" + flag.(object)["name"].(string) + "=" + flag.(object)["value"].(string)
	}
	return text
}

// rotationHost is a control plane with the keys 0 and 1. The check
// of Secrets fails while the file /old-secrets exists.
type rotationHost struct {
	*scriptHost
	authority string
	content   []string // of the keys
}

func newRotationHost(t *testing.T) *rotationHost {
	h := &rotationHost{initHost(t), authorityPEM(t, newKeyPair(t), time.Now().AddDate(10, 0, 0)), []string{"zero", "one"}}
	h.env["TOKEN_KEYS"] = h.file("token-keys.sh", `echo "token-keys $*" >>$ROOT/calls; [ ! -e $ROOT/old-secrets ]`)
	return h
}

// runWith runs init.sh with keys, and flags of other settings.
func (h *rotationHost) runWith(keys TokenKeys, others string) outcome {
	h.t.Helper()
	own, err := stepline.Unpack(initFiles(h.t, h.authority))
	if err != nil {
		h.t.Fatal(err)
	}
	signing := h.content[keys.Signing]
	maps.Copy(own, map[string]string{"pki/sa.key": "private " + signing, "pki/sa.pub": signing})
	text, err := renderYAML(object{"apiServer": object{"extraArgs": keys.apiServerFlags()}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.env["KUBEADM_CONFIG"] = "advertiseAddress: 10.0.1.10\n" + text + others
	if keys.Rotated {
		for _, n := range keys.Accepted {
			own["pki/"+filepath.Base(tokenKeyPath(n, ".pub"))] = h.content[n]
		}
		own["pki/"+filepath.Base(tokenKeyPath(keys.Signing, ".key"))] = "private " + signing
	}
	stdin, err := stepline.Pack(own)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("/new/kube-apiserver.yaml", manifest("kube-apiserver", keyFlagsOf(keys)+" "+others), 0o600)
	h.write("/calls", "", 0o600)
	return h.run("init.sh", stdin)
}

// TestSecretsAreCheckedWhenAKeyIsDropped changes settings of clusters whose check of Secrets fails: a Secret has a
// token of the former key, or the API does not answer.
func TestSecretsAreCheckedWhenAKeyIsDropped(t *testing.T) {
	first, last := ReadTokenKeys("", "", ""), keysFrom(time.Time{}, 1, 1, 1)
	accepts, signs := keysFrom(time.Time{}, 0, 1, 0, 1), keysFrom(time.Time{}, 1, 1, 0, 1)
	for name, c := range map[string]struct {
		has, wants TokenKeys
		down       bool
		refused    bool
	}{
		"API down, no key dropped":                     {last, last, true, false},
		"API down, no key dropped in a stage":          {accepts, signs, true, false},
		"old Secret, no key dropped":                   {signs, signs, false, false},
		"old Secret, first stage":                      {first, accepts, false, false},
		"numbered key dropped with an old Secret":      {signs, last, false, true},
		"key dropped, API down":                        {signs, last, true, true},
		"direct drop of the first key, old Secret":     {first, last, false, true},
		"direct drop of a numbered key, an old Secret": {last, keysFrom(time.Time{}, 0, 0, 0), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newRotationHost(t)
			h.succeeds(h.runWith(c.has, ""), "initialised 1.36.3")
			h.write("/old-secrets", "", 0o600)
			if c.down {
				// The API server does not run with its settings.
				h.write("/etc/kubernetes/manifests/kube-apiserver.yaml",
					manifest("kube-apiserver", keyFlagsOf(c.has)+" --v=bad"), 0o600)
			}
			before := h.files()
			o := h.runWith(c.wants, "--v=3")
			changes := strings.Contains(h.read("/calls"), "kubeadm ") || h.files() != before
			if c.refused {
				h.fails(o, 1)
				if changes {
					t.Errorf("it is changed to %s: %s", h.files(), h.read("/calls"))
				}
				h.remove("/old-secrets")
				h.succeeds(h.runWith(c.wants, "--v=3"), "initialised 1.36.3")
				key := h.content[c.wants.Signing]
				if want := "sa.key=private " + key + " sa.pub=" + key + " "; !strings.HasSuffix(h.files(), want) {
					t.Errorf("the files are %s, want %s", h.files(), want)
				}
				return
			}
			h.succeeds(o, "initialised 1.36.3")
			if checks := strings.Contains(h.read("/calls"), "token-keys"); checks || !changes {
				t.Errorf("checks Secrets: %v, changes settings: %v", checks, changes)
			}
		})
	}
}

// files returns the keys on the control plane.
func (h *rotationHost) files() string {
	h.t.Helper()
	found, _ := filepath.Glob(h.at("/etc/kubernetes/pki/sa*"))
	text := ""
	for _, file := range found {
		raw, err := os.ReadFile(file)
		if err != nil {
			h.t.Fatal(err)
		}
		text += filepath.Base(file) + "=" + string(raw) + " "
	}
	return text
}

// TestARotationOnAHost runs init.sh for each stage. The API server's own key stays in place until it has other flags,
// kubeadm's names then have the key that signs, and the key that was dropped is gone.
func TestARotationOnAHost(t *testing.T) {
	h := newRotationHost(t)
	run := func(keys TokenKeys) outcome { t.Helper(); return h.runWith(keys, "") }
	plain, leaked := ReadTokenKeys("", "", ""), keysFrom(time.Time{}, 1, 1, 1)
	h.succeeds(run(plain), "initialised 1.36.3")
	// A change that fails leaves the files of the API server that goes on.
	h.write("/crash", "kube-scheduler", 0o600)
	h.fails(run(leaked), 1, "the manifests of before are back")
	if got := h.files(); !strings.Contains(got, "sa.key=private zero sa.pub=zero") {
		t.Errorf("after a failure the files are %s", got)
	}
	h.remove("/crash")
	h.write("/old-secrets", "", 0o600)
	h.fails(run(leaked), 1)
	if calls := h.read("/calls"); strings.Contains(calls, "kubeadm ") || !strings.Contains(calls, "token-keys secrets") {
		t.Errorf("with a Secret of the old key: %s", calls)
	}
	h.remove("/old-secrets")
	for _, c := range []struct {
		keys TokenKeys
		want string
	}{
		{keysFrom(time.Time{}, 0, 1, 0, 1), "sa-0.key=private zero sa-0.pub=zero sa-1.pub=one sa.key=private zero sa.pub=zero "},
		{keysFrom(time.Time{}, 1, 1, 0, 1), "sa-0.pub=zero sa-1.key=private one sa-1.pub=one sa.key=private one sa.pub=one "},
		{leaked, "sa-1.key=private one sa-1.pub=one sa.key=private one sa.pub=one "},
		{keysFrom(time.Time{}, 0, 0, 0), "sa-0.key=private zero sa-0.pub=zero sa.key=private zero sa.pub=zero "},
	} {
		h.succeeds(run(c.keys), "initialised 1.36.3")
		if got := h.files(); got != c.want {
			t.Errorf("%+v: the files are %s, want %s", c.keys, got, c.want)
		}
	}
}

// testAnotherKey changes a key whose number the API server has. It has the key of a run that was interrupted, and the
// stack has another one since. Another number helps.
func testAnotherKey(t *testing.T) {
	h := newRotationHost(t)
	accepts := keysFrom(time.Time{}, 0, 1, 0, 1)
	h.succeeds(h.runWith(accepts, ""), "initialised 1.36.3")
	h.content = []string{"zero", "another", "two"}
	h.fails(h.runWith(accepts, ""), 1, "set identity.rotate to a number that this cluster never had")
	h.succeeds(h.runWith(keysFrom(time.Time{}, 0, 2, 0, 2), ""), "initialised 1.36.3")
	h.content[2], h.authority = "another", authorityPEM(t, newKeyPair(t), time.Now().AddDate(10, 0, 0))
	h.fails(h.runWith(keysFrom(time.Time{}, 0, 2, 0, 2), ""), 1, "ca.crt on this machine is not the one of this stack")
}
