package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// encrypter returns what encrypts settings with the passphrase of simulations, and the value of encryptionsalt in
// Pulumi.<stack>.yaml that goes with it. An empty salt makes a new one, in the form of the engine:
// "v1:<salt in base64>:<the word pulumi, encrypted>".
func encrypter(ctx context.Context, salt string) (config.Encrypter, string, error) {
	raw := make([]byte, 8)
	if salt == "" {
		if _, err := rand.Read(raw); err != nil {
			return nil, "", fmt.Errorf("make a salt: %w", err)
		}
		crypter := config.NewSymmetricCrypterFromPassphrase(passphrase, raw)
		known, err := crypter.EncryptValue(ctx, "pulumi")
		return crypter, "v1:" + base64.StdEncoding.EncodeToString(raw) + ":" + known, err
	}
	encoded, _, _ := strings.Cut(strings.TrimPrefix(salt, "v1:"), ":")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, "", fmt.Errorf("encryptionsalt: %w", err)
	}
	return config.NewSymmetricCrypterFromPassphrase(passphrase, raw), salt, nil
}

// encryptPlaceholders replaces the encrypted settings by placeholders that are encrypted for simulations. Without such
// a setting it does nothing: the first use of a passphrase takes half a second.
func encryptPlaceholders(ctx context.Context, settings map[string]any, salt *string) error {
	var with config.Encrypter
	var failed error
	EachSetting(settings, "", func(at string, value any) (any, bool) {
		if !IsSecret(value) || failed != nil {
			return nil, false
		}
		if with == nil {
			if with, *salt, failed = encrypter(ctx, *salt); failed != nil {
				return nil, false
			}
		}
		text, err := with.EncryptValue(ctx, Placeholder(at, EncryptedSetting))
		if err != nil {
			failed = fmt.Errorf("encrypt %s: %w", at, err)
		}
		return map[string]any{"secure": text}, true
	})
	return failed
}
