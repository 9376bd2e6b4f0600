package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pemCA and pemKey are a certificate and its key as quoted YAML.
var pemCA, pemKey = func() (string, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	quoted := func(kind string, der []byte) string {
		return strconv.Quote(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return quoted("CERTIFICATE", certificate), quoted("EC PRIVATE KEY", private)
}()

const mirrorWithLogin = `
  kubeadm-aws:mirrors:
    registries:
      docker.io:
        url: https://harbor.example.com/v2/hub
        username: robot
        password: %s
`

func TestPasswordsOfMirrorsAreEncrypted(t *testing.T) {
	for what, c := range map[string]struct{ stack, fault string }{
		"an encrypted password": {fmt.Sprintf(mirrorWithLogin, "{secure: v1:abc}"), ""},
		"a plain password": {fmt.Sprintf(mirrorWithLogin, "hunter2"),
			`kubeadm-aws:mirrors.registries["docker.io"].password`},
		"an encrypted URL":    {"  kubeadm-aws:mirrors: {registries: {docker.io: {url: {secure: v1:abc}}}}\n", ""},
		"all of it encrypted": {"  kubeadm-aws:mirrors: {secure: v1:abc}\n", "kubeadm-aws:mirrors"},
		"an encrypted key": {strings.Replace(fmt.Sprintf(mirrorWithLogin, "{secure: v1:abc}"), "username: robot",
			"username: {secure: v1:abc}", 1),
			`kubeadm-aws:mirrors.registries["docker.io"].username`},
	} {
		_, err := LoadFile("dev", project(t, bareProject, bareStack+c.stack))
		switch {
		case what == "an encrypted URL": // its placeholder is not a URL
			if err == nil {
				t.Errorf("%s is accepted", what)
			}
		case c.fault == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.fault != "" && (err == nil || !slices.ContainsFunc(faultsOf(t, err),
			func(f FieldError) bool { return f.Key == c.fault })):
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s is shown: %v", what, err)
		}
	}
}

func TestMirrorsFromContext(t *testing.T) {
	key := Namespace + ":mirrors"
	login := settings(t,
		"mirrors: {registries: {docker.io: {url: 'https://m.example.com', username: robot, password: hunter2}}}")
	c, err := fromContext(t, login, key)
	if err != nil || string(c.Mirrors.Registries["docker.io"].Password) != "hunter2" {
		t.Errorf("a mirror with a login: %v", err)
	}
	if _, err := fromContext(t, settings(t, "mirrors: {etcd: 'https://m.example.com'}"), key); err == nil {
		t.Error("an encrypted URL is accepted, and would be readable in the state")
	}
}

func TestAMirrorInECRIsWarnedOf(t *testing.T) {
	c, err := loadText(t, "dev",
		"mirrors: {registries: {docker.io: 'https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/v2/hub'}}")
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(c.Warnings(), "\n"); !strings.Contains(all, `mirrors.registries["docker.io"] is in ECR`) {
		t.Errorf("warnings are %s", all)
	}
}

// TestSecretsDoNotPrint checks that a password stays hidden where settings are printed, logged and exported.
func TestSecretsDoNotPrint(t *testing.T) {
	c, err := loadText(t, "dev",
		"mirrors: {registries: {docker.io: {url: 'https://m.example.com', username: robot, password: hunter2}}}")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	all := string(text) + fmt.Sprintf("%v %+v %#v %s", c.Mirrors, c.Mirrors, c.Mirrors, c.Mirrors)
	if strings.Contains(all, "hunter2") || !strings.Contains(all, hidden) {
		t.Error(all)
	}
	for _, text := range []string{
		"mirrors: {registries: {docker.io: {url: 'https://m.example.com', username: robot, passwort: hunter2}}}",
		"mirrors: {registries: {docker.io: {url: 'https://m.example.com', username: robot, password: [hunter2]}}}",
		"mirrors: {registries: {docker.io: {url: 'https://m.example.com', password: hunter2}}}",
		"mirrors: {registries: [{url: 'https://m.example.com', password: hunter2}]}",
		"mirrors: {registries: {docker.io: {url: 'ftp://m.example.com', username: 'a:b', password: hunter2}}}",
	} {
		if _, err := loadText(t, "dev", text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s\n%v", text, err)
		}
	}
}
