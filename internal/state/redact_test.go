package state

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"kubeadm-aws/addons/bcrypt"
	"kubeadm-aws/cluster/stepline"
)

// hidden is a secret of a state in plain text.
func hidden(value any) map[string]any {
	text, _ := json.Marshal(value)
	return map[string]any{secretSign: secretMark, "plaintext": string(text)}
}

func resourceOf(typ, name string, inputs, outputs map[string]any) Resource {
	urn := URN("urn:pulumi:dev::p::" + typ + "::" + name)
	return Resource{URN: urn, Type: tokens.Type(typ), Inputs: inputs, Outputs: outputs}
}

const (
	password = "pass-\"word\"-1"
	keyPEM   = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
	token    = "token-of-a-person"
)

var salt = base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))

// written is a state in which the program uses secrets in every form that it has.
func written(t *testing.T, password, keyPEM, token, salt string) State {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.Hash(password, raw)
	if err != nil {
		t.Fatal(err)
	}
	login := base64.StdEncoding.EncodeToString([]byte("user:" + password))
	input, err := stepline.Pack(map[string]string{
		"pki/ca.key": keyPEM, "hosts.toml": "Authorization = [\"Basic " + login + "\"]"})
	if err != nil {
		t.Fatal(err)
	}
	values, err := json.Marshal(map[string]string{"password": password})
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string]any{
		"name": "plain", "password": hidden(password), "hash": hidden(hash), "stdin": hidden(input),
		"encoded": hidden(base64.StdEncoding.EncodeToString([]byte("of a url: https://" + token))),
		"values":  hidden(map[string]any{"json": string(values), "port": 80, "nested": hidden(token)}),
	}
	outputs := map[string]any{"password": hidden(password), "list": []any{hidden(input), "plain"}}
	st := State{Version: 3}
	st.Resources = []Resource{
		resourceOf("random:index/randomPassword:RandomPassword", "db", nil, map[string]any{"result": hidden(password)}),
		resourceOf("random:index/randomBytes:RandomBytes", "salt", nil, map[string]any{"base64": hidden(salt)}),
		resourceOf("tls:index/privateKey:PrivateKey", "ca", nil, map[string]any{
			"privateKeyPem": hidden(keyPEM), "certPem": "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"}),
		resourceOf("command:remote:Command", "step", inputs, outputs),
	}
	return st
}

// The copy is what the program would write with other secrets, so a preview of it shows no change.
func TestRedactedStateIsThatOfOtherSecrets(t *testing.T) {
	st := written(t, password, keyPEM, token, salt)
	st.Resources[3].Inputs["bundle"] = "of: " + st.Resources[2].Outputs["certPem"].(string)
	got, err := st.Redact(map[string]string{token: "redacted-token"})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := plaintext(got.Resources[2].Outputs["privateKeyPem"])
	var pair keyPair
	if err := json.Unmarshal([]byte(text), &pair.key); err != nil {
		t.Fatal(err)
	}
	pair.certificate = got.Resources[2].Outputs["certPem"].(string)
	if _, err := tls.X509KeyPair([]byte(pair.certificate), []byte(pair.key)); err != nil {
		t.Errorf("the key and the certificate of the copy: %v", err)
	}
	standSalt := pair.standIn("base64", salt, "redacted-salt-base64")
	want := written(t, "redacted-db-result", pair.key, "redacted-token", standSalt)
	want.Resources[2].Outputs["certPem"] = pair.certificate
	want.Resources[3].Inputs["bundle"] = "of: " + pair.certificate
	has, _ := json.MarshalIndent(got.Resources, "", " ")
	wants, _ := json.MarshalIndent(want.Resources, "", " ")
	if string(has) != string(wants) {
		t.Errorf("got %s\nwant %s", has, wants)
	}
}

