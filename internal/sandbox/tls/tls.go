// Package tls is the tls provider of the sandbox. Its keys and certificates are real.
package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
)

// Provider makes real keys and certificates. They exist in the state only, so a delete has nothing to do.
type Provider struct{ Now func() time.Time }

// kind is one type: its required inputs, its outputs, and which properties are secret.
type kind struct {
	required, computed, secret []string
	make                       func(p *Provider, in props.Map) (props.Map, error)
}

var kinds = map[string]kind{
	"tls:index/privateKey:PrivateKey": {
		required: []string{"algorithm"},
		computed: []string{
			"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8", "publicKeyFingerprintMd5",
			"publicKeyFingerprintSha256", "publicKeyOpenssh", "publicKeyPem",
		},
		secret: []string{"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"},
		make:   func(_ *Provider, in props.Map) (props.Map, error) { return newPrivateKey(in) },
	},
	"tls:index/certRequest:CertRequest": {
		required: []string{"privateKeyPem"},
		computed: []string{"certRequestPem", "keyAlgorithm"},
		secret:   []string{"privateKeyPem"},
		make:     func(_ *Provider, in props.Map) (props.Map, error) { return newCertRequest(in) },
	},
	"tls:index/selfSignedCert:SelfSignedCert": {
		required: []string{"allowedUses", "privateKeyPem", "validityPeriodHours"},
		computed: []string{"certPem", "keyAlgorithm", "readyForRenewal", "validityStartTime", "validityEndTime"},
		secret:   []string{"privateKeyPem"},
		make:     (*Provider).newSelfSigned,
	},
	"tls:index/locallySignedCert:LocallySignedCert": {
		required: []string{"allowedUses", "caCertPem", "caPrivateKeyPem", "certRequestPem", "validityPeriodHours"},
		computed: []string{"certPem", "caKeyAlgorithm", "readyForRenewal", "validityStartTime", "validityEndTime"},
		secret:   []string{"caPrivateKeyPem"},
		make:     (*Provider).newLocallySigned,
	},
}

func (p *Provider) Check(r *engine.Request) (engine.Checked, error) {
	res, ok := kinds[r.Type]
	if !ok {
		return engine.Checked{}, engine.UnknownType(r.Type)
	}
	return engine.Checked{Failures: engine.Missing(r.Inputs, res.required)}, nil
}

// Diff replaces on every change but that of the renewal window, and when a certificate has entered that window.
func (p *Provider) Diff(r *engine.Request) engine.Difference {
	d := engine.Difference{Changed: props.Changed(r.OldInputs, r.Inputs)}
	for _, key := range d.Changed {
		if key != "earlyRenewalHours" {
			d.Replace = append(d.Replace, key)
		}
	}
	if end, err := time.Parse(time.RFC3339, r.Old.Str("validityEndTime")); err == nil {
		early := time.Duration(r.Inputs.Number("earlyRenewalHours")) * time.Hour
		if !p.Now().Before(end.Add(-early)) {
			d.Changed = append(d.Changed, "readyForRenewal")
			d.Replace = append(d.Replace, "readyForRenewal")
		}
	}
	return d
}

func (p *Provider) Create(r *engine.Request) (engine.Answer, error) {
	res := kinds[r.Type]
	if r.Preview {
		return engine.Answer{Outputs: engine.Unknowns(res.computed), Secret: res.secret}, nil
	}
	out, err := res.make(p, r.Inputs)
	if err != nil {
		return engine.Answer{}, fmt.Errorf("%s %s: %w", r.Type, r.Name, err)
	}
	id := sha1.Sum([]byte(out.Str("publicKeyPem") + out.Str("certPem") + out.Str("certRequestPem")))
	return engine.Answer{ID: hex.EncodeToString(id[:]), Outputs: out, Secret: res.secret}, nil
}

// Update changes earlyRenewalHours only. The keys and certificates stay.
func (p *Provider) Update(r *engine.Request) (engine.Answer, error) {
	res, out := kinds[r.Type], props.Map{}
	for _, k := range res.computed {
		if r.Old.Has(k) {
			out[k] = r.Old[k]
		}
	}
	return engine.Answer{ID: r.ID, Outputs: out, Secret: res.secret}, nil
}

func (p *Provider) Read(r *engine.Request) (engine.Answer, error) {
	return engine.Answer{ID: r.ID}, nil
}
func (p *Provider) Delete(*engine.Request) error { return nil }
func (p *Provider) Invoke(r *engine.Request, _ props.Map) (props.Map, error) {
	return nil, engine.UnknownFunction(r.Type)
}

func newCertRequest(in props.Map) (props.Map, error) {
	key, err := parseKey(in.Str("privateKeyPem"))
	if err != nil {
		return nil, err
	}
	ips, uris, err := sans(in)
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{
		Subject: subject(in.Object("subject")), DNSNames: in.Strings("dnsNames"), IPAddresses: ips, URIs: uris,
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, err
	}
	return props.Map{"certRequestPem": pemText("CERTIFICATE REQUEST", der), "keyAlgorithm": algorithmOf(key.Public())}, nil
}

