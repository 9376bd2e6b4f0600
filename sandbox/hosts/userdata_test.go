package hosts

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"
)

func TestUserDataInEveryFormThatEC2Takes(t *testing.T) {
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
	plain := "#cloud-config\n{\"hostname\": \"storage\", \"ssh_keys\": {\"ed25519_private\": \"" + strings.ReplaceAll(key, "\n", "\\n") + "\"}}\n"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(plain)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"plain":           plain,
		"base64":          base64.StdEncoding.EncodeToString([]byte(plain)),
		"gzip and base64": base64.StdEncoding.EncodeToString(packed.Bytes()),
		"block scalar":    "#cloud-config\nhostname: storage\nssh_keys:\n  ed25519_private: |\n    " + strings.ReplaceAll(key, "\n", "\n    ") + "\n",
	} {
		u, err := parseUserData(text)
		if err != nil || u.Hostname != "storage" {
			t.Errorf("%s: host name %q, %v", name, u.Hostname, err)
		}
		got, err := base64.StdEncoding.DecodeString(u.hostKey())
		if err != nil || string(got) != key+"\n" {
			t.Errorf("%s: key %q, %v", name, got, err)
		}
	}
}

func TestUserDataThatCloudInitWouldNotObeyIsAnError(t *testing.T) {
	for _, text := range []string{"ssh_keys: {}", "#!/bin/sh\ntrue\n", "#cloud-config\n\tssh_keys: [\n"} {
		if _, err := parseUserData(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if u, err := parseUserData(""); err != nil || u.hostKey() != "" {
		t.Errorf("empty user data: %q, %v", u.hostKey(), err)
	}
}
