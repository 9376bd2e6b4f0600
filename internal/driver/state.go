package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// deployment is what the driver needs to know of a state.
type deployment struct {
	Resources []stateResource `json:"resources"`
	Pending   []struct {
		Type     string        `json:"type"`
		Resource stateResource `json:"resource"`
	} `json:"pending_operations"`
}

type stateResource struct {
	URN                  string              `json:"urn"`
	Type                 string              `json:"type"`
	ID                   string              `json:"id"`
	Custom               bool                `json:"custom"`
	Delete               bool                `json:"delete"`
	PendingReplacement   bool                `json:"pendingReplacement"`
	External             bool                `json:"external"`
	Protect              bool                `json:"protect"`
	RetainOnDelete       bool                `json:"retainOnDelete"`
	Parent               string              `json:"parent"`
	Provider             string              `json:"provider"`
	Dependencies         []string            `json:"dependencies"`
	PropertyDependencies map[string][]string `json:"propertyDependencies"`
	DeletedWith          string              `json:"deletedWith"`
	Inputs               map[string]any      `json:"inputs"`
	Outputs              map[string]any      `json:"outputs"`
	InitErrors           []string            `json:"initErrors"`
}

// parseDeployment reads a stack export.
func parseDeployment(text []byte) (deployment, error) {
	var exported struct {
		Deployment deployment `json:"deployment"`
	}
	if err := json.Unmarshal(text, &exported); err != nil {
		return deployment{}, fmt.Errorf("read the state: %w", err)
	}
	return exported.Deployment, nil
}

// decodeState reads a stack export so that it can be changed and written back.
func decodeState(exported []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(exported))
	decoder.UseNumber() // numbers go back as they were
	var state map[string]any
	if err := decoder.Decode(&state); err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return state, nil
}

// replaceState writes a changed export back.
func (s *session) replaceState(ctx context.Context, p *place, state []byte) error {
	if _, err := p.pulumiWithInput(ctx, bytes.NewReader(state), "stack", "import"); err != nil {
		return s.engine(err, newWatcher(s.log, nil, false))
	}
	return nil
}