func (p *Provider) newSelfSigned(in props.Map) (props.Map, error) {
	key, err := parseKey(in.Str("privateKeyPem"))
	if err != nil {
		return nil, err
	}
	template, err := p.template(in)
	if err != nil {
		return nil, err
	}
	ips, uris, err := sans(in)
	if err != nil {
		return nil, err
	}
	template.Subject, template.DNSNames, template.IPAddresses, template.URIs = subject(in.Object("subject")),
		in.Strings("dnsNames"), ips, uris
	out, err := p.sign(in, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	out["keyAlgorithm"] = algorithmOf(key.Public())
	return out, nil
}

func (p *Provider) newLocallySigned(in props.Map) (props.Map, error) {
	block, _ := pem.Decode([]byte(in.Str("certRequestPem")))
	if block == nil {
		return nil, errors.New("certRequestPem is not PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certRequestPem: %w", err)
	}
	block, _ = pem.Decode([]byte(in.Str("caCertPem")))
	if block == nil {
		return nil, errors.New("caCertPem is not PEM")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("caCertPem: %w", err)
	}
	caKey, err := parseKey(in.Str("caPrivateKeyPem"))
	if err != nil {
		return nil, fmt.Errorf("caPrivateKeyPem: %w", err)
	}
	template, err := p.template(in)
	if err != nil {
		return nil, err
	}
	template.Subject, template.DNSNames, template.IPAddresses, template.URIs = csr.Subject, csr.DNSNames, csr.IPAddresses,
		csr.URIs
	out, err := p.sign(in, template, ca, csr.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	out["caKeyAlgorithm"] = algorithmOf(caKey.Public())
	return out, nil
}

// template returns what both kinds of certificate have in common.
func (p *Provider) template(in props.Map) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, err
	}
	now := p.Now()
	cert := &x509.Certificate{
		SerialNumber:          serial,
		NotBefore:             now,
		NotAfter:              now.Add(time.Duration(in.Number("validityPeriodHours")) * time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  in.Flag("isCaCertificate"),
	}
	if n := in.At("maxPathLength"); n != nil {
		cert.MaxPathLen = int(in.Number("maxPathLength"))
		cert.MaxPathLenZero = cert.MaxPathLen == 0
	}
	for _, use := range in.Strings("allowedUses") {
		switch usage, extended := keyUsages[use], extendedKeyUsages[use]; {
		case usage != 0:
			cert.KeyUsage |= usage
		case extended != 0:
			cert.ExtKeyUsage = append(cert.ExtKeyUsage, extended)
		default:
			return nil, fmt.Errorf("allowedUses: %q is not a key usage", use)
		}
	}
	return cert, nil
}

func (p *Provider) sign(in props.Map, template, parent *x509.Certificate, public crypto.PublicKey,
	signer crypto.Signer) (props.Map, error) {
	if template.IsCA || in.Flag("setSubjectKeyId") {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, err
		}
		id := sha1.Sum(der)
		template.SubjectKeyId = id[:]
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return props.Map{
		"certPem":           pemText("CERTIFICATE", der),
		"readyForRenewal":   false,
		"validityStartTime": template.NotBefore.Format(time.RFC3339),
		"validityEndTime":   template.NotAfter.Format(time.RFC3339),
	}, nil
}

func sans(in props.Map) (ips []net.IP, uris []*url.URL, err error) {
	for _, text := range in.Strings("ipAddresses") {
		ip := net.ParseIP(text)
		if ip == nil {
			return nil, nil, fmt.Errorf("ipAddresses: %q is not an IP address", text)
		}
		ips = append(ips, ip)
	}
	for _, text := range in.Strings("uris") {
		uri, err := url.Parse(text)
		if err != nil {
			return nil, nil, fmt.Errorf("uris: %w", err)
		}
		uris = append(uris, uri)
	}
	return ips, uris, nil
}

func subject(in props.Map) pkix.Name {
	one := func(key string) []string {
		if in.Str(key) == "" {
			return nil
		}
		return []string{in.Str(key)}
	}
	return pkix.Name{
		CommonName: in.Str("commonName"), SerialNumber: in.Str("serialNumber"),
		Organization: one("organization"), OrganizationalUnit: one("organizationalUnit"),
		Country: one("country"), Locality: one("locality"), Province: one("province"), PostalCode: one("postalCode"),
		StreetAddress: in.Strings("streetAddresses"),
	}
}

// parseKey reads a private key in any PEM form, OpenSSH's included.
func parseKey(text string) (crypto.Signer, error) {
	raw, err := ssh.ParseRawPrivateKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if k, ok := raw.(*ed25519.PrivateKey); ok {
		return *k, nil
	}
	signer, ok := raw.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key: %T cannot sign", raw)
	}
	return signer, nil
}

func algorithmOf(public crypto.PublicKey) string {
	switch public.(type) {
	case *rsa.PublicKey:
		return "RSA"
	case *ecdsa.PublicKey:
		return "ECDSA"
	}
	return "ED25519"
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

var keyUsages = map[string]x509.KeyUsage{
	"digital_signature": x509.KeyUsageDigitalSignature, "content_commitment": x509.KeyUsageContentCommitment,
	"key_encipherment": x509.KeyUsageKeyEncipherment, "data_encipherment": x509.KeyUsageDataEncipherment,
	"key_agreement": x509.KeyUsageKeyAgreement, "cert_signing": x509.KeyUsageCertSign, "crl_signing": x509.KeyUsageCRLSign,
	"encipher_only": x509.KeyUsageEncipherOnly, "decipher_only": x509.KeyUsageDecipherOnly,
}

// extendedKeyUsages omits ExtKeyUsageAny, which is the zero value and would make a certificate valid for every use.
var extendedKeyUsages = map[string]x509.ExtKeyUsage{
	"server_auth": x509.ExtKeyUsageServerAuth, "client_auth": x509.ExtKeyUsageClientAuth,
	"code_signing": x509.ExtKeyUsageCodeSigning, "email_protection": x509.ExtKeyUsageEmailProtection,
	"timestamping": x509.ExtKeyUsageTimeStamping, "ocsp_signing": x509.ExtKeyUsageOCSPSigning,
}
