package sandbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// Key is a passphrase with the value of encryptionsalt in Pulumi.<stack>.yaml that goes with it. The engine writes that
// as "v1:<salt in base64>:<the word pulumi, encrypted>".
type Key struct{ Passphrase, Salt string }

// EncryptSettings replaces the encrypted values in settings by other texts, encrypted with a key. stands returns the
// text for the value at a path. The first use of a passphrase takes half a second, and none is used without such a
// value.
func EncryptSettings(ctx context.Context, settings map[string]any, key Key, stands func(at string) string) error {
	var with config.Encrypter
	var failed error
	EachSetting(settings, "", func(at string, value any) (any, bool) {
		if !IsSecret(value) || failed != nil {
			return nil, false
		}
		if with == nil {
			if with, failed = key.encrypter(); failed != nil {
				return nil, false
			}
		}
		text, err := with.EncryptValue(ctx, stands(at))
		if err != nil {
			failed = fmt.Errorf("encrypt %s: %w", at, err)
		}
		return map[string]any{"secure": text}, true
	})
	return failed
}

func (k Key) encrypter() (config.Encrypter, error) {
	encoded, _, _ := strings.Cut(strings.TrimPrefix(k.Salt, "v1:"), ":")
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("encryptionsalt: %w", err)
	}
	return config.NewSymmetricCrypterFromPassphrase(k.Passphrase, salt), nil
}
