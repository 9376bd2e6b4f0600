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

// tellNotReady reports the nodes that are not Ready at the end of an up, because the plan does not contain their state.
// It returns no error, because the up itself has succeeded.
func tellNotReady(ctx context.Context, w *workspace.Workspace) {
	nodes, err := notReady(ctx, w)
	if err != nil || len(nodes) == 0 {
		return
	}
	machines, _ := machinesOf(ctx, w)
	for _, n := range nodes {
		name, _, _ := strings.Cut(n, " ")
		look := fmt.Sprintf("kubectl describe node %s; on the host: journalctl -u kubelet", name)
		if i := slices.IndexFunc(machines, func(m account.Machine) bool { return m.Name == name && m.Stopped() }); i >= 0 {
			look = "its instance is stopped, so start it: " + account.StartCommand(w, machines[i:i+1])
		}
		w.Log.Warn(n + "\nLook at: " + look)
	}
}

// notReady returns the nodes of the cluster that are not Ready, each with the reason: "worker-1 is not Ready: ...".
func notReady(ctx context.Context, w *workspace.Workspace) ([]string, error) {
	if w.Cloud == report.CloudSandbox {
		return w.Sandbox.Cluster.NotReady(), nil
	}
	api, err := openAPI(ctx, w)
	if err != nil || api == nil {
		return nil, err
	}
	return check.NotReady(ctx, api)
}

// openAPI returns a client of the Kubernetes API of the stack, or nil for a stack without a cluster.
func openAPI(ctx context.Context, w *workspace.Workspace) (*check.API, error) {
	kubeconfig, err := w.Kubeconfig(ctx)
	if err != nil || kubeconfig == "" {
		return nil, err
	}
	return check.Open([]byte(kubeconfig))
}

// machinesOf asks the account for the machines of the stack.
func machinesOf(ctx context.Context, w *workspace.Workspace) ([]account.Machine, error) {
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

// tellTroubles reports what the pods wait for whose releases did not become ready. The error of Helm does not contain
// it.
func tellTroubles(ctx context.Context, w *workspace.Workspace, urns []state.URN) {
	st, err := w.State(ctx)
	if err != nil || len(urns) == 0 || w.CLI.Stopped() {
		return
	}
	var api *check.API
	if w.Cloud != report.CloudSandbox {
		if api, err = openAPI(ctx, w); err != nil {
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
		lines = append(lines,
			fmt.Sprintf("Look at: kubectl -n %s get pods,events; everything at once: go run ./cmd/kubeadm-aws verify --stack "+
				"%s --cloud %s",
				namespace, w.Stack, w.Cloud))
		w.Log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Resource: state.Readable(r.URN),
			Message: strings.Join(lines, "\n")})
	}
}
