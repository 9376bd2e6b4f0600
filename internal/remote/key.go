package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is an SSH key: Private in OpenSSH format, Public in that of authorized_keys.
type Key struct{ Private, Public string }

// NewKey makes a key.
func NewKey() (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return Key{}, err
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	return Key{string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line)))}, nil
}
