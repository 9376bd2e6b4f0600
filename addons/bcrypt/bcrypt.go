// Package bcrypt hashes the password of Argo CD, which reads no other kind of hash.
package bcrypt

import (
	"encoding/base64"
	"errors"
	"fmt"

	//lint:ignore SA1019 bcrypt is made of it, and Argo CD reads bcrypt
	"golang.org/x/crypto/blowfish"
)

// cost means 2^10 rounds, the value that Argo CD itself uses.
const cost = 10

// encoding is bcrypt's order of the base64 letters.
var encoding = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(
	base64.NoPadding)

// Hash returns the bcrypt hash of a password with a given salt of 16 bytes, in the form $2a$10$<salt><hash>.
// The usual libraries generate a salt at every call, so every run of the program would change the hash. With the salt
// in the state, equal passwords give equal hashes.
func Hash(password string, salt []byte) (string, error) {
	if len(password) > 72 {
		return "", errors.New("the password is longer than 72 bytes, which is all that bcrypt looks at")
	}
	if len(salt) != 16 {
		return "", fmt.Errorf("a bcrypt salt has 16 bytes, not %d", len(salt))
	}
	key := append([]byte(password), 0)
	cipher, err := blowfish.NewSaltedCipher(key, salt)
	if err != nil {
		return "", fmt.Errorf("bcrypt: %w", err)
	}
	for range 1 << cost {
		blowfish.ExpandKey(key, cipher)
		blowfish.ExpandKey(salt, cipher)
	}
	hash := []byte("OrpheanBeholderScryDoubt")
	for block := 0; block < len(hash); block += blowfish.BlockSize {
		for range 64 {
			cipher.Encrypt(hash[block:block+blowfish.BlockSize], hash[block:block+blowfish.BlockSize])
		}
	}
	// The format omits the last byte of the hash.
	return fmt.Sprintf("$2a$%02d$%s%s", cost, encoding.EncodeToString(salt),
		encoding.EncodeToString(hash[:23])), nil
}
