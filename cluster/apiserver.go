package cluster

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// auditPolicy says what the API server writes to its audit log.
//
//go:embed audit-policy.yaml
var auditPolicy string

// auditPolicyFile has a name of its content: the API server reads the policy at its start only, and a new name in its
// flags starts it again.
func auditPolicyFile() string {
	return fmt.Sprintf("/etc/kubernetes/apiserver/audit-policy-%s.yaml", digest(auditPolicy)[:8])
}

// encryptionConfig encrypts Secrets with a key of 32 bytes in base64. Reading falls back to plain text, as needed once
// for a snapshot of a cluster that was not encrypted.
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
