package bcrypt

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestHash(t *testing.T) {
	salt := []byte("0123456789abcdef")
	for _, password := range []string{"", "a", "correct horse battery staple", strings.Repeat("x", 71), "päßwörd"} {
		hash, err := Hash(password, salt)
		if err != nil {
			t.Fatal(err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)); err != nil {
			t.Errorf("%q: %s: %v", password, hash, err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password+"!")); err == nil {
			t.Errorf("%q: %s is also the hash of another password", password, hash)
		}
	}
	if _, err := Hash(strings.Repeat("x", 73), salt); err == nil {
		t.Error("a password that bcrypt would truncate is accepted")
	}
	if _, err := Hash("x", salt[:8]); err == nil {
		t.Error("a short salt is accepted")
	}
}
