package state

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// HasCluster reports whether the state has anything inside the cluster, made or pending.
func (s State) HasCluster() bool {
	pending := func(op apitype.OperationV2) bool { return isInside(op.Resource) }
	return len(s.InsideCluster()) > 0 || slices.ContainsFunc(s.PendingOperations, pending)
}

// InsideCluster returns the resources that only a running API can delete: objects and releases, and steps whose
// delete runs although their machine ends.
func (s State) InsideCluster() map[URN]bool {
	inside := map[URN]bool{}
	for _, r := range s.Resources {
		if isInside(r) {
			inside[r.URN] = true
		}
	}
	return inside
}

func isInside(r Resource) bool {
	object := strings.HasPrefix(string(r.Type), "kubernetes:") && r.Custom
	step := r.Type == "command:remote:Command" && r.DeletedWith == "" && r.Inputs["delete"] != nil
	return object || step
}

// Without returns the state without some resources, their pending operations and every reference to them.
func (s State) Without(gone map[URN]bool) State {
	isGone := func(urn URN) bool { return gone[urn] }
	s.Resources = slices.DeleteFunc(slices.Clone(s.Resources), func(r Resource) bool { return gone[r.URN] })
	s.PendingOperations = slices.DeleteFunc(slices.Clone(s.PendingOperations),
		func(op apitype.OperationV2) bool { return gone[op.Resource.URN] })
	for i := range s.Resources {
		r := &s.Resources[i]
		r.Dependencies = slices.DeleteFunc(slices.Clone(r.Dependencies), isGone)
		properties := map[resource.PropertyKey][]URN{}
		for name, urns := range r.PropertyDependencies {
			properties[name] = slices.DeleteFunc(slices.Clone(urns), isGone)
		}
		r.PropertyDependencies = properties
		if gone[r.DeletedWith] {
			r.DeletedWith = ""
		}
		if gone[r.Parent] {
			r.Parent = ""
		}
	}
	return s
}
