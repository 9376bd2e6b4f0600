package sandbox

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"kubeadm-aws/config"
)

// EncryptedSetting is the name that the placeholders of a stack's encrypted settings are made of.
const EncryptedSetting = "rehearsal-placeholder"

// Placeholder returns the text that stands for the secret setting at a path, such as "kubeadm-aws:notificationsUrl". It
// is made of a name and has the form that the program asks for. One name always has the same placeholder.
func Placeholder(at, name string) string {
	switch key := strings.TrimPrefix(at, config.Namespace+":"); {
	case key == config.RepositoryKey || key == config.RepositoryAppKey:
		return placeholderKey(name)
	case strings.HasSuffix(key, "Url"):
		return "https://placeholder.invalid/" + name
	}
	return name
}

// placeholderKey returns a private key as PEM that is not used for anything. Everyone can make it.
func placeholderKey(name string) string {
	seed := sha256.Sum256([]byte(name))
	encoded, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		panic(fmt.Sprintf("encode a key of ed25519: %v", err)) // It has one form, which the library knows.
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}
