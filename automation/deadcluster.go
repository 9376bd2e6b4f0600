package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	check "kubeadm-aws/automation/verify"
)

// How often and how long apart the API is asked before it counts as dead.
const (
	askTimes = 5
	askAfter = 5 * time.Second
)

// forgetDeadCluster takes what is inside the cluster out of the state when the Kubernetes API does not answer: a Helm
// release can then not be deleted at all, and every other object dies with its nodes. What controllers made in AWS is
// the sweep's, which needs no cluster.
func (s *session) forgetDeadCluster(ctx context.Context, p *place, exported []byte, state deployment) error {
	inside := insideCluster(state)
	if len(inside) == 0 {
		return nil
	}
	why, err := s.clusterDead(ctx, p)
	if err != nil || why == "" {
		return err
	}
	s.log.emit(event{Kind: kindLog, Severity: "warning", Message: fmt.Sprintf(
		"The Kubernetes API does not answer (%s). The %d resources inside the cluster are taken out of the state, because nobody can delete them; "+
			"they end with its nodes. Load balancers, volumes and records that controllers made are left to the sweep.", why, len(inside))})
	if err := s.confirm("Go on without the cluster?"); err != nil {
		return err
	}
	without, err := withoutResources(exported, inside)
	if err != nil {
		return fail(exitFailed, "", "%w", err)
	}
	return s.replaceState(ctx, p, without)
}

// insideCluster are the resources that only a living API can delete: objects and releases, and steps that act when they are
// removed and are not excused by the end of their machine.
func insideCluster(d deployment) map[string]bool {
	inside := map[string]bool{}
	for _, r := range d.Resources {
		object := strings.HasPrefix(r.Type, "kubernetes:") && r.Custom
		step := r.Type == "command:remote:Command" && r.DeletedWith == "" && r.Inputs["delete"] != nil
		if object || step {
			inside[r.URN] = true
		}
	}
	return inside
}

// clusterDead says why the API counts as dead; empty when it answers.
func (s *session) clusterDead(ctx context.Context, p *place) (string, error) {
	if s.op.cloud == cloudSandbox {
		if p.sandbox.APIAnswers() {
			return "", nil
		}
		return "in the model", nil
	}
	exported, err := p.Outputs(ctx)
	if err != nil {
		return "", s.engine(err, newWatcher(s.log, nil, false))
	}
	kubeconfig, _ := exported["kubeconfig"].Value.(string)
	if kubeconfig == "" {
		return "the state holds no kubeconfig", nil
	}
	api, err := check.Open([]byte(kubeconfig))
	if err != nil {
		return err.Error(), nil
	}
	ctx, stop := s.cli.until(ctx)
	defer stop()
	for try := 1; ; try++ {
		err := api.Ready(ctx)
		if err == nil {
			return "", nil
		}
		if s.cli.Stopped() {
			return "", fail(exitInterrupted, "", "destroy was interrupted; nothing was touched")
		}
		if try == askTimes {
			return err.Error(), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(askAfter):
		}
	}
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
