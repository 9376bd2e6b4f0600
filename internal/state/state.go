// Package state is the model of a stack's state: what the driver reads from it and changes in it.
package state

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// State is what the driver needs to know of a state.
type State struct {
	Resources []Resource `json:"resources"`
	Pending   []struct {
		Type     string   `json:"type"`
		Resource Resource `json:"resource"`
	} `json:"pending_operations"`
}

type Resource struct {
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

// Parse reads a stack export.
func Parse(text []byte) (State, error) {
	var exported struct {
		Deployment State `json:"deployment"`
	}
	if err := json.Unmarshal(text, &exported); err != nil {
		return State{}, fmt.Errorf("read the state: %w", err)
	}
	return exported.Deployment, nil
}

// decode reads a stack export so that it can be changed and written back.
func decode(exported []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(exported))
	decoder.UseNumber() // numbers go back as they were
	var state map[string]any
	if err := decoder.Decode(&state); err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return state, nil
}
