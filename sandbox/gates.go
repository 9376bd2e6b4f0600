package sandbox

import (
	"fmt"
	"strings"
)

// The release gates: steps whose undoing removes what users and GitOps made, while the controller that cleans up behind
// it still lives. A controller that is dead is not waited for longer than a while; then finalizers are taken away and
// what is in AWS is left to the sweep.

func (s *step) gate() (string, error) {
	_, err := s.api()
	return "armed", err
}

func (s *step) release() (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	switch subject := s.env["RELEASE"]; subject {
	case "applications":
		s.clear(func(o *object) bool { return o.Type == "k8s/Application" })
	case "load-balancers":
		s.clear(isBalanced)
	case "resources":
		kinds := map[string]bool{}
		for _, plural := range strings.Fields(s.env["RESOURCES"]) {
			kinds[pluralKinds[plural]] = true
		}
		s.clear(func(o *object) bool { return kinds[strings.TrimPrefix(o.Type, "k8s/")] })
	case "volumes":
		if s.env["VOLUMES"] == "keep" {
			for _, pvc := range s.all("k8s/" + claimKind) {
				s.change(pvc, func(_, state values) { state["retain"] = true })
			}
			return "volumes are kept", nil
		}
		s.clear(func(o *object) bool { return o.Type == "k8s/"+claimKind })
	default:
		return "", fmt.Errorf("the sandbox does not know a release gate for %q: add it to sandbox/gates.go", subject)
	}
	return "released", nil
}

// pluralKinds are the custom resources that gates name.
var pluralKinds = map[string]string{
	"rabbitmqclusters.rabbitmq.com": "RabbitmqCluster", "clusters.postgresql.cnpg.io": "Cluster", "applications.argoproj.io": "Application",
}

// clear deletes objects, by force where no controller answers.
func (s *step) clear(match func(*object) bool) {
	for _, o := range s.where(match) {
		if s.find(o.Type, o.ID) == nil { // went with an owner
			continue
		}
		switch err := s.kubeDelete(o); {
		case err == nil:
		case o.Type == "k8s/Application": // without its finalizer it goes alone, and leaves what it deployed
			s.remove(o)
		default:
			s.removeWithClaims(o)
		}
	}
}
