package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// Measured is the schedule of a run that really took place: spans by URN, as they were seen. The critical path goes back
// from the span that ended last, each time to the need that ended last before it. On a destroy (down) the engine deletes
// in rounds, each after the whole round before it, so there any span that ended before counts as needed.
func Measured(deployment []byte, spans map[string]Span, down bool) (Schedule, error) {
	var state struct {
		Deployment struct{ Resources []stateResource }
	}
	if err := json.Unmarshal(deployment, &state); err != nil {
		return Schedule{}, fmt.Errorf("measure: the deployment is no stack export: %w", err)
	}
	resources := map[string]*stateResource{}
	children := map[string][]string{}
	for i := range state.Deployment.Resources {
		r := &state.Deployment.Resources[i]
		resources[r.URN] = r
		children[r.Parent] = append(children[r.Parent], r.URN)
	}
	needs := map[string][]string{}
	for urn, r := range resources {
		needs[urn] = r.needs(resources, children)
	}
	spans = maps.Clone(spans)
	out := Schedule{}
	last := ""
	phases := map[string]*Span{}
	for _, urn := range sortedKeys(spans) {
		r := resources[urn]
		if r == nil || !r.Custom || strings.HasPrefix(r.Type, "pulumi:") {
			delete(spans, urn)
			continue
		}
		span := spans[urn]
		span.Name, span.URN = spanName(r), urn
		out.Spans = append(out.Spans, span)
		if span.End > out.Total {
			out.Total, last = span.End, urn
		}
		name := phaseOf(r, resources)
		if p := phases[name]; p == nil {
			phases[name] = &Span{Name: name, Start: span.Start, End: span.End}
		} else {
			p.Start, p.End = min(p.Start, span.Start), max(p.End, span.End)
		}
	}
	sort.SliceStable(out.Spans, func(i, j int) bool { return out.Spans[i].Start < out.Spans[j].Start })
	for seen := map[string]bool{}; last != "" && !seen[last]; {
		seen[last] = true
		candidates := needs[last]
		if down {
			candidates = sortedKeys(spans)
		}
		span := spans[last]
		span.Name, span.URN = spanName(resources[last]), last
		out.Critical = append(out.Critical, span)
		last = latest(candidates, spans, span.Start)
	}
	slices.Reverse(out.Critical)
	for _, name := range sortedKeys(phases) {
		out.Phases = append(out.Phases, *phases[name])
	}
	sort.SliceStable(out.Phases, func(i, j int) bool { return out.Phases[i].Start < out.Phases[j].Start })
	return out, nil
}

// latest is the one of urns whose span ended last, but not after before; empty when none did.
func latest(urns []string, spans map[string]Span, before time.Duration) string {
	best := ""
	for _, urn := range urns {
		s, ran := spans[urn]
		if !ran || s.End > before {
			continue
		}
		if best == "" || s.End > spans[best].End || s.End == spans[best].End && urn < best {
			best = urn
		}
	}
	return best
}
