package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	check "kubeadm-aws/internal/verify"
)

// tellNotReady says at the end of an up which nodes are not Ready: the plan does not look at them. What cannot be found out
// is not said, because the up itself has succeeded.
func (s *session) tellNotReady(ctx context.Context, p *place) {
	nodes, err := s.notReady(ctx, p)
	if err != nil || len(nodes) == 0 {
		return
	}
	machines, _ := s.machinesOf(ctx, p)
	for _, n := range nodes {
		name, _, _ := strings.Cut(n, " ")
		look := fmt.Sprintf("kubectl describe node %s; on the host: journalctl -u kubelet", name)
		if i := slices.IndexFunc(machines, func(m machine) bool { return m.name == name && m.stopped() }); i >= 0 {
			look = "its instance is stopped, so start it: " + s.startCommand(machines[i:i+1])
		}
		s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Message: n + "\nLook at: " + look})
	}
}

// notReady are the nodes of the cluster that are not Ready, each with the reason: "worker-1 is not Ready: ...".
func (s *session) notReady(ctx context.Context, p *place) ([]string, error) {
	if s.op.Cloud == report.CloudSandbox {
		return p.sandbox.Cluster.NotReady(), nil
	}
	api, err := s.api(ctx, p)
	if err != nil || api == nil {
		return nil, err
	}
	return check.NotReady(ctx, api)
}

// api is a client of the cluster of the stack; nil when there is none.
func (s *session) api(ctx context.Context, p *place) (*check.API, error) {
	kubeconfig, err := s.kubeconfig(ctx, p)
	if err != nil || kubeconfig == "" {
		return nil, err
	}
	return check.Open([]byte(kubeconfig))
}

// machinesOf asks the account for the machines of the stack.
func (s *session) machinesOf(ctx context.Context, p *place) ([]machine, error) {
	outputs, err := p.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	st, err := s.state(ctx, p)
	if err != nil {
		return nil, err
	}
	machines, _, err := s.machines(ctx, p, st, outputs)
	return machines, err
}

// tellTroubles shows for releases that did not become ready what their pods wait for: Helm does not say it.
func (s *session) tellTroubles(ctx context.Context, p *place, urns []string) {
	st, err := s.state(ctx, p)
	if err != nil || len(urns) == 0 || s.cli.Stopped() {
		return
	}
	var api *check.API
	if s.op.Cloud != report.CloudSandbox {
		if api, err = s.api(ctx, p); err != nil {
			return
		}
	}
	for _, r := range st.Resources {
		if !slices.Contains(urns, r.URN) {
			continue
		}
		namespace := r.Release().Namespace
		lines := []string{"What runs in the namespace " + namespace + ":"}
		if api != nil {
			troubles, err := check.Troubles(ctx, api, namespace)
			if err != nil {
				continue
			}
			lines = append(lines, troubles...)
		}
		lines = append(lines, fmt.Sprintf("Look at: kubectl -n %s get pods,events; everything at once: go run ./cmd/kubeadm-aws verify --stack %s --cloud %s",
			namespace, s.op.Stack, s.op.Cloud))
		s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Resource: state.Readable(r.URN), Message: strings.Join(lines, "\n")})
	}
}
