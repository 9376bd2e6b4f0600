package aws

import (
	"context"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
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
		a.Change(machine, func(_, state props.Map) { state["instanceState"], state["publicIp"] = stateStopped, "" })
		return nil
	})
}

// StartInstance undoes StopInstance. Without an Elastic IP the instance gets another public address.
func (u Console) StartInstance(name string) error {
	return u.onMachine(name, func(a *Account, machine *store.Object) error {
		address := spread(benchmarkRange, 1<<16, machine.URN+" started", a.inUse(InstanceType, "publicIp"))
		a.Change(machine, func(_, state props.Map) { state["instanceState"], state["publicIp"] = stateRunning, address })
		return nil
	})
}

// InstanceStates returns the states of instances by id. An id that the account does not have is absent.
func (u Console) InstanceStates(ctx context.Context, ids []string) (map[string]string, error) {
	a := u.account
	states := map[string]string{}
	a.Lock()
	for _, id := range ids {
		if o := a.Find(InstanceType, id); o != nil {
			states[id] = o.Str("instanceState")
		}
	}
	a.Unlock()
	if u.backend == nil {
		return states, nil
	}
	for id := range states {
		_, exists, err := u.backend.Find(ctx, id)
		if err != nil {
			return nil, err
		}
		if !exists {
			delete(states, id)
		}
	}
	return states, nil
}

// IsStopped reports whether an instance is stopped.
func IsStopped(o *store.Object) bool { return o.Str("instanceState") == stateStopped }
