package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"kubeadm-aws/config"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

const instanceType = "aws:ec2/instance:Instance"

// machine is an instance of the stack and its state in the account.
type machine struct {
	name, id string
	// controlPlane says that the cluster's API server and etcd are on it.
	controlPlane bool
	// state is EC2's word for it; "gone" when the account does not know the instance.
	state string
	// admits are the address ranges that may reach the API on it; known on AWS only.
	admits []string
}

// machines asks the account what became of the instances in the state. address is where this machine's requests come
// from; empty when that is not known.
func (s *session) machines(ctx context.Context, p *place, d state.State, outputs auto.OutputMap) (all []machine, address string, err error) {
	roles, _ := outputs["nodes"].Value.(map[string]any)
	var ids []string
	for _, r := range d.Resources {
		if r.Type != instanceType || r.ID == "" {
			continue
		}
		_, name := state.SplitURN(r.URN)
		all = append(all, machine{name: name, id: r.ID, controlPlane: s.isControlPlane(name, roles)})
		ids = append(ids, r.ID)
	}
	if len(ids) == 0 {
		return nil, "", nil
	}
	if p.sandbox != nil {
		states, err := p.sandbox.AWS.InstanceStates(ctx, ids)
		for i := range all {
			all[i].state = orGone(states[all[i].id])
		}
		return all, "", err
	}
	question, err := json.Marshal(ids)
	if err != nil {
		return nil, "", err
	}
	text, err := s.askSweep(ctx, "--states", question)
	if err != nil {
		return nil, "", err
	}
	var answer struct {
		Address   string
		Instances map[string]struct {
			State  string
			Admits []string
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, "", fmt.Errorf("the answer of the sweep: %w", err)
	}
	for i := range all {
		found := answer.Instances[all[i].id]
		all[i].state, all[i].admits = orGone(found.State), found.Admits
	}
	return all, answer.Address, nil
}

func orGone(state string) string {
	if state == "" {
		return "gone"
	}
	return state
}

// isControlPlane takes the role from the outputs of the stack, or from the settings while there are none.
func (s *session) isControlPlane(name string, roles map[string]any) bool {
	if node, ok := roles[name].(map[string]any); ok {
		return node["role"] == config.ControlPlane
	}
	return slices.ContainsFunc(s.cfg.Nodes, func(n config.Node) bool { return n.Name == name && n.Role == config.ControlPlane })
}

// ended reports whether the instance can never run again.
func (m machine) ended() bool {
	return slices.Contains([]string{"gone", "terminated", "shutting-down"}, m.state)
}

// stopped reports whether the instance does not run and can be started.
func (m machine) stopped() bool { return m.state == "stopped" || m.state == "stopping" }

func (m machine) String() string { return fmt.Sprintf("%s (%s)", m.name, m.id) }

// admitted reports whether the firewall lets an address reach the API on the machine.
func (m machine) admitted(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(m.admits, func(text string) bool {
		prefix, err := netip.ParsePrefix(text)
		return err == nil && prefix.Contains(ip)
	})
}

// startCommand is what a person types to start instances.
func (s *session) startCommand(machines []machine) string {
	if s.op.Cloud == report.CloudHosts {
		return "docker start, then docker ps -a to look"
	}
	ids := mapped(machines, func(m machine) string { return m.id })
	return fmt.Sprintf("aws ec2 start-instances --region %s --instance-ids %s", s.cfg.Region, strings.Join(ids, " "))
}

// refuseStopped stops a command that would take stopped instances for lost ones.
func (s *session) refuseStopped(machines []machine) error {
	var stopped []machine
	for _, m := range machines {
		if m.stopped() {
			stopped = append(stopped, m)
		}
	}
	if len(stopped) == 0 {
		return nil
	}
	return report.Fail(report.ExitUnreachable, fmt.Sprintf("Start %s: %s. Then run this again.",
		report.Plural(len(stopped), "it", "them"), s.startCommand(stopped)),
		"%s stopped: %s. Nothing was changed", report.Plural(len(stopped), "an instance is", "instances are"),
		strings.Join(mapped(stopped, machine.String), ", "))
}
