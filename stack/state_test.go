package stack_test

import (
	"context"
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// deployment returns the state, with all secrets in plain text.
func (r *simulation) deployment() *apitype.DeploymentV3 {
	r.t.Helper()
	_, plain := r.state()
	var envelope apitype.UntypedDeployment
	if err := json.Unmarshal(plain, &envelope); err != nil {
		r.t.Fatal(err)
	}
	state := &apitype.DeploymentV3{}
	if err := json.Unmarshal(envelope.Deployment, state); err != nil {
		r.t.Fatal(err)
	}
	return state
}

// believe replaces the state.
func (r *simulation) believe(state *apitype.DeploymentV3) {
	r.t.Helper()
	inner, err := json.Marshal(state)
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := r.workspace.Open(context.Background(), r.box)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := s.Import(context.Background(), apitype.UntypedDeployment{Version: 3, Deployment: inner}); err != nil {
		r.t.Fatal(err)
	}
}

// edit changes the state.
func (r *simulation) edit(change func(state *apitype.DeploymentV3)) {
	r.t.Helper()
	state := r.deployment()
	change(state)
	r.believe(state)
}
