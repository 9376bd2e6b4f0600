package state

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Marks in the state on resources that were not read since a run was interrupted. The engine updates a marked resource.
const (
	// interruptedCreate marks a resource that was imported into the state.
	interruptedCreate = "its creation was interrupted"
	// interruptedChange marks a resource that a run had begun to change or to delete.
	interruptedChange = "a change of it was interrupted"
	// earlierCreate and earlierChange are these marks in states that drivers until November 2026 wrote. They are data:
	// other words would not be found.
	earlierCreate = "its making was cut off"
	earlierChange = "a change of it was cut off"
)

// IsInterruptedCreate reports whether a resource is imported and was not read since.
func IsInterruptedCreate(r Resource) bool {
	return slices.Contains(r.InitErrors, interruptedCreate) || slices.Contains(r.InitErrors, earlierCreate)
}

// Creating returns the resources of the pending creates, each once.
func (s State) Creating() []Resource {
	var all []Resource
	for _, op := range s.PendingOperations {
		if isCreate(op) && !slices.ContainsFunc(all, func(r Resource) bool { return r.URN == op.Resource.URN }) {
			all = append(all, op.Resource)
		}
	}
	return all
}

func isCreate(op apitype.OperationV2) bool { return op.Type == apitype.OperationTypeCreating }

// Changing returns the resources with a pending change or delete that a provider can read. Whether it was carried out
// is unknown.
func (s State) Changing() []URN {
	return s.pendingChanges("aws:", "kubernetes:")
}

// BegunSteps returns the steps on hosts with a pending change or delete. Running them again finds out what became of
// it.
func (s State) BegunSteps() []URN {
	return s.pendingChanges("command:")
}

func (s State) pendingChanges(packages ...string) []URN {
	var urns []URN
	for _, op := range s.PendingOperations {
		urn := op.Resource.URN
		exists := slices.ContainsFunc(s.Resources, func(r Resource) bool { return r.URN == urn })
		ours := slices.ContainsFunc(packages, func(p string) bool { return strings.HasPrefix(string(op.Resource.Type), p) })
		if !isCreate(op) && exists && ours && !slices.Contains(urns, urn) {
			urns = append(urns, urn)
		}
	}
	return urns
}

// Unregistered returns the join steps of workers whose node step was deleted or may be deleted. That delete takes the
// Node out of the cluster. A kubelet that goes on running registers its Node only when it starts, and the join step
// restarts it.
func (s State) Unregistered() []URN {
	registered := map[string]bool{}
	begun := s.BegunSteps()
	for _, r := range s.Resources {
		node, step, ok := HostStep(r.URN, r.Inputs)
		if ok && step == "node" && !r.Delete && !r.PendingReplacement && !slices.Contains(begun, r.URN) {
			registered[node] = true
		}
	}
	var urns []URN
	for _, r := range s.Resources {
		node, step, ok := HostStep(r.URN, r.Inputs)
		if ok && step == "join" && !r.Delete && !registered[node] {
			urns = append(urns, r.URN)
		}
	}
	return urns
}

// Unread returns the marked resources that a provider can read: an earlier run marked them and was interrupted before
// it read them.
func (s State) Unread() []URN {
	var urns []URN
	for _, r := range s.Resources {
		marked := IsInterruptedCreate(r) || slices.ContainsFunc(r.InitErrors, func(mark string) bool {
			return mark == interruptedChange || mark == earlierChange
		})
		if marked && !strings.HasPrefix(string(r.Type), "command:") {
			urns = append(urns, r.URN)
		}
	}
	return urns
}

// Knows reports whether the state has a resource of this type and id.
func (s State) Knows(typ, id string) bool {
	return slices.ContainsFunc(s.Resources, func(r Resource) bool { return string(r.Type) == typ && string(r.ID) == id })
}
