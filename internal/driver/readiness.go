package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	check "kubeadm-aws/internal/verify"
	"kubeadm-aws/internal/workspace"
)

// tellNotReady says at the end of an up which nodes are not Ready: the plan does not look at them. What cannot be found out
// is not said, because the up itself has succeeded.
func (s *run) tellNotReady(ctx context.Context, w *workspace.Workspace) {
	nodes, err := s.notReady(ctx, w)
	if err != nil || len(nodes) == 0 {
		return
	}
	machines, _ := s.machinesOf(ctx, w)
	for _, n := range nodes {
		name, _, _ := strings.Cut(n, " ")
		look := fmt.Sprintf("kubectl describe node %s; on the host: journalctl -u kubelet", name)
		if i := slices.IndexFunc(machines, func(m account.Machine) bool { return m.Name == name && m.Stopped() }); i >= 0 {
			look = "its instance is stopped, so start it: " + account.StartCommand(w, machines[i:i+1])
		}
		s.log.Warn(n + "\nLook at: " + look)
	}
}

// notReady are the nodes of the cluster that are not Ready, each with the reason: "worker-1 is not Ready: ...".
func (s *run) notReady(ctx context.Context, w *workspace.Workspace) ([]string, error) {
	if s.op.Cloud == report.CloudSandbox {
		return w.Sandbox.Cluster.NotReady(), nil
	}
	api, err := s.api(ctx, w)
	if err != nil || api == nil {
		return nil, err
	}
	return check.NotReady(ctx, api)
}

// api is a client of the cluster of the stack; nil when there is none.
func (s *run) api(ctx context.Context, w *workspace.Workspace) (*check.API, error) {
	kubeconfig, err := w.Kubeconfig(ctx)
	if err != nil || kubeconfig == "" {
		return nil, err
	}
	return check.Open([]byte(kubeconfig))
}

// machinesOf asks the account for the machines of the stack.
func (s *run) machinesOf(ctx context.Context, w *workspace.Workspace) ([]account.Machine, error) {
	outputs, err := w.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	st, err := w.State(ctx)
	if err != nil {
		return nil, err
	}
	machines, _, err := account.Machines(ctx, w, st, outputs)
	return machines, err
}

// tellTroubles shows for releases that did not become ready what their pods wait for: Helm does not say it.
func (s *run) tellTroubles(ctx context.Context, w *workspace.Workspace, urns []state.URN) {
	st, err := w.State(ctx)
	if err != nil || len(urns) == 0 || s.cli.Stopped() {
		return
	}
	var api *check.API
	if s.op.Cloud != report.CloudSandbox {
		if api, err = s.api(ctx, w); err != nil {
			return
		}
	}
	for _, r := range st.Resources {
		if !slices.Contains(urns, r.URN) {
			continue
		}
		namespace := state.ReleaseIn(r.Inputs).Namespace
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
