package state

import (
	"encoding/json"
	"fmt"
)

// Kubeconfig is that of the Kubernetes provider in a state that was exported with its secrets; empty when it has none.
func (d State) Kubeconfig() (string, error) {
	for _, r := range d.Resources {
		if r.Type == "pulumi:providers:kubernetes" {
			return plainText(r.Inputs["kubeconfig"])
		}
	}
	return "", nil
}

// plainText is a text of a state that was exported with its secrets.
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
