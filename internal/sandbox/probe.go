package sandbox

import "slices"

// APIAnswers reports whether a client on the internet reaches the Kubernetes API at its Elastic IP. It is false
// without a cluster.
func (s *Sandbox) APIAnswers() bool {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	machine, err := a.api()
	if err != nil {
		return false
	}
	return a.hasElasticIP(machine) && a.reachableFromOutside(machine, 6443) == nil
}

// APIRefuses reports whether the machine of the control plane answers a client on the internet and its API server does not.
func (s *Sandbox) APIRefuses() bool {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	cluster := a.find(clusterType, "cluster")
	if cluster == nil {
		return false
	}
	machine := a.find(instanceType, cluster.str("controlPlane"))
	return machine != nil && !machine.stopped() && a.hasElasticIP(machine) && a.reachableFromOutside(machine, 6443) == nil &&
		cluster.State.flag("dead")
}

func (a *account) hasElasticIP(machine *object) bool {
	return slices.ContainsFunc(a.all(eipAssociationType), func(o *object) bool { return o.Inputs.str("instanceId") == machine.ID })
}
