package account

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

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
	// sweep is zero in a simulation.
	sweep program
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
	if f.sweep, err = buildSweep(ctx, w); err != nil {
		return nil, err
	}
	return f, nil
}

// Close removes the temporary files.
func (f *Firewall) Close() { f.sweep.remove() }

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
	// The engine may be running, so the CLI of the workspace does not run this process.
	answer, err := f.sweep.run(f.w, func(cmd *exec.Cmd) error { return runUntil(ctx, cmd) }, asked,
		"--"+question.Access, "--region", f.w.Config.Region)
	if err != nil {
		return change, err
	}
	if err := json.Unmarshal(answer, &change); err != nil {
		return change, fmt.Errorf("the answer of the sweep: %w", err)
	}
	return change, nil
}

// runUntil runs a process, and kills it at the end of the context.
func runUntil(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	return cmd.Wait()
}
