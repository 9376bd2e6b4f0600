package timeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Measure returns the schedule of a finished run from its measured spans by URN. The critical path goes backwards
// from the span that ended last, each time to the dependency that ended last before it. On a destroy (down) the
// engine deletes in rounds, each after the whole previous round, so there any span that ended before counts as a
// dependency.
func Measure(deployment []byte, spans map[string]Span, down bool) (Schedule, error) {
	resources, needs, err := readState(deployment)
	if err != nil {
		return Schedule{}, fmt.Errorf("measure: %w", err)
	}
	spans = maps.Clone(spans)
	out := drawing{resources: resources}
	for _, urn := range slices.Sorted(maps.Keys(spans)) {
		r := resources[urn]
		if r == nil || !r.Custom || strings.HasPrefix(r.Type, "pulumi:") {
			delete(spans, urn)
			continue
		}
		out.add(r, spans[urn].Start, spans[urn].End)
	}
	seen := map[string]bool{}
	for urn := out.last; urn != "" && !seen[urn]; {
		seen[urn] = true
		out.critical(resources[urn], spans[urn].Start, spans[urn].End)
		candidates := needs[urn]
		if down {
			candidates = slices.Sorted(maps.Keys(spans))
		}
		urn = latest(candidates, spans, spans[urn].Start)
	}
	return out.finish(), nil
}

// latest returns the one of urns whose span ended last, but not after before. It is empty if none did.
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
