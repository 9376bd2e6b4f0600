package timeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/state"
)

// Plan is what a preview found.
type Plan struct {
	// Saved is the file of `pulumi preview --save-plan`. The events of a preview have no dependencies; this file has
	// those of every resource of the program.
	Saved []byte
	// Steps are the operations of the preview, in the order of its events.
	Steps []apitype.StepEventMetadata
	// State is the stack before the plan, from `pulumi stack export`. Only a plan that deletes something needs it.
	State []byte
	// Images are the ids of prepared machine images.
	Images map[string]bool
}

// Deletes reports whether the plan deletes a resource, also to replace it.
func (p Plan) Deletes() bool {
	return slices.ContainsFunc(p.Steps, func(m apitype.StepEventMetadata) bool { return isDelete(m.Op) })
}

func isDelete(op apitype.OpType) bool {
	return op == apitype.OpDelete || op == apitype.OpDeleteReplaced
}

// PredictPlan predicts how long a plan takes on AWS: its total and its critical path. Only what the plan does takes
// time. An update of a step or a release takes as long as its creation, because most scripts do most of their checks
// again; if nothing is left to do on the host, it takes less.
func PredictPlan(p Plan) (Schedule, error) {
	w, err := readPlan(p)
	if err != nil {
		return Schedule{}, fmt.Errorf("predict the plan: %w", err)
	}
	out := schedule(w.resources, w.needs, w.takes)
	// The engine deletes what it does not need before a creation after everything else.
	deletes := schedule(w.old.resources, reversed(w.old.needs), w.deletes)
	for _, span := range deletes.Critical {
		span.Start, span.End = span.Start+out.Total, span.End+out.Total
		out.Critical = append(out.Critical, span)
	}
	return Schedule{Total: out.Total + deletes.Total, Critical: out.Critical}, nil
}

// planned is the graph of a plan: a key for each resource of the program, and one for each deletion before a creation.
type planned struct {
	graph
	old graph
	// makes is how long creations and updates take.
	makes map[state.URN]time.Duration
	// gone are the deleted resources. The value is true if the deletion comes before the creation of the new one.
	gone map[state.URN]bool
	// deletion is how long the deletion of a resource of the old state takes.
	deletion func(*state.Resource) time.Duration
}

func readPlan(p Plan) (planned, error) {
	var saved struct {
		Plans map[state.URN]struct {
			Goal *apitype.GoalV1 `json:"goal"`
		} `json:"resourcePlans"`
	}
	if err := json.Unmarshal(p.Saved, &saved); err != nil {
		return planned{}, err
	}
	var resources []state.Resource
	for urn, plan := range saved.Plans {
		if goal := plan.Goal; goal != nil {
			resources = append(resources, state.Resource{URN: urn, Type: goal.Type, Custom: goal.Custom, Parent: goal.Parent,
				Provider: goal.Provider, Dependencies: goal.Dependencies, PropertyDependencies: goal.PropertyDependencies})
		}
	}
	w := planned{graph: newGraph(resources), makes: map[state.URN]time.Duration{}, gone: map[state.URN]bool{}}
	if p.Deletes() {
		old, err := readGraph(p.State)
		if err != nil {
			return planned{}, err
		}
		w.old = old
	}
	w.read(p.Steps)
	for urn, takes := range w.ofImages(p.Images) {
		if _, makes := w.makes[urn]; makes {
			w.makes[urn] = takes
		}
	}
	w.deleteEarly()
	return w, nil
}

// read reads the operations.
func (w *planned) read(steps []apitype.StepEventMetadata) {
	nodes := map[string]bool{}
	for urn, r := range w.resources {
		if r.Type == instance {
			nodes[urn.Name()] = true
		}
	}
	created := map[state.URN]bool{}
	for _, m := range steps {
		urn := state.URN(m.URN)
		if isDelete(m.Op) {
			w.gone[urn] = m.Op == apitype.OpDeleteReplaced && !created[urn]
		}
		r := w.resources[urn]
		if r == nil || m.New == nil {
			continue
		}
		if r.Inputs = m.New.Inputs; r.Type == remoteCommand {
			r.Inputs = withStep(urn, r.Inputs, nodes)
		}
		switch m.Op {
		case apitype.OpCreate, apitype.OpCreateReplacement:
			created[urn] = true
			w.makes[urn] = latencyOf(m.Type, r.Inputs).create
		case apitype.OpUpdate:
			w.makes[urn] = updateLatency(r, m)
		}
	}
	gone := func(urn state.URN) bool { _, gone := w.gone[urn]; return gone }
	for urn, r := range w.old.resources {
		r.Delete = gone(urn)
	}
	w.deletion = w.old.deletions(gone)
}

