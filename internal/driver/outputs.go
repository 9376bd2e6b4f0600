package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kubeadm-aws/internal/report"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
)

// outputs prints the outputs of the stack.
func outputs(ctx context.Context, s *run) error {
	w, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	all, err := w.Outputs(ctx)
	if err != nil {
		return err
	}
	if s.op.output == "" {
		s.report(all, s.op.showSecrets)
		return nil
	}
	one, ok := all[s.op.output]
	if ok && s.op.output == nextOutput {
		one.Value = nextSteps(s.op, s.cfg.Cluster.Name)
	}
	switch {
	case !ok:
		return report.Fail(report.ExitUsage, "Outputs: "+strings.Join(slices.Sorted(maps.Keys(all)), ", "),
			"stack %s has no output %q", s.op.Stack, s.op.output)
	case one.Secret && !s.op.showSecrets:
		return report.Fail(report.ExitUsage, "Add --show-secrets.", "output %q is a secret", s.op.output)
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

// report emits the outputs of the stack. Secrets stay hidden unless secrets is set.
func (s *run) report(all auto.OutputMap, secrets bool) {
	shown := map[string]report.Output{}
	for name, o := range all {
		shown[name] = report.Output{Secret: o.Secret}
		if !o.Secret || secrets {
			shown[name] = report.Output{Value: o.Value, Secret: o.Secret}
		}
	}
	if _, up := all[nextOutput]; up {
		shown[nextOutput] = report.Output{Value: nextSteps(s.op, s.cfg.Cluster.Name)}
	}
	s.log.Emit(report.Event{Kind: report.KindOutputs, Stack: s.op.Stack, Cloud: s.op.Cloud, Outputs: shown})
}

// nextOutput is the output with the next steps. The program writes it for `pulumi up` by hand.
const nextOutput = "next"

// nextSteps are the same steps with the driver, for the cloud that the stack is in.
func nextSteps(op operation, cluster string) []any {
	command := func(name, rest string) string {
		text := "go run ./cmd/kubeadm-aws " + name + " --stack " + op.Stack
		if op.Cloud != report.CloudSandbox {
			text += " --cloud " + op.Cloud
		}
		return text + rest
	}
	if op.Cloud == report.CloudSandbox {
		return []any{
			command("up", "         # again: nothing changes"),
			command("destroy", "    # removes the simulation and counts what is left"),
			"README.md, Deploy to AWS            # for real",
		}
	}
	return []any{
		command("outputs", " --output kubeconfig --show-secrets > kubeconfig && kubectl --kubeconfig kubeconfig get nodes"),
		command("outputs", " --output sshPrivateKey --show-secrets > id_"+cluster+" && chmod 600 id_"+cluster),
		command("verify", ""),
	}
}
