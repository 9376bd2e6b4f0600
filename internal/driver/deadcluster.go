package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// findDead decides whether destroy has to go on without the cluster: because its machines have ended, or because a person
// said so by name. A cluster that only cannot be reached from here is not dead, and destroy is refused: what controllers
// made would never be released in order. --yes does not answer this question.
func (s *session) findDead(ctx context.Context, p *place, state deployment) (dead bool, err error) {
	outputs, err := p.Outputs(ctx)
	if err != nil {
		return false, s.engine(err, newWatcher(s.log, nil, false))
	}
	name, _ := outputs["cluster"].Value.(string)
	if name == "" {
		name = s.cfg.Cluster.Name
	}
	if s.op.without != "" && s.op.without != name {
		return false, fail(exitUsage, "To go on without the cluster: --without-cluster "+name,
			"--without-cluster %s: the cluster of stack %s is %s; nothing was touched", s.op.without, s.op.stack, name)
	}
	if !reachedIntoCluster(state) {
		return false, nil
	}
	contact, why, err := s.reach(ctx, p)
	if err != nil || contact == answers {
		return false, err
	}
	if s.op.without != "" {
		s.tellWithout(fmt.Sprintf("The Kubernetes API does not answer (%s), and --without-cluster says to go on without it.", why))
		return true, nil
	}
	by := "If the cluster is lost and nothing in it can be cleaned up: --without-cluster " + name
	if contact == forbids {
		return false, fail(exitUnreachable, "Run up first, it renews the certificate: go run ./cmd/kubeadm-aws up --stack "+s.op.stack+" --cloud "+s.op.cloud+". "+by,
			"the Kubernetes API is alive and refuses the kubeconfig of the stack (%s); nothing was touched", why)
	}
	machines, address, err := s.machines(ctx, p, state, outputs)
	if err != nil {
		return false, fail(exitUnreachable, "With credentials that may list instances, run this again. "+by,
			"the Kubernetes API does not answer (%s), and the account could not be asked whether its machine exists: %w; nothing was touched", why, err)
	}
	machines = slices.DeleteFunc(machines, func(m machine) bool { return !m.controlPlane })
	living := slices.DeleteFunc(slices.Clone(machines), machine.ended)
	if len(living) == 0 {
		s.tellWithout(fmt.Sprintf("The Kubernetes API does not answer, because the machine of the control plane is gone: %s.", listedMachines(machines)))
		return true, nil
	}
	if err := s.refuseStopped(living); err != nil {
		err.(*failure).next += " " + by
		return false, err
	}
	return false, fail(exitUnreachable, s.lookAt(contact, living, address)+"\n"+by,
		"the Kubernetes API does not answer (%s), and its machine runs: %s. A cluster that cannot be reached from here is not dead; nothing was touched",
		why, listedMachines(living))
}

// lookAt says why a running cluster may not answer here.
func (s *session) lookAt(c contact, living []machine, address string) string {
	if c == refuses {
		return "Look at: the API server on the machine (sudo crictl ps -a, journalctl -u kubelet), its disk (df -h), its certificates (sudo kubeadm certs check-expiration)."
	}
	own := "is the address that you come from in access.adminCidrs"
	if address != "" {
		own = fmt.Sprintf("you come from %s, which is none of what the security group admits: %s (access.adminCidrs)", address, strings.Join(living[0].admits, ", "))
		if living[0].admitted(address) {
			own = fmt.Sprintf("you come from %s, which the security group admits, so look at a proxy or a firewall on the way", address)
		}
	}
	return "Look at: " + own + "; does the name or address of the API still point to the machine."
}

func (s *session) tellWithout(why string) {
	s.log.emit(event{Kind: kindLog, Severity: "warning", Message: why + " What is inside the cluster is taken out of the state; " +
		"it ends with the nodes. Load balancers, volumes and records that controllers made are left to the sweep."})
}

func listedMachines(machines []machine) string {
	if len(machines) == 0 {
		return "the state holds none"
	}
	return strings.Join(mapped(machines, func(m machine) string { return m.String() + " is " + m.state }), ", ")
}

// dropCluster takes what is inside the cluster out of the state: a Helm release of a dead cluster cannot be deleted at all.
func (s *session) dropCluster(ctx context.Context, p *place) error {
	exported, err := p.export(ctx)
	if err != nil {
		return s.engine(err, newWatcher(s.log, nil, false))
	}
	state, err := parseDeployment(exported)
	if err != nil {
		return err
	}
	without, err := withoutResources(exported, insideCluster(state))
	if err != nil {
		return fail(exitFailed, "", "%w", err)
	}
	return s.replaceState(ctx, p, without)
}

// reachedIntoCluster reports whether the state has anything inside the cluster, made or in the making.
func reachedIntoCluster(d deployment) bool {
	inside := insideCluster(d)
	for _, op := range d.Pending {
		if isInside(op.Resource) {
			inside[op.Resource.URN] = true
		}
	}
	return len(inside) > 0
}

// insideCluster are the resources that only a living API can delete: objects and releases, and steps that act when they are
// removed and are not excused by the end of their machine.
func insideCluster(d deployment) map[string]bool {
	inside := map[string]bool{}
	for _, r := range d.Resources {
		if isInside(r) {
			inside[r.URN] = true
		}
	}
	return inside
}

func isInside(r stateResource) bool {
	object := strings.HasPrefix(r.Type, "kubernetes:") && r.Custom
	step := r.Type == "command:remote:Command" && r.DeletedWith == "" && r.Inputs["delete"] != nil
	return object || step
}

// withoutResources removes resources from an exported state, and every reference to them.
func withoutResources(exported []byte, gone map[string]bool) ([]byte, error) {
	state, err := decodeState(exported)
	if err != nil {
		return nil, err
	}
	deployment, _ := state["deployment"].(map[string]any)
	resources, _ := deployment["resources"].([]any)
	var kept []any
	for _, entry := range resources {
		r, _ := entry.(map[string]any)
		if urn, _ := r["urn"].(string); gone[urn] {
			continue
		}
		dropReferences(r, gone)
		kept = append(kept, r)
	}
	if deployment != nil {
		deployment["resources"] = kept
	}
	pending, _ := deployment["pending_operations"].([]any)
	var still []any
	for _, entry := range pending {
		operation, _ := entry.(map[string]any)
		r, _ := operation["resource"].(map[string]any)
		if urn, _ := r["urn"].(string); !gone[urn] {
			still = append(still, operation)
		}
	}
	if pending != nil {
		deployment["pending_operations"] = still
	}
	return json.Marshal(state)
}

// dropReferences removes URNs from the lists in which a resource names others.
func dropReferences(r map[string]any, gone map[string]bool) {
	without := func(list []any) []any {
		kept := []any{}
		for _, urn := range list {
			if text, _ := urn.(string); !gone[text] {
				kept = append(kept, urn)
			}
		}
		return kept
	}
	if list, ok := r["dependencies"].([]any); ok {
		r["dependencies"] = without(list)
	}
	if by, ok := r["propertyDependencies"].(map[string]any); ok {
		for property, urns := range by {
			if list, ok := urns.([]any); ok {
				by[property] = without(list)
			}
		}
	}
	for _, key := range []string{"deletedWith", "parent"} {
		if urn, _ := r[key].(string); gone[urn] {
			delete(r, key)
		}
	}
}
