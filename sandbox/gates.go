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

// runLocal plays the local commands of the program against the model: the sweep. Other texts do nothing.
func (p *commandProvider) runLocal(in values, which string) (stdout, stderr string, err error) {
	words := strings.Fields(in.str(which))
	options := map[string]string{}
	for i, w := range words {
		if strings.HasPrefix(w, "--") && i+1 < len(words) {
			options[w[2:]] = words[i+1]
		}
	}
	if !contains(words, "./sweep") {
		return "", "", nil
	}
	a := p.sandbox.account
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sweep(options["cluster"], options["vpc"], options["volumes"] == "keep"), "", nil
}

// sweep removes what controllers of the cluster made, by tag, and says what it found. What Pulumi made has a URN and is
// never touched; nor are things of another cluster.
func (a *account) sweep(cluster, vpc string, keepVolumes bool) string {
	found := a.where(func(o *object) bool {
		if o.URN != "" || !strings.HasPrefix(o.Type, "aws:") {
			return false
		}
		tags := o.tags()
		mine := tags["elbv2.k8s.aws/cluster"] == cluster || tags[clusterTag+cluster] == "owned"
		if lb := a.find(loadBalancerType, o.State.str("madeFor")); lb != nil {
			mine = mine || lb.tags()["elbv2.k8s.aws/cluster"] == cluster
		}
		if keepVolumes && o.Type == volumeType {
			return false
		}
		return mine && (a.vpcOf(o) == vpc || o.Type == volumeType)
	})
	lines := []string{fmt.Sprintf("swept cluster %s: %d found, %d removed, 0 left", cluster, len(found), len(found))}
	for _, o := range found {
		lines = append(lines, "removed "+o.title())
		a.remove(o)
	}
	return strings.Join(lines, "\n")
}
