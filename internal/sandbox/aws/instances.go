package aws

import (
	"context"
	"errors"
	"time"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
	"kubeadm-aws/sweep/question"
)

// stateRunning and stateStopped are states of an instance, in EC2's words. A terminated instance is not in the account.
const (
	stateRunning = "running"
	stateStopped = "stopped"
)

// StopInstance stops an instance in the console, by its Name tag or the name of its node. Its disk stays. It loses its
// public address, unless that is an Elastic IP.
func (u Console) StopInstance(name string) error {
	return u.onMachine(name, func(a *Account, machine *store.Object) error {
		a.Change(machine, func(_, state props.Map) {
			state["instanceState"], state["publicIp"] = stateStopped, ""
			state["stateReason"] = "Client.UserInitiatedShutdown"
		})
		return nil
	})
}

// StartInstance undoes StopInstance. Without an Elastic IP the instance gets another public address.
func (u Console) StartInstance(name string) error {
	return u.onMachine(name, func(a *Account, machine *store.Object) error {
		address := spread(benchmarkRange, 1<<16, machine.URN+" started", a.inUse(InstanceType, "publicIp"))
		a.Change(machine, func(_, state props.Map) {
			state["instanceState"], state["publicIp"] = stateRunning, address
			delete(state, "stateReason")
		})
		return nil
	})
}

// Hardware is what AWS runs instances on. It makes them fail as AWS does, in the simulation only.
type Hardware struct{ console Console }

// NewHardware returns the hardware of an account.
func NewHardware(u Console) Hardware { return Hardware{u} }

// RetireInstance stops an instance as AWS does when its hardware is retired.
func (h Hardware) RetireInstance(name string) error {
	retire := func(a *Account, machine *store.Object) error {
		a.Change(machine, func(_, state props.Map) { state["stateReason"] = "Server.ScheduledStop" })
		return nil
	}
	return errors.Join(h.console.StopInstance(name), h.console.onMachine(name, retire))
}

// FailStatusCheck makes the status checks of an instance fail since a time.
func (h Hardware) FailStatusCheck(name string, since time.Time) error {
	return h.console.onMachine(name, func(a *Account, machine *store.Object) error {
		a.Change(machine, func(_, state props.Map) { state[checkFailedSince] = since.Format(time.RFC3339) })
		return nil
	})
}

// checkFailedSince is the key of an instance's state for the time since which its status checks fail.
const checkFailedSince = "checkFailedSince"

// Instances returns what EC2 says about instances, by id. An id that the account does not have is absent.
func (u Console) Instances(ctx context.Context, ids []string) (map[string]question.Instance, error) {
	a := u.account
	found := map[string]question.Instance{}
	a.Lock()
	for _, id := range ids {
		if o := a.Find(InstanceType, id); o != nil {
			i := question.Instance{State: o.Str("instanceState"), Reason: o.Str("stateReason")}
			i.FailedSince, _ = time.Parse(time.RFC3339, o.State.Str(checkFailedSince))
			found[id] = i
		}
	}
	a.Unlock()
	if u.backend == nil {
		return found, nil
	}
	for id := range found {
		_, exists, err := u.backend.Find(ctx, id)
		if err != nil {
			return nil, err
		}
		if !exists {
			delete(found, id)
		}
	}
	return found, nil
}

// IsStopped reports whether an instance is stopped.
func IsStopped(o *store.Object) bool { return o.Str("instanceState") == stateStopped }
