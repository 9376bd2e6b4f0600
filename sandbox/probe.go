package sandbox

// APIAnswers reports whether the simulated cluster has an API that answers. Without a cluster there is none.
func (s *Sandbox) APIAnswers() bool {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	cluster := a.find(clusterType, "cluster")
	return cluster != nil && !cluster.State.flag("dead")
}
