// Package state is the model of a stack's state, on the types of the Pulumi SDK: what the driver reads from it and
// changes in it.
package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Resource is a resource in a state.
type Resource = apitype.ResourceV3

// URN identifies a resource in a state.
type URN = resource.URN

// State is a stack export: what `pulumi stack export` prints and `pulumi stack import` reads.
type State struct {
	Version  int      `json:"version,omitempty"`
	Features []string `json:"features,omitempty"`

	apitype.DeploymentV3 `json:"deployment"`

	// unknown names a field that a newer Pulumi wrote and that these types do not have; nil if every field is known.
	unknown error
}

// Parse reads a stack export. Numbers keep all their digits, as json.Number.
func Parse(exported []byte) (State, error) {
	var st State
	decoder := json.NewDecoder(bytes.NewReader(exported))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&st)
	if err == nil || !strings.Contains(err.Error(), "unknown field") {
		return st, wrapped(err)
	}
	st = State{}
	decoder = json.NewDecoder(bytes.NewReader(exported))
	decoder.UseNumber()
	if wrong := decoder.Decode(&st); wrong != nil {
		return State{}, wrapped(wrong)
	}
	st.unknown = err
	return st, nil
}

func wrapped(err error) error {
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	return nil
}

// Encode returns the state for `pulumi stack import`. It refuses a state with a field that these types do not have,
// because the field would be lost.
func (s State) Encode() ([]byte, error) {
	if s.unknown != nil {
		return nil, errors.New("this driver cannot change the state, because a newer Pulumi wrote it (" + s.unknown.Error() +
			"); run it with the Pulumi of this repository (tools/pulumi.sh), after bringing back a state that this Pulumi " +
			"wrote, or recover by hand")
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the state: %w", err)
	}
	return text, nil
}
