package sandbox

import (
	"fmt"
	"strings"

	"kubeadm-aws/internal/sandbox/store"
)

// The release gates: steps whose delete removes what users and GitOps created, while the controller that cleans up in AWS
// still runs. The wait for a dead controller has a time limit; then the gate removes the finalizers and leaves the
// resources in AWS to the sweep.

// hold is the create of a gate and removes nothing. The gate of volumes sets the reclaim policy of existing volumes.
func (s *step) hold() (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	if s.env["RELEASE"] == "volumes" {
		if s.env["VOLUMES"] == "keep" {
			volumes{s.kubeCluster}.setReclaimPolicy(retain, "")
		} else {
			volumes{s.kubeCluster}.setReclaimPolicy(reclaim, "gp3")
		}
	}
	return "holding", nil
}

// password asks a service of the add-ons for a password. The model has no accounts.
func (s *step) password() (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	return "unchanged", nil
}

// backupCredentials takes a role and writes a Secret that no part of the model reads.
func (s *step) backupCredentials() (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	return "credentials", nil
}

// rabbitmqBackup installs or removes a timer, which asks nothing of the cluster until it is due.
func (s *step) rabbitmqBackup() (string, error) { return "", nil }

func (s *step) release() (string, error) {
	if _, err := s.api(); err != nil {
		return "", err
	}
	switch subject := s.env["RELEASE"]; subject {
	case "applications":
		s.clear(func(o *store.Object) bool { return o.Type == "k8s/Application" })
	case "load-balancers":
		s.clear(isBalanced)
	case "resources":
		for _, plural := range strings.Fields(s.env["RESOURCES"]) {
			kind, known := pluralKinds[plural]
			if !known {
				return "", fmt.Errorf("the sandbox does not know the custom resource %q: add it to sandbox/gates.go", plural)
			}
			s.clear(func(o *store.Object) bool { return o.Type == "k8s/"+kind })
		}
	case "volumes":
		policy := reclaim
		if s.env["VOLUMES"] == "keep" {
			policy = retain
		}
		volumes{s.kubeCluster}.setReclaimPolicy(policy, "")
		s.clear(func(o *store.Object) bool { return o.Type == "k8s/"+claimKind })
	default:
		return "", fmt.Errorf("the sandbox does not know a release gate for %q: add it to sandbox/gates.go", subject)
	}
	return "released", nil
}

// pluralKinds are the custom resources that gates name.
var pluralKinds = map[string]string{
	"rabbitmqclusters.rabbitmq.com": "RabbitmqCluster",
	"clusters.postgresql.cnpg.io":   "Cluster", "databases.postgresql.cnpg.io": "Database",
	"publications.postgresql.cnpg.io": "Publication", "subscriptions.postgresql.cnpg.io": "Subscription",
}

// clear deletes objects, by force where no controller answers.
func (s *step) clear(match func(*store.Object) bool) {
	for _, o := range s.Where(match) {
		if s.Find(o.Type, o.ID) == nil { // went with an owner
			continue
		}
		if err := s.kubeDelete(o); err != nil {
			s.removeWithClaims(o)
		}
	}
}
