package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
	"kubeadm-aws/sweep/question"
)

// InstanceType is the type of a machine in the state.
const InstanceType = "aws:ec2/instance:Instance"

// Machine is an instance of the stack and its state in the account.
type Machine struct {
	Name, ID string
	URN      string
	// ControlPlane reports whether the cluster's API server and etcd run on it.
	ControlPlane bool
	// State is the state in EC2's words, or "gone" if the account does not contain the instance.
	State string
	// Reason is EC2's code for the last change of the state. It may be empty.
	Reason string
	// Launched is when the instance was started last, and FailedSince since when a status check of EC2 fails. Each is
	// zero if it is unknown or does not apply.
	Launched, FailedSince time.Time
	// Admits are the address ranges that may reach the API on it. They are known on AWS only.
	Admits []string
}

// Machines returns the instances in the state with the account's information about them. address is the source
// address of this computer's requests. It is empty if it is unknown.
func Machines(ctx context.Context, w *workspace.Workspace, d state.State, outputs auto.OutputMap) (all []Machine,
	address string, err error) {
	roles, _ := outputs["nodes"].Value.(map[string]any)
	var ids []string
	for _, r := range d.Resources {
		if r.Type != InstanceType || r.ID == "" {
			continue
		}
		_, name := state.SplitURN(r.URN)
		all = append(all, Machine{Name: name, ID: string(r.ID), URN: string(r.URN),
			ControlPlane: isControlPlane(w, name, roles)})
		ids = append(ids, string(r.ID))
	}
	if len(ids) == 0 {
		return nil, "", nil
	}
	if w.Sandbox != nil {
		instances, err := w.Sandbox.AWS.Instances(ctx, ids)
		for i := range all {
			all[i].learn(instances[all[i].ID])
		}
		return all, "", err
	}
	answer, err := askInstances(ctx, w, ids)
	if err != nil {
		return nil, "", err
	}
	if err := refuseOther(d, answer.Account); err != nil {
		return nil, "", err
	}
	for i := range all {
		all[i].learn(answer.Instances[all[i].ID])
	}
	return all, answer.Address, nil
}

// askInstances asks the account about instances. Without ids the answer has the number of the account only.
func askInstances(ctx context.Context, w *workspace.Workspace, ids []string) (answer question.Instances, err error) {
	asked, err := json.Marshal(ids)
	if err != nil {
		return answer, err
	}
	text, err := askSweep(ctx, w, question.States, asked)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("the answer of the sweep: %w", err)
	}
	return answer, nil
}

// ErrOtherAccount is wrapped by an error about credentials that belong to another account than the stack. In that
// account nothing of the stack exists, which must not be taken for the end of the stack.
var ErrOtherAccount = errors.New("the credentials belong to another account than the stack")

// refuseOther compares the account of the credentials with the one that the VPC in the state is in.
func refuseOther(d state.State, credentials string) error {
	for _, r := range d.Resources {
		owner, _ := r.Outputs["ownerId"].(string)
		if r.Type == "aws:ec2/vpc:Vpc" && owner != "" && credentials != "" && owner != credentials {
			return fmt.Errorf("%w: they belong to %s, and it runs in %s (%s)", ErrOtherAccount, credentials, owner, r.ID)
		}
	}
	return nil
}

// RefuseOther refuses to go on with credentials of another account. There AWS answers that nothing of the stack exists:
// a refresh or a destroy would empty the state, and the stack would go on running. An account that cannot be asked is
// not refused.
func RefuseOther(ctx context.Context, w *workspace.Workspace, d state.State) error {
	if w.Cloud != report.CloudAWS || len(d.Resources) == 0 {
		return nil
	}
	answer, err := askInstances(ctx, w, []string{})
	if err != nil {
		return nil
	}
	if err := refuseOther(d, answer.Account); err != nil {
		return report.Fail(report.ExitCannotStart,
			"Set AWS_PROFILE or aws:profile to credentials of that account. Look with: aws sts get-caller-identity",
			"%w; nothing was touched", err)
	}
	return nil
}

// learn takes over what the account says about the instance. The zero value means that the account does not contain it.
func (m *Machine) learn(i question.Instance) {
	m.State, m.Reason, m.Launched, m.FailedSince, m.Admits = i.State, i.Reason, i.Launched, i.FailedSince, i.Admits
	if m.State == "" {
		m.State = "gone"
	}
}

// isControlPlane takes the role from the outputs of the stack, or from the settings if the stack has none yet.
func isControlPlane(w *workspace.Workspace, name string, roles map[string]any) bool {
	if node, ok := roles[name].(map[string]any); ok {
		return node["role"] == config.ControlPlane
	}
	return slices.ContainsFunc(w.Config.Nodes,
		func(n config.Node) bool { return n.Name == name && n.Role == config.ControlPlane })
}

// Ended reports whether the instance can never run again.
func (m Machine) Ended() bool {
	return slices.Contains([]string{"gone", "terminated", "shutting-down"}, m.State)
}

// Stopped reports whether the instance does not run and can be started.
func (m Machine) Stopped() bool { return m.State == "stopped" || m.State == "stopping" }

// StoppedByAWS reports whether AWS stopped the instance, and not a person or a program in the account.
func (m Machine) StoppedByAWS() bool { return m.Stopped() && strings.HasPrefix(m.Reason, "Server.") }

// StoppedOnPurpose reports whether a person or a program in the account stopped the instance.
func (m Machine) StoppedOnPurpose() bool { return m.Stopped() && !m.StoppedByAWS() }

func (m Machine) String() string { return fmt.Sprintf("%s (%s)", m.Name, m.ID) }

// Admitted reports whether the firewall lets an address reach the API on the machine.
func (m Machine) Admitted(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(m.Admits, func(text string) bool {
		prefix, err := netip.ParsePrefix(text)
		return err == nil && prefix.Contains(ip)
	})
}

// StartCommand returns the command with which a person starts instances.
func StartCommand(w *workspace.Workspace, machines []Machine) string {
	if w.Cloud == report.CloudHosts {
		return "docker start, then docker ps -a to look"
	}
	var ids []string
	for _, m := range machines {
		ids = append(ids, m.ID)
	}
	return fmt.Sprintf("aws ec2 start-instances --region %s --instance-ids %s", w.Config.Region, strings.Join(ids, " "))
}

// RefuseStopped refuses to continue with stopped instances, because the command would treat them as lost.
func RefuseStopped(w *workspace.Workspace, machines []Machine) error {
	var stopped []Machine
	var names []string
	for _, m := range machines {
		if m.Stopped() {
			stopped = append(stopped, m)
			names = append(names, m.String())
		}
	}
	if len(stopped) == 0 {
		return nil
	}
	return report.Fail(report.ExitUnreachable, fmt.Sprintf("Start %s: %s. Then run this again.",
		report.Plural(len(stopped), "it", "them"), StartCommand(w, stopped)),
		"%s stopped: %s. Nothing was changed", report.Plural(len(stopped), "an instance is", "instances are"),
		strings.Join(names, ", "))
}
