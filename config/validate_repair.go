package config

// Limits of repair.notReadyMinutes. Kubernetes evicts the pods of a node after five minutes without it, so most of them
// run elsewhere before its machine is replaced.
const (
	minNotReady = 6
	maxNotReady = 1440
)

// repairValidator validates when a worker is replaced.
type repairValidator struct{ part }

func (v repairValidator) validate() {
	v.between("repair.notReadyMinutes", v.c.Repair.NotReadyMinutes, bounds{minNotReady, maxNotReady,
		"a restart takes a few minutes, and Kubernetes starts the pods elsewhere after five", 15})
	v.between("repair.maxUnhealthyPercent", v.c.Repair.MaxUnhealthyPercent, bounds{1, 100,
		"the percentage of the workers above which nothing is replaced", 40})
}
