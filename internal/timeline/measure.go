package timeline

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"kubeadm-aws/internal/state"
)

// Measure returns the schedule of a finished run from its measured spans by URN. The critical path goes backwards
// from the span that ended last, each time to the dependency that ended last before it. On a destroy (down) the
// engine deletes in rounds, each after the whole previous round, so there any span that ended before counts as a
// dependency.
func Measure(exported []byte, spans map[state.URN]Span, down bool) (Schedule, error) {
	g, err := readGraph(exported)
	if err != nil {
		return Schedule{}, fmt.Errorf("measure: %w", err)
	}
	spans = maps.Clone(spans)
	var out drawing
	for _, urn := range slices.Sorted(maps.Keys(spans)) {
		r := g.resources[urn]
		if r == nil || !state.IsCounted(r.Type, r.Custom) {
			delete(spans, urn)
			continue
		}
		out.add(urn, r, spans[urn].Start, spans[urn].End)
	}
	seen := map[state.URN]bool{}
	for urn := out.last; urn != "" && !seen[urn]; {
		seen[urn] = true
		out.critical(g.resources[urn], spans[urn].Start, spans[urn].End)
		candidates := g.needs[urn]
		if down {
			candidates = slices.Sorted(maps.Keys(spans))
		}
		urn = latest(candidates, spans, spans[urn].Start)
	}
	return out.finish(), nil
}

// latest returns the one of urns whose span ended last, but not after before. It is empty if none did.
func latest(urns []state.URN, spans map[state.URN]Span, before time.Duration) state.URN {
	var best state.URN
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
