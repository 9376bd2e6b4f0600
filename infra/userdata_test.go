package infra

import (
	"crypto/ed25519"
	"encoding/pem"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"go.yaml.in/yaml/v3"
	gossh "golang.org/x/crypto/ssh"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// hostKey returns a key pair derived from its seed only, in the formats of pulumi-tls.
func hostKey(t *testing.T) (private, public string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte("thirty-two bytes, the same always"[:32]))
	block, err := gossh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	pub, err := gossh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), string(gossh.MarshalAuthorizedKey(pub))
}

func TestUserDataGolden(t *testing.T) {
	const golden = "testdata/userdata.golden.yaml"
	got, err := userData("worker-1", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
		"ssh-ed25519 BBBB\n")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("user data\n%s\nwant\n%s\n(go test ./infra -update writes it)", got, want)
	}
}

// cloud-init reports user data that violates its schema as an error, which would hide every other error of the boot.
// The schema is that of cloud-init 22.4.2-1+deb12u4 (testdata/cloud-config-schema.sh writes it).
func TestUserDataFitsCloudInitsSchema(t *testing.T) {
	schema, err := jsonschema.Compile("testdata/cloud-config-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	private, public := hostKey(t)
	text, err := userData("worker-1", private, public)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(document); err != nil {
		t.Errorf("%#v", err)
	}
	document["ssh_genkeytypes"] = []any{}
	if schema.Validate(document) == nil {
		t.Error("the schema accepts ssh_genkeytypes: [], which cloud-init refuses: it is not the schema of cloud-init")
	}
}

func TestUserDataPinsTheHostKey(t *testing.T) {
	private, public := hostKey(t)
	text, err := userData("worker-1", private, public)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text, "#cloud-config\n") {
		t.Fatalf("cloud-init does not recognise this as cloud-config: %.40q", text)
	}
	if len(text) > 16<<10 {
		t.Errorf("%d bytes; EC2 takes 16 KiB", len(text))
	}
	var got map[string]any
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	keys := got["ssh_keys"].(map[string]any)
	signer, err := gossh.ParsePrivateKey([]byte(keys["ed25519_private"].(string)))
	if err != nil {
		t.Fatalf("the private key does not survive YAML: %v", err)
	}
	pinned, _, _, _, err := gossh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	if string(signer.PublicKey().Marshal()) != string(pinned.Marshal()) {
		t.Error("the host answers with a key that is not the pinned one")
	}
	if strings.TrimSpace(public) != keys["ed25519_public"] {
		t.Errorf("public key %q", keys["ed25519_public"])
	}
	if got["ssh_deletekeys"] != true {
		t.Error("the host keeps the keys of its image, which are not pinned")
	}
}

// Every second here is on the critical path of every node, at a time when its progress cannot be observed.
func TestUserDataDoesNothingSlow(t *testing.T) {
	text, err := userData("worker-1", "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"disable_root", "hostname", "package_reboot_if_required", "package_update", "package_upgrade",
		"preserve_hostname", "ssh_deletekeys", "ssh_keys", "ssh_pwauth",
	}
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, allowed) {
		t.Errorf("user data has %v, want %v: what takes time belongs into a step", keys, allowed)
	}
	for _, key := range []string{"package_update", "package_upgrade", "package_reboot_if_required", "ssh_pwauth"} {
		if got[key] != false {
			t.Errorf("%s = %v", key, got[key])
		}
	}
}
