package cluster

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// auditPolicy selects what the API server writes to its audit log.
//
//go:embed audit-policy.yaml
var auditPolicy string

// auditPolicyFile is named after its content. The API server reads the policy only when it starts, and a new name in
// its flags restarts it.
func auditPolicyFile() string {
	return fmt.Sprintf("/etc/kubernetes/apiserver/audit-policy-%s.yaml", digest(auditPolicy)[:8])
}

// encryptionConfig encrypts Secrets with a key of 32 bytes in base64. Reads fall back to plain text, which a restored
// snapshot of an unencrypted cluster needs once.
func encryptionConfig(key string) (string, error) {
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 32 {
		return "", fmt.Errorf("the encryption key is not base64 of 32 bytes")
	}
	return renderYAML(object{
		"apiVersion": "apiserver.config.k8s.io/v1",
		"kind":       "EncryptionConfiguration",
		"resources": []any{object{
			"resources": []any{"secrets"},
			"providers": []any{
				object{"secretbox": object{"keys": []any{object{"name": "key1", "secret": key}}}},
				object{"identity": object{}},
			},
		}},
	})
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
