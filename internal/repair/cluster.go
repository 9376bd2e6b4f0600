package repair

import (
	"context"
	"encoding/json"
	"errors"

	"kubeadm-aws/internal/report"
	check "kubeadm-aws/internal/verify"
	"kubeadm-aws/internal/workspace"
)

// Cluster is what a repair asks of the cluster of a stack, and what it notes in it.
type Cluster interface {
	// Health returns the health of every node.
	Health(ctx context.Context) ([]check.NodeHealth, error)
	// Kept returns what would be lost if the machine of a node was replaced by one in a zone.
	Kept(ctx context.Context, node check.NodeHealth, zone string, nodes []check.NodeHealth) ([]string, error)
	// History and Note read and write the history of repairs.
	History(ctx context.Context) (History, error)
	Note(ctx context.Context, h History) (History, error)
}

// Open returns the cluster of a stack. It must have one.
func Open(ctx context.Context, w *workspace.Workspace) (Cluster, error) {
	if w.Cloud == report.CloudSandbox {
		return model{w}, nil
	}
	kubeconfig, err := w.Kubeconfig(ctx)
	if err != nil {
		return nil, err
	}
	if kubeconfig == "" {
		return nil, errors.New("the state holds no kubeconfig")
	}
	api, err := check.Open([]byte(kubeconfig))
	return live{api}, err
}

// live is a cluster with an API server.
type live struct{ *check.API }

func (l live) Health(ctx context.Context) ([]check.NodeHealth, error) {
	return check.Health(ctx, l.API)
}

func (l live) Kept(ctx context.Context, node check.NodeHealth, zone string, nodes []check.NodeHealth) ([]string,
	error) {
	return check.KeptOn(ctx, l.API, node, zone, nodes)
}

func (l live) History(ctx context.Context) (History, error) { return readHistory(ctx, l.Client) }

func (l live) Note(ctx context.Context, h History) (History, error) {
	return writeHistory(ctx, l.Client, h)
}

// model is the cluster of a simulation.
type model struct{ *workspace.Workspace }

func (m model) Health(context.Context) ([]check.NodeHealth, error) {
	var all []check.NodeHealth
	for _, n := range m.Sandbox.Nodes.Health() {
		all = append(all, check.NodeHealth{Name: n.Name, Instance: n.Instance, Ready: n.NotReady == "", Since: n.Since,
			Message: n.NotReady, Upgrading: n.Drained})
	}
	return all, nil
}

func (m model) Kept(_ context.Context, node check.NodeHealth, _ string, _ []check.NodeHealth) ([]string, error) {
	for _, n := range m.Sandbox.Nodes.Health() {
		if n.Name == node.Name && n.Kept != "" {
			return []string{n.Kept}, nil
		}
	}
	return nil, nil
}

func (m model) History(context.Context) (History, error) {
	text := m.Sandbox.Nodes.ConfigMap("kube-system", historyName)
	if text == "" {
		return History{}, nil
	}
	var c configMap
	err := json.Unmarshal([]byte(text), &c)
	return parse(c), err
}

func (m model) Note(_ context.Context, h History) (History, error) {
	text, err := json.Marshal(h.format())
	if err != nil {
		return h, err
	}
	return h, m.Sandbox.Nodes.PutConfigMap("kube-system", historyName, string(text))
}
