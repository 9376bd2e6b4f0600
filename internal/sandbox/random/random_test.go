package random

import (
	"encoding/base64"
	"maps"
	"slices"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
)

func TestRandomValues(t *testing.T) {
	c := sandboxtest.New(t, map[string]engine.Provider{"random": Provider{}})
	password := c.Make("random:index/randomPassword:RandomPassword", "p",
		props.Map{"length": 24, "special": false, "minNumeric": 3})
	if !password.Outputs["result"].IsSecret() || !password.Outputs["bcryptHash"].IsSecret() {
		t.Error("a password must be secret")
	}
	digits := 0
	for _, r := range password.Out("result") {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	if len(password.Out("result")) != 24 || digits < 3 {
		t.Errorf("password %q", password.Out("result"))
	}
	if err := bcrypt.CompareHashAndPassword([]byte(password.Out("bcryptHash")),
		[]byte(password.Out("result"))); err != nil {
		t.Error(err)
	}
	bytes := c.Make("random:index/randomBytes:RandomBytes", "b", props.Map{"length": 32})
	raw, err := base64.StdEncoding.DecodeString(bytes.Out("base64"))
	if err != nil || len(raw) != 32 || !bytes.Outputs["base64"].IsSecret() {
		t.Errorf("%d bytes, secret %v, %v", len(raw), bytes.Outputs["base64"].IsSecret(), err)
	}
}

func TestModelHasUsers(t *testing.T) {
	sandboxtest.CheckTokens(t, "random", slices.Collect(maps.Keys(kinds)))
}
