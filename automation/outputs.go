package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// outputs prints what the stack exports.
func outputs(ctx context.Context, s *session) error {
	p, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(p)
	all, err := p.Outputs(ctx)
	if err != nil {
		return s.engine(err, newWatcher(s.log, nil, false))
	}
	if s.op.output == "" {
		s.report(all, s.op.showSecrets)
		return nil
	}
	one, ok := all[s.op.output]
	switch {
	case !ok:
		return fail(exitUsage, "Outputs: "+strings.Join(slices.Sorted(maps.Keys(all)), ", "), "stack %s has no output %q", s.op.stack, s.op.output)
	case one.Secret && !s.op.showSecrets:
		return fail(exitUsage, "Add --show-secrets.", "output %q is a secret", s.op.output)
	}
	if text, ok := one.Value.(string); ok {
		fmt.Fprintln(s.out, text)
		return nil
	}
	text, err := json.MarshalIndent(one.Value, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, string(text))
	return nil
}

// report tells the outputs of the stack.
func (s *session) report(all auto.OutputMap, secrets bool) {
	shown := map[string]output{}
	for name, o := range all {
		shown[name] = output{Secret: o.Secret}
		if !o.Secret || secrets {
			shown[name] = output{Value: o.Value, Secret: o.Secret}
		}
	}
	s.log.emit(event{Kind: kindOutputs, Stack: s.op.stack, Cloud: s.op.cloud, Outputs: shown})
}
