package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/internal/account"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
	"kubeadm-aws/internal/workspace"
)

// DeadArgs are the arguments of FindDead.
type DeadArgs struct {
	State state.State
	// Without is the name of a cluster that the user gives up; empty when the user names none.
	Without string
	// AskAfter is the time between two requests to an API that does not answer.
	AskAfter time.Duration
}

// FindDead decides whether destroy must continue without the cluster. It must if the machines of the control plane
// have ended, or if the user gave the cluster up by name; --yes is not an answer to this question. A cluster that is
// only unreachable from here is not dead. Destroy is then refused, because the resources of controllers would never
// be released in order.
func FindDead(ctx context.Context, w *workspace.Workspace, args DeadArgs) (dead bool, err error) {
	outputs, err := w.Outputs(ctx)
	if err != nil {
		return false, err
	}
	name, _ := outputs["cluster"].Value.(string)
	if name == "" {
		name = w.Config.Cluster.Name
	}
	if args.Without != "" && args.Without != name {
		return false, report.Fail(report.ExitUsage, "To go on without the cluster: --without-cluster "+name,
			"--without-cluster %s: the cluster of stack %s is %s; nothing was touched", args.Without, w.Stack, name)
	}
	if !args.State.HasCluster() {
		return false, nil
	}
	contact, why, err := reach(ctx, w, args.AskAfter)
	if err != nil || contact == answers {
		return false, err
	}
	if args.Without != "" {
		reportWithout(w, fmt.Sprintf("The Kubernetes API does not answer (%s), and --without-cluster says to go on without it.",
			why))
		return true, nil
	}
	by := "If the cluster is lost and nothing in it can be cleaned up: --without-cluster " + name
	if contact == forbids {
		return false, report.Fail(report.ExitUnreachable,
			"Run up first, it renews the certificate: go run ./cmd/kubeadm-aws up --stack "+w.Stack+" --cloud "+w.Cloud+". "+by,
			"the Kubernetes API is alive and refuses the kubeconfig of the stack (%s); nothing was touched", why)
	}
	machines, address, err := account.Machines(ctx, w, args.State, outputs)
	if err != nil {
		return false, report.Fail(report.ExitUnreachable, "With credentials that may list instances, run this again. "+by,
			"the Kubernetes API does not answer (%s), and the account could not be asked whether its machine exists: %w; "+
				"nothing was touched", why, err)
	}
	machines = slices.DeleteFunc(machines, func(m account.Machine) bool { return !m.ControlPlane })
	living := slices.DeleteFunc(slices.Clone(machines), account.Machine.Ended)
	if len(living) == 0 {
		reportWithout(w,
			fmt.Sprintf("The Kubernetes API does not answer, because the machine of the control plane is gone: %s.",
				listedMachines(machines)))
		return true, nil
	}
	if err := account.RefuseStopped(w, living); err != nil {
		if failure := (*report.Failure)(nil); errors.As(err, &failure) {
			failure.Next += " " + by
		}
		return false, err
	}
	return false, report.Fail(report.ExitUnreachable, lookAt(contact, living, address)+"\n"+by,
		"the Kubernetes API does not answer (%s), and its machine runs: %s. A cluster that cannot be reached from here is "+
			"not dead; nothing was touched",
		why, listedMachines(living))
}

// RefuseSilent refuses to judge the nodes of a cluster whose API does not answer. Nothing is known of its nodes then,
// and silence does not mean that they failed. stopped is not empty if someone in the account stopped every control
// plane: it says so, and how to start them.
func RefuseSilent(ctx context.Context, w *workspace.Workspace, st state.State, askAfter time.Duration) (stopped string,
	err error) {
	contact, why, err := reach(ctx, w, askAfter)
	if err != nil || contact == answers {
		return "", err
	}
	outputs, err := w.Outputs(ctx)
	if err != nil {
		return "", err
	}
	machines, address, err := account.Machines(ctx, w, st, outputs)
	if err != nil {
		return "", report.Fail(report.ExitUnreachable, "With credentials that may list instances, run this again.",
			"the Kubernetes API does not answer (%s), and the account could not be asked about its machine: %w; nothing was "+
				"changed", why, err)
	}
	machines = slices.DeleteFunc(machines, func(m account.Machine) bool { return !m.ControlPlane })
	living := slices.DeleteFunc(slices.Clone(machines), account.Machine.Ended)
	if len(living) == 0 {
		return "", report.Fail(report.ExitUnreachable, "Restore it with up: docs/recovery.md, \"The control-plane instance is lost\".",
			"the Kubernetes API does not answer, because the machine of the control plane is gone: %s; nothing was changed",
			listedMachines(machines))
	}
	if !slices.ContainsFunc(machines, func(m account.Machine) bool { return !m.StoppedOnPurpose() }) {
		return fmt.Sprintf("The cluster was stopped in the account, so nothing is judged: %s. To start it: %s",
			listedMachines(machines), account.StartCommand(w, machines)), nil
	}
	if err := account.RefuseStopped(w, living); err != nil {
		return "", err
	}
	return "", report.Fail(report.ExitUnreachable, lookAt(contact, living, address),
		"the Kubernetes API does not answer (%s), so nothing is known of the workers. Silence does not mean that they "+
			"failed; nothing was changed", why)
}

// lookAt returns what to look at when the API of a running cluster does not answer here.
func lookAt(c contact, living []account.Machine, address string) string {
	if c == refuses {
		return "Look at: the API server on the machine (sudo crictl ps -a, journalctl -u kubelet), its disk (df -h), its " +
			"certificates (sudo kubeadm certs check-expiration)."
	}
	own := "is the address that you come from in access.adminCidrs"
	if address != "" {
		own = fmt.Sprintf("you come from %s, which the security group does not admit; it admits %s (access.adminCidrs; "+
			"access open lets this machine in for a while)", address, strings.Join(living[0].Admits, ", "))
		if living[0].Admitted(address) {
			own = fmt.Sprintf("you come from %s, which the security group admits, so look at a proxy or a firewall on the way",
				address)
		}
	}
	return "Look at: " + own + "; does the name or address of the API still point to the machine."
}

func reportWithout(w *workspace.Workspace, why string) {
	w.Log.Warn(why + " What is inside the cluster is taken out of the state; " +
		"it ends with the nodes. Load balancers, volumes and records that controllers made are left to the sweep.")
}

func listedMachines(machines []account.Machine) string {
	if len(machines) == 0 {
		return "the state holds none"
	}
	var all []string
	for _, m := range machines {
		all = append(all, m.String()+" is "+m.State)
	}
	return strings.Join(all, ", ")
}

// DropCluster removes the resources inside the cluster from the state: a Helm release of a dead cluster cannot be
// deleted at all.
func DropCluster(ctx context.Context, w *workspace.Workspace) error {
	return dropFromState(ctx, w, state.State.InsideCluster)
}
