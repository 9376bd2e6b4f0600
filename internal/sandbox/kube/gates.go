package kube

import (
	"fmt"
	"strings"

	"kubeadm-aws/internal/sandbox/store"
)

// This file models the release gates: steps whose delete removes what users and GitOps created, while the controller
// that cleans up in AWS still runs. The wait for a dead controller has a time limit; then the gate removes the
// finalizers and leaves the resources in AWS to the sweep.

// gate is the step of a release gate.
type gate struct{ *step }

// hold is the create of a gate and removes nothing. The gate of volumes sets the reclaim policy of existing volumes.
func (g gate) hold() (string, error) {
	if _, err := g.api(); err != nil {
		return "", err
	}
	if g.env["RELEASE"] == "volumes" {
		if g.env["VOLUMES"] == "keep" {
			volumes{g.Cluster}.setReclaimPolicy(retain, "")
		} else {
			volumes{g.Cluster}.setReclaimPolicy(reclaim, "gp3")
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

// rabbitmqBackup installs or removes a timer, which does not call the cluster until it is due.
func rabbitmqBackup(*step) (string, error) { return "", nil }

// release is the delete of a gate. It removes the objects of the gate's subject.
func (g gate) release() (string, error) {
	if _, err := g.api(); err != nil {
		return "", err
	}
	switch subject := g.env["RELEASE"]; subject {
	case "applications":
		g.clear(func(o *store.Object) bool { return o.Type == "k8s/Application" })
	case "load-balancers":
		g.clear(isBalanced)
	case "resources":
		for _, plural := range strings.Fields(g.env["RESOURCES"]) {
			kind, known := pluralKinds[plural]
			if !known {
				return "", fmt.Errorf("the sandbox does not know the custom resource %q: add it to internal/sandbox/kube/gates.go",
					plural)
			}
			g.clear(func(o *store.Object) bool { return o.Type == "k8s/"+kind })
		}
	case "volumes":
		policy := reclaim
		if g.env["VOLUMES"] == "keep" {
			policy = retain
		}
		volumes{g.Cluster}.setReclaimPolicy(policy, "")
		g.clear(func(o *store.Object) bool { return o.Type == "k8s/"+claimKind })
	default:
		return "", fmt.Errorf("the sandbox does not know a release gate for %q: add it to internal/sandbox/kube/gates.go",
			subject)
	}
	return "released", nil
}

// pluralKinds are the kinds of the custom resources that gates name, by the name of the definition.
var pluralKinds = map[string]string{
	"rabbitmqclusters.rabbitmq.com": "RabbitmqCluster",
	"clusters.postgresql.cnpg.io":   "Cluster", "databases.postgresql.cnpg.io": "Database",
	"publications.postgresql.cnpg.io": "Publication", "subscriptions.postgresql.cnpg.io": "Subscription",
}

// clear deletes objects. If no controller removes the finalizer of an object, clear removes the object without it.
func (g gate) clear(match func(*store.Object) bool) {
	for _, o := range g.Where(match) {
		if g.Find(o.Type, o.ID) == nil { // deleted with its owner
			continue
		}
		if err := g.delete(o); err != nil {
			g.removeWithClaims(o)
		}
	}
}
