// Package account asks the AWS account of a stack: by the sweep program, which has the AWS SDK, or the model of a
// simulation.
package account

import (
	"context"
	"encoding/json"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/question"
)

// Lookup describes a resource to look for: by its id, or by type, tags and properties.
type Lookup struct {
	URN        state.URN
	Type, ID   string
	Tags       map[string]string
	Properties map[string]any
}

// Find looks for resources in the account and returns the ids of all that match, by URN. On AWS it runs the sweep,
// which contains the SDK.
func Find(ctx context.Context, w *workspace.Workspace, lookups []Lookup) (map[state.URN][]string, error) {
	found := map[state.URN][]string{}
	if len(lookups) == 0 {
		return found, nil
	}
	asked := make([]question.Lookup, len(lookups))
	for i, l := range lookups {
		asked[i] = question.Lookup{URN: string(l.URN), Type: l.Type, Tags: l.Tags, Properties: l.Properties}
	}
	text, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	if w.Sandbox != nil {
		var plain []question.Lookup // with numbers as the model has them
		if err := json.Unmarshal(text, &plain); err != nil {
			return nil, err
		}
		for _, l := range plain {
			found[state.URN(l.URN)] = w.Sandbox.AWS.Find(l.Type, l.Tags, l.Properties)
		}
		return found, nil
	}
	answer, err := askSweep(ctx, w, question.Find, text)
	if err == nil {
		err = json.Unmarshal(answer, &found)
	}
	if err != nil {
		return nil, report.Fail(report.ExitCannotStart,
			"With credentials that may list what the stack is made of, run this again.",
			"a run was killed, and the account could not be asked what became of what it made: %w", err)
	}
	return found, nil
}

// askSweep builds the sweep and asks it a question on its standard input. flag is question.Find or
// question.States.
func askSweep(ctx context.Context, w *workspace.Workspace, flag string, asked []byte) ([]byte, error) {
	p, err := buildSweep(ctx, w)
	if err != nil {
		return nil, err
	}
	defer p.remove()
	return p.run(w, w.CLI.RunProcess, asked, "--"+flag, "--region", w.Config.Region)
}
