package main

import (
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
	External             bool                `json:"external"`
	Protect              bool                `json:"protect"`
	RetainOnDelete       bool                `json:"retainOnDelete"`
	Parent               string              `json:"parent"`
	Provider             string              `json:"provider"`
	Dependencies         []string            `json:"dependencies"`
	PropertyDependencies map[string][]string `json:"propertyDependencies"`
	DeletedWith          string              `json:"deletedWith"`
	Inputs               map[string]any      `json:"inputs"`
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
