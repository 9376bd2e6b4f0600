package tls

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
)

func newClient(t *testing.T, now func() time.Time) *sandboxtest.Client {
	return sandboxtest.New(t, map[string]engine.Provider{"tls": &Provider{Now: now}})
}

func TestPrivateKeysAreKeys(t *testing.T) {
	c := newClient(t, time.Now)
	for _, in := range []props.Map{
		{"algorithm": "ED25519"}, {"algorithm": "ECDSA", "ecdsaCurve": "P256"}, {"algorithm": "RSA", "rsaBits": 2048},
	} {
		key := c.Make("tls:index/privateKey:PrivateKey", "key", in)
		for _, form := range []string{"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"} {
			if !key.Outputs[resource.PropertyKey(form)].IsSecret() {
				t.Errorf("%v: %s is not secret", in, form)
			}
			signer, err := ssh.ParsePrivateKey([]byte(key.Out(form)))
			if err != nil {
				t.Fatalf("%v: %s: %v", in, form, err)
			}
			if got := string(ssh.MarshalAuthorizedKey(signer.PublicKey())); got != key.Out("publicKeyOpenssh") {
				t.Errorf("%v: %s belongs to %s, not to %s", in, form, got, key.Out("publicKeyOpenssh"))
			}
		}
		block, _ := pem.Decode([]byte(key.Out("publicKeyPem")))
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if k, ok := public.(*rsa.PublicKey); ok && k.N.BitLen() != 2048 {
			t.Errorf("RSA key of %d bits", k.N.BitLen())
		}
		if k, ok := public.(*ecdsa.PublicKey); ok && k.Curve.Params().Name != "P-256" {
			t.Errorf("ECDSA key on %s", k.Curve.Params().Name)
		}
	}
}

func certificateOf(t *testing.T, th *sandboxtest.Resource) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(th.Out("certPem")))
	if block == nil {
		t.Fatal("certPem is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertificatesVerifyAndRenew(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newClient(t, func() time.Time { return now })
	caKey := c.Make("tls:index/privateKey:PrivateKey", "ca", props.Map{"algorithm": "ECDSA", "ecdsaCurve": "P256"})
	ca := c.Make("tls:index/selfSignedCert:SelfSignedCert", "ca", props.Map{
		"privateKeyPem": caKey.Out("privateKeyPem"), "isCaCertificate": true, "validityPeriodHours": 1000,
		"allowedUses": []any{"cert_signing"}, "subject": map[string]any{"commonName": "kubernetes"},
	})
	key := c.Make("tls:index/privateKey:PrivateKey", "admin", props.Map{"algorithm": "ECDSA", "ecdsaCurve": "P256"})
	request := c.Make("tls:index/certRequest:CertRequest", "admin", props.Map{
		"privateKeyPem": key.Out("privateKeyPem"), "dnsNames": []any{"api.dev.internal"}, "ipAddresses": []any{"10.0.0.1"},
		"subject": map[string]any{"commonName": "admin", "organization": "system:masters"},
	})
	in := props.Map{
		"caCertPem": ca.Out("certPem"), "caPrivateKeyPem": caKey.Out("privateKeyPem"),
		"certRequestPem":      request.Out("certRequestPem"),
		"validityPeriodHours": 100.0, "earlyRenewalHours": 10.0, "allowedUses": []any{"client_auth", "digital_signature"},
	}
	admin := c.Make("tls:index/locallySignedCert:LocallySignedCert", "admin", in)
	roots := x509.NewCertPool()
	roots.AddCert(certificateOf(t, ca))
	cert := certificateOf(t, admin)
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: now, DNSName: "api.dev.internal",
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		t.Error(err)
	}
	if cert.Subject.CommonName != "admin" || cert.Subject.Organization[0] != "system:masters" ||
		cert.IPAddresses[0].String() != "10.0.0.1" {
		t.Errorf("subject %v, addresses %v", cert.Subject, cert.IPAddresses)
	}
	now = now.Add(89 * time.Hour)
	if d := c.Diff(admin, in); len(d.Diffs) > 0 {
		t.Errorf("an hour before its renewal it changes %v", d.Diffs)
	}
	now = now.Add(time.Hour)
	if d := c.Diff(admin, in); len(d.Replaces) != 1 || d.Replaces[0] != "readyForRenewal" {
		t.Errorf("at its renewal it is replaced by %v", d.Replaces)
	}
}

func TestModelHasUsers(t *testing.T) {
	sandboxtest.CheckTokens(t, "tls", slices.Collect(maps.Keys(kinds)))
}
