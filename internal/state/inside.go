package state

import (
	"encoding/json"
	"strings"
)

// ReachedIntoCluster reports whether the state has anything inside the cluster, made or in the making.
func ReachedIntoCluster(d State) bool {
	inside := InsideCluster(d)
	for _, op := range d.Pending {
		if isInside(op.Resource) {
			inside[op.Resource.URN] = true
		}
	}
	return len(inside) > 0
}

// InsideCluster are the resources that only a living API can delete: objects and releases, and steps that act when they are
// removed and are not excused by the end of their machine.
func InsideCluster(d State) map[string]bool {
	inside := map[string]bool{}
	for _, r := range d.Resources {
		if isInside(r) {
			inside[r.URN] = true
		}
	}
	return inside
}

func isInside(r Resource) bool {
	object := strings.HasPrefix(r.Type, "kubernetes:") && r.Custom
	step := r.Type == "command:remote:Command" && r.DeletedWith == "" && r.Inputs["delete"] != nil
	return object || step
}

// WithoutResources removes resources from an exported state, and every reference to them.
func WithoutResources(exported []byte, gone map[string]bool) ([]byte, error) {
	state, err := decode(exported)
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
