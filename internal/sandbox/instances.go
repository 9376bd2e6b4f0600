package sandbox

import "context"

// stateRunning and stateStopped are states of an instance, in EC2's words. A terminated instance is not in the account.
const (
	stateRunning = "running"
	stateStopped = "stopped"
)

// StopInstance stops an instance in the console, by its Name tag or the name of its node. Its disk stays. Its public
// address goes, unless it is an Elastic IP.
func (s *Sandbox) StopInstance(name string) error {
	return s.onMachine(name, func(a *account, machine *object) error {
		a.change(machine, func(_, state values) { state["instanceState"], state["publicIp"] = stateStopped, "" })
		return nil
	})
}

// StartInstance undoes StopInstance. Without an Elastic IP the instance gets another public address.
func (s *Sandbox) StartInstance(name string) error {
	return s.onMachine(name, func(a *account, machine *object) error {
		address := spread(benchmarkRange, 1<<16, machine.URN+" started", (&awsCall{account: a}).inUse(instanceType, "publicIp"))
		a.change(machine, func(_, state values) { state["instanceState"], state["publicIp"] = stateRunning, address })
		return nil
	})
}

// InstanceStates are the states of instances by id. An id that the account does not have is absent.
func (s *Sandbox) InstanceStates(ctx context.Context, ids []string) (map[string]string, error) {
	a := s.account
	states := map[string]string{}
	a.mu.Lock()
	for _, id := range ids {
		if o := a.find(instanceType, id); o != nil {
			states[id] = o.str("instanceState")
		}
	}
	a.mu.Unlock()
	if s.options.Backend == nil {
		return states, nil
	}
	for id := range states {
		_, exists, err := s.options.Backend.Find(ctx, id)
		if err != nil {
			return nil, err
		}
		if !exists {
			delete(states, id)
		}
	}
	return states, nil
}

// stopped reports whether an instance does not run.
func (o *object) stopped() bool { return o.str("instanceState") == stateStopped }

// NotReady are the nodes of the cluster that are not Ready, each with the reason: "worker-1 is not Ready: its instance is
// stopped". Nil when the API does not answer.
func (s *Sandbox) NotReady() []string {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.api(); err != nil {
		return nil
	}
	var all []string
	for _, node := range a.all("k8s/Node") {
		if why := a.notReady(node.str("name")); why != "" {
			all = append(all, node.str("name")+" is not Ready: "+why)
		}
	}
	return all
}