// A text that the program cannot have made of its secrets does not reach the copy.
func TestUnknownSecretsAreReplacedAsAWhole(t *testing.T) {
	st := written(t, password, keyPEM, token, salt)
	strange, err := bcrypt.Hash("of something else", []byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	step := &st.Resources[3]
	step.Inputs["strange"] = hidden(strange)
	step.Inputs["binary"] = hidden(base64.StdEncoding.EncodeToString([]byte("\xff\xfe" + strings.Repeat("x", 40))))
	step.Outputs["returned"] = hidden("a token of the cloud")
	if st, err = st.Redact(map[string]string{token: "redacted-token"}); err != nil {
		t.Fatal(err)
	}
	after := st.Resources[3]
	for i, value := range []any{after.Inputs["strange"], after.Inputs["binary"], after.Outputs["returned"]} {
		if text, _ := plaintext(value); text != `"redacted"` {
			t.Errorf("unknown secret %d is %s", i, text)
		}
	}
}

// After a rollback the state holds the secrets of another commit, which the settings do not have. Texts that are plain
// elsewhere stay, so that a preview of the copy finds them as they are.
func TestSecretsOfOtherSettingsAreReplacedAsAWhole(t *testing.T) {
	const old = "OLD-token-of-the-commit-before"
	secret := func() map[string]any {
		return hidden(map[string]any{"url": "https://example.com/" + old, "token": old, "user": "git", "empty": "",
			"repository": base64.StdEncoding.EncodeToString([]byte("https://example.com/repository")),
			"login": "user " + token + " https://a:" + old + "@x https://a:" + token + "@x Basic " +
				base64.StdEncoding.EncodeToString([]byte("a:"+old)) + " Basic " +
				base64.StdEncoding.EncodeToString([]byte("a:"+token)),
			"data": base64.StdEncoding.EncodeToString([]byte("password: " + old)), "new": "token=" + token})
	}
	st := State{Version: 3}
	st.Resources = []Resource{
		resourceOf("aws:s3/bucketV2:BucketV2", "b", map[string]any{"tags": map[string]any{"user": "git",
			"repository": "https://example.com/repository"}}, nil),
		resourceOf("kubernetes:core/v1:Secret", "s", map[string]any{"stringData": secret()},
			map[string]any{"stringData": secret()}),
	}
	got, err := st.Redact(map[string]string{token: "redacted-token"})
	if err != nil {
		t.Fatal(err)
	}
	want := hidden(map[string]any{"url": redacted, "token": redacted, "user": "git", "empty": "", "data": redacted,
		"new": "token=redacted-token", "repository": base64.StdEncoding.EncodeToString([]byte("https://example.com/repository")),
		"login": "user redacted-token https://a:redacted@x https://a:redacted-token@x Basic redacted Basic " +
			base64.StdEncoding.EncodeToString([]byte("a:redacted-token"))})
	for name, has := range map[string]any{
		"inputs": got.Resources[1].Inputs["stringData"], "outputs": got.Resources[1].Outputs["stringData"],
	} {
		text, _ := plaintext(has)
		if wants, _ := plaintext(want); text != wants {
			t.Errorf("%s: %s, want %s", name, text, wants)
		}
	}
}

// A legal password can be a word that the program uses. It is replaced where it is secret.
func TestAPasswordThatIsAWordIsRedacted(t *testing.T) {
	st := State{Version: 3}
	st.Resources = []Resource{resourceOf("kubernetes:core/v1:Secret", "monitoring", map[string]any{
		"metadata": map[string]any{"namespace": "monitoring"}, "stringData": hidden(map[string]any{"p": "monitoring"})}, nil)}
	got, err := st.Redact(map[string]string{"monitoring": "redacted-password"})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := plaintext(got.Resources[0].Inputs["stringData"]); text != `{"p":"redacted-password"}` {
		t.Errorf("the secret is %s", text)
	}
}

func TestASecretInPlainTextIsNotPublished(t *testing.T) {
	st := written(t, password, keyPEM, token, salt)
	st.Resources[3].Outputs["stdout"] = "the password is " + password
	if _, err := st.Redact(nil); err == nil || !strings.Contains(err.Error(), "step holds redacted-db-result in plain text") {
		t.Errorf("the error is %v", err)
	}
	st = written(t, password, keyPEM, token, salt)
	st.Resources[3].Inputs["password"] = map[string]any{secretSign: secretMark, "ciphertext": "v1:abc"}
	if _, err := st.Redact(nil); err == nil || !strings.Contains(err.Error(), "not in plain text") {
		t.Errorf("the error is %v", err)
	}
}
