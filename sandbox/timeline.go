package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// Timeline is what a stack would take on AWS, by the dependencies in its state and the latency table.
type Timeline struct {
	Up, Destroy Schedule
	// Ready is when all nodes are Ready during up; zero when the stack has no such step.
	Ready time.Duration
}

// Schedule is one run: every resource as early as its dependencies let it be.
type Schedule struct {
	Total time.Duration
	// Spans are ordered by start, then name. Resources that take no time are not among them.
	Spans []Span
	// Critical is the chain of spans that decides the total, in order.
	Critical []Span
	// Phases are infra, cluster, add-ons: from the first start to the last end of their resources.
	Phases []Span
}

// Span is the time of one resource, counted from the beginning of the run.
type Span struct {
	// Name is for people: the resource's name and what it is. URN is empty for a phase.
	Name, URN  string
	Start, End time.Duration
}

// stateResource is the part of a resource in an exported state that decides when it is made.
type stateResource struct {
	URN, Type, Parent, Provider, DeletedWith string
	Custom, RetainOnDelete                   bool
	Dependencies                             []string
	PropertyDependencies                     map[string][]string
	Inputs                                   values
}

// Predict computes the timeline of a stack from `pulumi stack export`.
func Predict(deployment []byte) (Timeline, error) {
	var state struct {
		Deployment struct{ Resources []stateResource }
	}
	if err := json.Unmarshal(deployment, &state); err != nil {
		return Timeline{}, fmt.Errorf("predict: the deployment is no stack export: %w", err)
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
	var t Timeline
	t.Up = schedule(resources, needs, func(r *stateResource) time.Duration { return latencyOf(r.Type, r.Inputs).create })
	t.Destroy = schedule(resources, reversed(needs), func(r *stateResource) time.Duration {
		if r.RetainOnDelete || resources[r.DeletedWith] != nil {
			return 0
		}
		if r.Type == remoteType && r.Inputs.str("delete") == "" {
			return 0
		}
		return latencyOf(r.Type, r.Inputs).delete
	})
	for _, s := range t.Up.Spans {
		if r := resources[s.URN]; r.Type == remoteType {
			if name, _, _ := parseStep(r.Inputs.str("create")); name == "nodes-ready" {
				t.Ready = s.End
			}
		}
	}
	return t, nil
}

// needs are the resources without which r cannot be made. A component stands for everything in it.
func (r *stateResource) needs(resources map[string]*stateResource, children map[string][]string) []string {
	named := slices.Clone(r.Dependencies)
	for _, list := range r.PropertyDependencies {
		named = append(named, list...)
	}
	if provider := strings.LastIndex(r.Provider, "::"); provider > 0 {
		named = append(named, r.Provider[:provider])
	}
	seen := map[string]bool{r.URN: true}
	var out []string
	for len(named) > 0 {
		urn := named[0]
		named = named[1:]
		if seen[urn] || resources[urn] == nil {
			continue
		}
		seen[urn] = true
		if resources[urn].Custom {
			out = append(out, urn)
		} else {
			named = append(named, children[urn]...)
		}
	}
	return out
}

func reversed(needs map[string][]string) map[string][]string {
	out := map[string][]string{}
	for urn, list := range needs {
		for _, need := range list {
			out[need] = append(out[need], urn)
		}
	}
	return out
}

// schedule starts every resource as soon as what it needs has ended.
func schedule(resources map[string]*stateResource, needs map[string][]string, takes func(*stateResource) time.Duration) Schedule {
	ends := map[string]time.Duration{}
	waitsFor := map[string]string{} // the need that ended last
	var end func(urn string) time.Duration
	end = func(urn string) time.Duration {
		if e, known := ends[urn]; known {
			return e
		}
		ends[urn] = 0 // a state has no circles; should one appear, it must not hang the prediction
		var start time.Duration
		for _, need := range needs[urn] {
			if e := end(need); e > start || e == start && e > 0 && need < waitsFor[urn] {
				start, waitsFor[urn] = e, need
			}
		}
		ends[urn] = start + takes(resources[urn])
		return ends[urn]
	}
	var out Schedule
	last := ""
	phases := map[string]*Span{}
	for _, urn := range sortedKeys(resources) {
		r := resources[urn]
		e := end(urn)
		if !r.Custom || takes(r) == 0 {
			continue
		}
		span := Span{Name: spanName(r), URN: urn, Start: e - takes(r), End: e}
		out.Spans = append(out.Spans, span)
		if e > out.Total {
			out.Total, last = e, urn
		}
		name := phaseOf(r, resources)
		if p := phases[name]; p == nil {
			phases[name] = &Span{Name: name, Start: span.Start, End: span.End}
		} else {
			p.Start, p.End = min(p.Start, span.Start), max(p.End, span.End)
		}
	}
	sort.SliceStable(out.Spans, func(i, j int) bool { return out.Spans[i].Start < out.Spans[j].Start })
	for ; last != ""; last = waitsFor[last] {
		r := resources[last]
		if takes(r) > 0 {
			out.Critical = append(out.Critical, Span{Name: spanName(r), URN: last, Start: ends[last] - takes(r), End: ends[last]})
		}
	}
	slices.Reverse(out.Critical)
	for _, p := range phases {
		out.Phases = append(out.Phases, *p)
	}
	sort.Slice(out.Phases, func(i, j int) bool { return out.Phases[i].Start < out.Phases[j].Start })
	return out
}

// phaseOf is the layer that a resource belongs to, by the nearest component above it.
func phaseOf(r *stateResource, resources map[string]*stateResource) string {
	for p := resources[r.Parent]; p != nil; p = resources[p.Parent] {
		if parts := strings.Split(p.Type, ":"); len(parts) == 3 && !p.Custom && !strings.HasPrefix(p.Type, "pulumi:") {
			if parts[1] == "addons" {
				return "add-ons"
			}
			return parts[1]
		}
	}
	return "other"
}

// spanName is "vpc (Vpc)", "worker-1 join", "cert-manager (release)".
func spanName(r *stateResource) string {
	name := r.URN[strings.LastIndex(r.URN, "::")+2:]
	if r.Type == remoteType {
		if step, env, err := parseStep(r.Inputs.str("create")); err == nil && step != "" {
			return strings.TrimSpace(env["NODE"] + " " + strings.TrimPrefix(name, env["NODE"]+"-"))
		}
	}
	kind := r.Type[strings.LastIndex(r.Type, ":")+1:]
	if strings.EqualFold(kind, name) {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, kind)
}

// String is the timeline for people: totals, layers and the critical path.
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

// String has a line per layer and a line per link of the critical path.
func (s Schedule) String() string {
	var b strings.Builder
	const width = 40
	for _, p := range s.Phases {
		from, to := int(width*p.Start/max(s.Total, 1)), int((width*p.End+s.Total-1)/max(s.Total, 1))
		bar := strings.Repeat(" ", from) + strings.Repeat("=", max(to-from, 1))
		fmt.Fprintf(&b, "  %-8s %6s - %6s  |%-*s|\n", p.Name, clock(p.Start), clock(p.End), width, bar)
	}
	b.WriteString("  critical path\n")
	for _, c := range s.Critical {
		fmt.Fprintf(&b, "    %6s  +%-6s %s\n", clock(c.Start), clock(c.End-c.Start), c.Name)
	}
	return b.String()
}

// clock is 1:05 for a minute and five seconds.
func clock(d time.Duration) string {
	seconds := int((d + 500*time.Millisecond) / time.Second)
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}
