package sandbox

import "slices"

// APIAnswers reports whether a client on the internet reaches the Kubernetes API at its Elastic IP. Without a cluster there
// is none.
func (s *Sandbox) APIAnswers() bool {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	machine, err := a.api()
	if err != nil {
		return false
	}
	addressed := slices.ContainsFunc(a.all(eipAssociationType), func(o *object) bool { return o.Inputs.str("instanceId") == machine.ID })
	return addressed && a.reachableFromOutside(machine, 6443) == nil
}
