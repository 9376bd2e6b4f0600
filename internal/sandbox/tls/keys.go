package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/ssh"

	"kubeadm-aws/internal/sandbox/props"
)

func newPrivateKey(in props.Map) (props.Map, error) {
	var key crypto.Signer
	var err error
	switch algorithm := in.Str("algorithm"); algorithm {
	case "ED25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ECDSA":
		if curve := in.Str("ecdsaCurve"); curve != "P256" {
			return nil, fmt.Errorf("ecdsaCurve %q: the model has P256 only", curve)
		}
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RSA":
		key, err = rsa.GenerateKey(rand.Reader, int(in.Number("rsaBits")))
	default:
		return nil, fmt.Errorf("algorithm %q: the model has RSA, ECDSA and ED25519", algorithm)
	}
	if err != nil {
		return nil, err
	}
	out, err := publicForms(key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	out["privateKeyPemPkcs8"] = pemText("PRIVATE KEY", pkcs8)
	switch k := key.(type) {
	case *rsa.PrivateKey:
		out["privateKeyPem"] = pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k))
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return nil, err
		}
		out["privateKeyPem"] = pemText("EC PRIVATE KEY", der)
	default:
		out["privateKeyPem"] = out["privateKeyPemPkcs8"]
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	out["privateKeyOpenssh"] = string(pem.EncodeToMemory(block))
	return out, nil
}

func publicForms(key crypto.Signer) (props.Map, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return props.Map{
		"publicKeyPem":               pemText("PUBLIC KEY", der),
		"publicKeyOpenssh":           string(ssh.MarshalAuthorizedKey(public)),
		"publicKeyFingerprintMd5":    ssh.FingerprintLegacyMD5(public),
		"publicKeyFingerprintSha256": ssh.FingerprintSHA256(public),
	}, nil
}
