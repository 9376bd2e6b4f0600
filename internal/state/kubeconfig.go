package state

import (
	"encoding/json"
	"fmt"
)

// Kubeconfig returns the kubeconfig of the Kubernetes provider, or "" for a state without that provider. The state
// has to be exported with its secrets.
func (s State) Kubeconfig() (string, error) {
	for _, r := range s.Resources {
		if r.Type == "pulumi:providers:kubernetes" {
			return plainText(r.Inputs["kubeconfig"])
		}
	}
	return "", nil
}

// plainText returns a text that may be a secret.
func plainText(value any) (string, error) {
	secret, isSecret := value.(map[string]any)
	if !isSecret {
		text, _ := value.(string)
		return text, nil
	}
	encoded, _ := secret["plaintext"].(string)
	var text string
	if err := json.Unmarshal([]byte(encoded), &text); err != nil {
		return "", fmt.Errorf("decode a secret of the state: %w", err)
	}
	return text, nil
}
