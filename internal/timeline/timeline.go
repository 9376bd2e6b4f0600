// Package timeline predicts how long a stack takes on AWS, and computes the schedule of a finished run.
package timeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/state"
)

// Timeline is the predicted duration of a stack on AWS, from the dependencies in its state and the latency table.
type Timeline struct {
	Up, Destroy Schedule
	// Ready is when all nodes are Ready during up, or zero if the stack has no such step.
	Ready time.Duration
}

// Predict computes the timeline of a stack from `pulumi stack export`. images are the ids of prepared machine images.
func Predict(exported []byte, images map[string]bool) (Timeline, error) {
	g, err := readGraph(exported)
	if err != nil {
		return Timeline{}, fmt.Errorf("predict: %w", err)
	}
	var t Timeline
	shorter := g.ofImages(images)
	t.Up = schedule(g.resources, g.needs, func(r *state.Resource) time.Duration {
		if takes, is := shorter[r.URN]; is {
			return takes
		}
		return latencyOf(string(r.Type), r.Inputs).create
	})
	t.Destroy = schedule(g.resources, reversed(g.needs), g.deletions(func(urn state.URN) bool {
		return g.resources[urn] != nil
	}))
	for _, s := range t.Up.Spans {
		if r := g.resources[s.URN]; r.Type == remoteCommand {
			if step, _ := stepline.Parse(text(r.Inputs, "create")); step.Name == "nodes-ready" {
				t.Ready = s.End
			}
		}
	}
	return t, nil
}

// deletions returns how long the deletion of a resource takes, if those that gone reports are deleted.
func (g graph) deletions(gone func(state.URN) bool) func(*state.Resource) time.Duration {
	with := map[state.URN]time.Duration{} // the slowest resource that is deleted with a resource
	for urn, r := range g.resources {
		if gone(urn) {
			with[r.DeletedWith] = max(with[r.DeletedWith], latencyOf(string(r.Type), r.Inputs).delete)
		}
	}
	return func(r *state.Resource) time.Duration {
		alone := latencyOf(string(r.Type), r.Inputs).delete
		switch {
		case !gone(r.URN) || r.RetainOnDelete || gone(r.DeletedWith):
			return 0
		case r.Type != remoteCommand:
			return alone
		case text(r.Inputs, "delete") == "":
			return 0
		}
		return max(alone, with[r.URN]) // a release gate deletes its objects; with a machine they just end
	}
}

func reversed(needs map[state.URN][]state.URN) map[state.URN][]state.URN {
	out := map[state.URN][]state.URN{}
	for urn, list := range needs {
		for _, need := range list {
			out[need] = append(out[need], urn)
		}
	}
	return out
}

// schedule starts every resource as soon as its dependencies have ended.
func schedule(resources map[state.URN]*state.Resource, needs map[state.URN][]state.URN,
	takes func(*state.Resource) time.Duration) Schedule {
	ends := map[state.URN]time.Duration{}
	waitsFor := map[state.URN]state.URN{} // the dependency that ended last
	var end func(urn state.URN) time.Duration
	end = func(urn state.URN) time.Duration {
		if e, known := ends[urn]; known {
			return e
		}
		ends[urn] = 0 // a state has no cycles; if one appears, it must not hang the prediction
		var start time.Duration
		for _, need := range needs[urn] {
			if e := end(need); e > start || e == start && e > 0 && need < waitsFor[urn] {
				start, waitsFor[urn] = e, need
			}
		}
		ends[urn] = start + takes(resources[urn])
		return ends[urn]
	}
	var out drawing
	for _, urn := range slices.Sorted(maps.Keys(resources)) {
		if r := resources[urn]; r.Custom && takes(r) > 0 {
			out.add(urn, r, end(urn)-takes(r), end(urn))
		}
	}
	for urn := out.last; urn != ""; urn = waitsFor[urn] {
		if r := resources[urn]; takes(r) > 0 {
			out.critical(r, ends[urn]-takes(r), ends[urn])
		}
	}
	return out.finish()
}

// String returns the timeline for people: totals, phases and the critical path.
func (t Timeline) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "predicted on AWS: %s", clock(t.Up.Total))
	if t.Ready > 0 {
		fmt.Fprintf(&b, " (nodes Ready after %s, add-ons %s later)", clock(t.Ready), clock(t.Up.Total-t.Ready))
	}
	b.WriteString("\n")
	b.WriteString(t.Up.String())
	fmt.Fprintf(&b, "predicted destroy: %s\n", clock(t.Destroy.Total))
	return b.String()
}
