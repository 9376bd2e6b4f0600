package account

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/question"
)

// firewallType is the component with the ids of the stack's security groups among its outputs.
const firewallType = "kubeadm-aws:infra:Firewall"

// accessPorts are the ports that the program and its user need, by the output of the component.
var accessPorts = map[string]int32{"nodes": 22, "controlPlane": 6443}

// Firewall collects the ids of the security groups that access is opened in, as they become known.
type Firewall struct {
	w     *workspace.Workspace
	ports map[string]int32 // by the id of the group
	// binary is the compiled sweep, and dir its folder; empty in a simulation.
	binary, dir string
}

// OpenFirewall returns the firewall of the stack that a state contains, which may be empty. The caller closes it.
func OpenFirewall(ctx context.Context, w *workspace.Workspace, d state.State) (*Firewall, error) {
	f := &Firewall{w: w, ports: map[string]int32{}}
	for _, r := range d.Resources {
		f.Learn(string(r.Type), r.Outputs)
	}
	if w.Sandbox != nil {
		return f, nil
	}
	var err error
	if f.dir, err = os.MkdirTemp("", "kubeadm-aws-access"); err != nil {
		return nil, err
	}
	f.binary = filepath.Join(f.dir, "sweep")
	if err := workspace.GoBuild(ctx, w.Project, "./sweep", f.binary); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close removes the temporary files.
func (f *Firewall) Close() {
	if f.dir != "" {
		_ = os.RemoveAll(f.dir)
	}
}

// Learn takes the groups from a resource, and reports whether it is the one that names them. The name of a group would
// not do: people choose the name of the cluster, which is a part of it.
func (f *Firewall) Learn(typ string, outputs map[string]any) bool {
	if typ != firewallType {
		return false
	}
	for output, port := range accessPorts {
		if id, _ := outputs[output].(string); id != "" {
			f.ports[id] = port
		}
	}
	return f.Exists()
}

// Exists reports whether any group is known.
func (f *Firewall) Exists() bool { return len(f.ports) > 0 }

// Change opens or closes the firewall, and removes what has expired. The cluster and the ports of the request are
// those of the stack.
func (f *Firewall) Change(ctx context.Context, d question.AccessRequest) (question.AccessChange, error) {
	var change question.AccessChange
	if f.w.Cloud == report.CloudHosts || !f.Exists() {
		return change, nil // containers of this machine, or no firewall yet
	}
	d.Cluster, d.Ports = f.w.Config.Cluster.Name, f.ports
	if f.w.Sandbox != nil {
		return f.w.Sandbox.AWS.ChangeAccess(d), nil
	}
	asked, err := json.Marshal(d)
	if err != nil {
		return change, err
	}
	cmd := exec.CommandContext(ctx, f.binary, "--"+question.Access, "--region", f.w.Config.Region)
	cmd.Env = sweepEnvironment(f.w)
	cmd.Stdin = bytes.NewReader(asked)
	var said strings.Builder
	cmd.Stderr = &said
	answer, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(answer, &change)
	}
	if err != nil {
		return change, fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return change, nil
}
