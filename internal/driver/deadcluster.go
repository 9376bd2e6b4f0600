package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

// findDead decides whether destroy has to go on without the cluster: because its machines have ended, or because a person
// said so by name. A cluster that only cannot be reached from here is not dead, and destroy is refused: what controllers
// made would never be released in order. --yes does not answer this question.
func (s *session) findDead(ctx context.Context, p *place, st state.State) (dead bool, err error) {
	outputs, err := p.Outputs(ctx)
	if err != nil {
		return false, s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	name, _ := outputs["cluster"].Value.(string)
	if name == "" {
		name = s.cfg.Cluster.Name
	}
	if s.op.without != "" && s.op.without != name {
		return false, report.Fail(report.ExitUsage, "To go on without the cluster: --without-cluster "+name,
			"--without-cluster %s: the cluster of stack %s is %s; nothing was touched", s.op.without, s.op.Stack, name)
	}
	if !state.ReachedIntoCluster(st) {
		return false, nil
	}
	contact, why, err := s.reach(ctx, p)
	if err != nil || contact == answers {
		return false, err
	}
	if s.op.without != "" {
		s.tellWithout(fmt.Sprintf("The Kubernetes API does not answer (%s), and --without-cluster says to go on without it.", why))
		return true, nil
	}
	by := "If the cluster is lost and nothing in it can be cleaned up: --without-cluster " + name
	if contact == forbids {
		return false, report.Fail(report.ExitUnreachable, "Run up first, it renews the certificate: go run ./cmd/kubeadm-aws up --stack "+s.op.Stack+" --cloud "+s.op.Cloud+". "+by,
			"the Kubernetes API is alive and refuses the kubeconfig of the stack (%s); nothing was touched", why)
	}
	machines, address, err := s.machines(ctx, p, st, outputs)
	if err != nil {
		return false, report.Fail(report.ExitUnreachable, "With credentials that may list instances, run this again. "+by,
			"the Kubernetes API does not answer (%s), and the account could not be asked whether its machine exists: %w; nothing was touched", why, err)
	}
	machines = slices.DeleteFunc(machines, func(m machine) bool { return !m.controlPlane })
	living := slices.DeleteFunc(slices.Clone(machines), machine.ended)
	if len(living) == 0 {
		s.tellWithout(fmt.Sprintf("The Kubernetes API does not answer, because the machine of the control plane is gone: %s.", listedMachines(machines)))
		return true, nil
	}
	if err := s.refuseStopped(living); err != nil {
		err.(*report.Failure).Next += " " + by
		return false, err
	}
	return false, report.Fail(report.ExitUnreachable, s.lookAt(contact, living, address)+"\n"+by,
		"the Kubernetes API does not answer (%s), and its machine runs: %s. A cluster that cannot be reached from here is not dead; nothing was touched",
		why, listedMachines(living))
}

// lookAt says why a running cluster may not answer here.
func (s *session) lookAt(c contact, living []machine, address string) string {
	if c == refuses {
		return "Look at: the API server on the machine (sudo crictl ps -a, journalctl -u kubelet), its disk (df -h), its certificates (sudo kubeadm certs check-expiration)."
	}
	own := "is the address that you come from in access.adminCidrs"
	if address != "" {
		own = fmt.Sprintf("you come from %s, which is none of what the security group admits: %s (access.adminCidrs)", address, strings.Join(living[0].admits, ", "))
		if living[0].admitted(address) {
			own = fmt.Sprintf("you come from %s, which the security group admits, so look at a proxy or a firewall on the way", address)
		}
	}
	return "Look at: " + own + "; does the name or address of the API still point to the machine."
}

func (s *session) tellWithout(why string) {
	s.log.Emit(report.Event{Kind: report.KindLog, Severity: "warning", Message: why + " What is inside the cluster is taken out of the state; " +
		"it ends with the nodes. Load balancers, volumes and records that controllers made are left to the sweep."})
}

func listedMachines(machines []machine) string {
	if len(machines) == 0 {
		return "the state holds none"
	}
	return strings.Join(mapped(machines, func(m machine) string { return m.String() + " is " + m.state }), ", ")
}

// dropCluster takes what is inside the cluster out of the state: a Helm release of a dead cluster cannot be deleted at all.
func (s *session) dropCluster(ctx context.Context, p *place) error {
	exported, err := p.export(ctx)
	if err != nil {
		return s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	st, err := state.Parse(exported)
	if err != nil {
		return err
	}
	without, err := state.WithoutResources(exported, state.InsideCluster(st))
	if err != nil {
		return report.Fail(report.ExitFailed, "", "%w", err)
	}
	return s.replaceState(ctx, p, without)
}
