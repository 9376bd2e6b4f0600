package timeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/cluster/stepline"
)

// Schedule is one run: every resource starts as early as its dependencies allow.
type Schedule struct {
	Total time.Duration
	// Spans are ordered by start, then name. Resources without a duration are omitted.
	Spans []Span
	// Critical is the chain of spans that determines the total, in order.
	Critical []Span
	// Phases are infra, cluster and add-ons, each from the first start to the last end of its resources.
	Phases []Span
}

// Span is the time of one resource, relative to the beginning of the run.
type Span struct {
	// Name is for reports: the resource's name and its kind. URN is empty for a phase.
	Name, URN  string
	Start, End time.Duration
}

// stateResource is the part of a resource in an exported state that decides when it is made.
type stateResource struct {
	URN, Type, Parent, Provider, DeletedWith string
	Custom, RetainOnDelete                   bool
	Dependencies                             []string
	PropertyDependencies                     map[string][]string
	Inputs                                   map[string]any
}

// readState reads `pulumi stack export`: the resources, and what each needs to be made, by URN.
func readState(deployment []byte) (resources map[string]*stateResource, needs map[string][]string, err error) {
	var state struct {
		Deployment struct{ Resources []stateResource }
	}
	if err := json.Unmarshal(deployment, &state); err != nil {
		return nil, nil, fmt.Errorf("the deployment is not a stack export: %w", err)
	}
	resources = map[string]*stateResource{}
	children := map[string][]string{}
	for i := range state.Deployment.Resources {
		r := &state.Deployment.Resources[i]
		resources[r.URN] = r
		children[r.Parent] = append(children[r.Parent], r.URN)
	}
	needs = map[string][]string{}
	for urn, r := range resources {
		needs[urn] = r.needs(resources, children)
	}
	return resources, needs, nil
}

// needs are the resources that r depends on. A component means all its children.
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

// drawing builds a schedule: spans are added by URN, the critical path from its end to its beginning.
type drawing struct {
	resources map[string]*stateResource
	schedule  Schedule
	phases    map[string]*Span
	// last is the URN of the span that ended last.
	last string
}

func (d *drawing) add(r *stateResource, start, end time.Duration) {
	d.schedule.Spans = append(d.schedule.Spans, Span{Name: spanName(r), URN: r.URN, Start: start, End: end})
	if end > d.schedule.Total {
		d.schedule.Total, d.last = end, r.URN
	}
	name := phaseOf(r, d.resources)
	if d.phases == nil {
		d.phases = map[string]*Span{}
	}
	if p := d.phases[name]; p == nil {
		d.phases[name] = &Span{Name: name, Start: start, End: end}
	} else {
		p.Start, p.End = min(p.Start, start), max(p.End, end)
	}
}

func (d *drawing) critical(r *stateResource, start, end time.Duration) {
	d.schedule.Critical = append(d.schedule.Critical, Span{Name: spanName(r), URN: r.URN, Start: start, End: end})
}

func (d *drawing) finish() Schedule {
	out := d.schedule
	byStart := func(a, b Span) int { return cmp.Compare(a.Start, b.Start) }
	slices.SortStableFunc(out.Spans, byStart)
	slices.Reverse(out.Critical)
	for _, name := range slices.Sorted(maps.Keys(d.phases)) {
		out.Phases = append(out.Phases, *d.phases[name])
	}
	slices.SortStableFunc(out.Phases, byStart)
	return out
}

// phaseOf returns the phase of a resource, from the nearest component above it.
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

// spanName returns "vpc (Vpc)", "worker-1 join" or "cert-manager (release)".
func spanName(r *stateResource) string {
	name := r.URN[strings.LastIndex(r.URN, "::")+2:]
	if r.Type == remoteCommand {
		if step, err := stepline.Parse(text(r.Inputs, "create")); err == nil && step.Name != "" {
			return strings.TrimSpace(step.Node + " " + strings.TrimPrefix(name, step.Node+"-"))
		}
	}
	kind := r.Type[strings.LastIndex(r.Type, ":")+1:]
	if strings.EqualFold(kind, name) {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, kind)
}

// String returns a line per phase and a line per link of the critical path.
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

// clock returns 1:05 for a minute and five seconds.
func clock(d time.Duration) string {
	seconds := int((d + 500*time.Millisecond) / time.Second)
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}