// withStep returns the inputs of a remote command. A preview does not know the text of a command that contains what a
// new machine gets, such as its address. The name of the resource says the step, and its node if it begins with one.
func withStep(urn state.URN, inputs map[string]any, nodes map[string]bool) map[string]any {
	create := text(inputs, "create")
	if line, err := stepline.Parse(create); create == "" || err == nil && line.Name != "" {
		return inputs
	}
	line := stepline.Line{Args: []string{"true"}}
	for step := range stepLatencies {
		node, ok := strings.CutSuffix("-"+urn.Name(), "-"+step)
		if ok && len(step) > len(line.Name) {
			line.Name, line.Node = step, ""
			if node = strings.TrimPrefix(node, "-"); nodes[node] {
				line.Node = node
			}
		}
	}
	return map[string]any{"create": line.Format()}
}

// updateLatency returns how long an update takes.
func updateLatency(r *state.Resource, m apitype.StepEventMetadata) time.Duration {
	created := latencyOf(m.Type, r.Inputs).create
	switch {
	case r.Type == remoteCommand || r.Type == state.ReleaseType:
		return max(created, upgradeLatency(m))
	case r.Type == instance && slices.Contains(m.Diffs, "instanceType"):
		return resize
	}
	return min(created, call)
}

// upgradeLatency returns how long a step takes that upgrades a control plane to another release, or 0.
func upgradeLatency(m apitype.StepEventMetadata) time.Duration {
	const version = "KUBERNETES_VERSION"
	after, _ := stepline.Parse(text(m.New.Inputs, "create"))
	if m.Old == nil || after.Env[version] == "" {
		return 0
	}
	before, _ := stepline.Parse(text(m.Old.Inputs, "create"))
	switch {
	case before.Env[version] == after.Env[version]:
		return 0
	case after.Name == "init":
		return upgradeFirst
	case after.Name == "join" && after.Env["MEMBER"] != "": // a member of etcd
		return upgradeOther
	}
	return 0
}

func (w planned) takes(r *state.Resource) time.Duration {
	if r.Delete {
		return w.deletion(r)
	}
	return w.makes[r.URN]
}

// deletes returns how long a deletion after the creations takes.
func (w planned) deletes(r *state.Resource) time.Duration {
	if early, gone := w.gone[r.URN]; early || !gone {
		return 0
	}
	return w.deletion(r)
}

// deleteEarly adds the deletions that come before a creation. The engine deletes a resource and what depends on it when
// the program registers the resource, so after what the new one needs.
func (w *planned) deleteEarly() {
	dependents := reversed(w.old.needs)
	for urn, r := range w.old.resources {
		if !w.gone[urn] {
			continue
		}
		key := deletionOf(urn)
		w.resources[key] = r
		w.needs[key] = slices.Clone(w.needs[w.cause(urn, map[state.URN]bool{})])
		for _, dependent := range dependents[urn] {
			if w.gone[dependent] {
				w.needs[key] = append(w.needs[key], deletionOf(dependent))
			}
		}
	}
	for urn, early := range w.gone {
		if early {
			w.needs[urn] = append(w.needs[urn], deletionOf(urn))
		}
	}
}

// cause returns the resource whose replacement deletes urn early: one that it depended on, or itself.
func (w *planned) cause(urn state.URN, seen map[state.URN]bool) state.URN {
	seen[urn] = true
	for _, need := range w.old.needs[urn] {
		if w.gone[need] && !seen[need] {
			return w.cause(need, seen)
		}
	}
	return urn
}

// deletionOf is the key of an early deletion.
func deletionOf(urn state.URN) state.URN { return "delete " + urn }
