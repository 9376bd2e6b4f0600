package state

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
)

// keyPair is a key and its certificate as PEM.
type keyPair struct{ key, certificate string }

// newPair makes a key that is not used for anything.
func newPair() (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return keyPair{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: redacted}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return keyPair{}, err
	}
	text := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	return keyPair{text("PRIVATE KEY", encoded), text("CERTIFICATE", certificate)}, nil
}

// standIn returns the text that stands for a key or password. It keeps the form of what the program or a provider
// decodes: PEM, and bytes in base64 or hexadecimal.
func (p keyPair) standIn(property, secret, name string) string {
	sum := sha256.Sum256([]byte(name))
	bytes := func(count int) []byte { return slices.Repeat(sum[:], count/len(sum)+1)[:count] }
	switch property {
	case "privateKeyPem", "privateKeyPemPkcs8":
		return p.key
	case "base64":
		if decoded, err := base64.StdEncoding.DecodeString(secret); err == nil {
			return base64.StdEncoding.EncodeToString(bytes(len(decoded)))
		}
	case "hex":
		return hex.EncodeToString(bytes(len(secret) / 2))
	}
	return name
}
