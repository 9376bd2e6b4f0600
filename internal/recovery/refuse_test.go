package recovery

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/workspace"
)

// ofNodes returns the workspace and the outputs of a stack with nodes. The names of control planes begin with m.
func ofNodes(names ...string) (*workspace.Workspace, auto.OutputMap) {
	cfg, nodes := &config.Config{}, map[string]any{}
	for _, name := range names {
		role := config.Worker
		if strings.HasPrefix(name, "m") {
			role = config.ControlPlane
		}
		cfg.Nodes = append(cfg.Nodes, config.Node{Name: name, Role: role})
		nodes[name] = map[string]any{"role": role}
	}
	w := &workspace.Workspace{Options: workspace.Options{Config: cfg}}
	return w, auto.OutputMap{"nodes": auto.OutputValue{Value: nodes}}
}

// TestWhichControlPlanesMayEnd replaces and deletes machines of control planes and workers together.
func TestWhichControlPlanesMayEnd(t *testing.T) {
	for _, c := range []struct{ nodes, replaced, deleted, says string }{
		{nodes: "m1 m2 m3 w1", replaced: "m1"},
		{nodes: "m1 m2 m3 w1", replaced: "m2 w1"},
		{nodes: "m1 m2 m3 w1", deleted: "m4 w2"},
		{nodes: "m1 m2 m3 w1", replaced: "m1 w1", says: "the control plane m1 together with w1, which"},
		{nodes: "m1 m2 m3 w1", replaced: "m1 m3 w1", says: "several control planes, m1, m3, and"},
		{nodes: "m1 m2 m3 w1", replaced: "m2 m3 w1", says: "several control planes, m2, m3, and"},
		{nodes: "m1 m2 m3 w1", replaced: "m2 w1", deleted: "m4", says: "several control planes, m2, m4, and"},
		{nodes: "m1 w1", replaced: "w1"},
		{nodes: "m1 w1", replaced: "m1", says: "backup.restoreFrom is not set"},
		{nodes: "m1 w1", deleted: "m2"},
	} {
		t.Run(fmt.Sprintf("%s: %s, without %s", c.nodes, c.replaced, c.deleted), func(t *testing.T) {
			w, _ := ofNodes(strings.Fields(c.nodes)...)
			_, outputs := ofNodes(strings.Fields(c.nodes + " " + c.deleted)...)
			ended := map[string]string{}
			for _, name := range strings.Fields(c.replaced) {
				ended[name] = "replace"
			}
			for _, name := range strings.Fields(c.deleted) {
				ended[name] = "delete"
			}
			err := refuseEnded(w, outputs, ended)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// TestOnlyControlPlanesAreNamedNextToALostOne replaces a control plane and a worker while another control plane is
// lost. The worker does not cause the refusal.
func TestOnlyControlPlanesAreNamedNextToALostOne(t *testing.T) {
	w, _ := ofNodes("m1", "m2", "m3", "w1")
	planes := []account.Machine{{Name: "m1", ControlPlane: true, State: "running"},
		{Name: "m2", ControlPlane: true, State: "running"}, {Name: "m3", ControlPlane: true, State: "terminated"}}
	err := refuseWithout(w, planes, []string{"w1", "m2"})
	if report.CodeOf(err) != report.ExitBlocked || !strings.Contains(err.Error(), "takes m2 out of service, and another "+
		"control plane is lost: m3.") {
		t.Errorf("got %v", err)
	}
	for _, down := range [][]string{{"w1"}, {"m3"}} {
		if err := refuseWithout(w, planes, down); err != nil {
			t.Errorf("the plan takes %v out of service: %v", down, err)
		}
	}
}
