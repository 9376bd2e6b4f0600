package timeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kubeadm-aws/cluster/stepline"
	"kubeadm-aws/internal/state"
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
	Name string
	URN  state.URN
	// Node is the node whose machine or step this is, or "".
	Node       string
	Start, End time.Duration
}

// graph is a state with what each resource needs to be made.
type graph struct {
	resources map[state.URN]*state.Resource
	children  map[state.URN][]state.URN
	needs     map[state.URN][]state.URN
}

// readGraph reads what `pulumi stack export` prints.
func readGraph(exported []byte) (graph, error) {
	st, err := state.Parse(exported)
	if err != nil {
		return graph{}, err
	}
	return newGraph(st.Resources), nil
}

func newGraph(resources []state.Resource) graph {
	g := graph{map[state.URN]*state.Resource{}, map[state.URN][]state.URN{}, map[state.URN][]state.URN{}}
	for i := range resources {
		r := &resources[i]
		g.resources[r.URN] = r
		g.children[r.Parent] = append(g.children[r.Parent], r.URN)
	}
	for urn, r := range g.resources {
		g.needs[urn] = g.needsOf(r)
	}
	return g
}

// needsOf returns the resources that r depends on. A component means all its children.
func (g graph) needsOf(r *state.Resource) []state.URN {
	named := slices.Clone(r.Dependencies)
	for _, list := range r.PropertyDependencies {
		named = append(named, list...)
	}
	if provider := strings.LastIndex(r.Provider, "::"); provider > 0 {
		named = append(named, state.URN(r.Provider[:provider]))
	}
	seen := map[state.URN]bool{r.URN: true}
	var out []state.URN
	for len(named) > 0 {
		urn := named[0]
		named = named[1:]
		if seen[urn] || g.resources[urn] == nil {
			continue
		}
		seen[urn] = true
		if g.resources[urn].Custom {
			out = append(out, urn)
		} else {
			named = append(named, g.children[urn]...)
		}
	}
	return out
}

// drawing builds a schedule: spans are added by their keys, the critical path from its end to its beginning.
type drawing struct {
	schedule Schedule
	phases   map[string]*Span
	// last is the key of the span that ended last.
	last state.URN
}

func (d *drawing) add(key state.URN, r *state.Resource, start, end time.Duration) {
	d.schedule.Spans = append(d.schedule.Spans, newSpan(r, start, end))
	if end > d.schedule.Total {
		d.schedule.Total, d.last = end, key
	}
	name := state.PhaseOf(r.URN)
	if d.phases == nil {
		d.phases = map[string]*Span{}
	}
	if p := d.phases[name]; p == nil {
		d.phases[name] = &Span{Name: name, Start: start, End: end}
	} else {
		p.Start, p.End = min(p.Start, start), max(p.End, end)
	}
}

func (d *drawing) critical(r *state.Resource, start, end time.Duration) {
	d.schedule.Critical = append(d.schedule.Critical, newSpan(r, start, end))
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

func newSpan(r *state.Resource, start, end time.Duration) Span {
	span := Span{Name: spanName(r), URN: r.URN, Start: start, End: end}
	if node, _, ok := state.HostStep(r.URN, r.Inputs); ok {
		span.Node = node
	}
	if r.Delete {
		span.Name = "delete " + span.Name
	}
	return span
}

// spanName returns "vpc (Vpc)", "worker-1 join" or "cert-manager (release)".
func spanName(r *state.Resource) string {
	_, name := state.SplitURN(r.URN)
	if r.Type == remoteCommand {
		if step, err := stepline.Parse(text(r.Inputs, "create")); err == nil && step.Name != "" {
			return strings.TrimSpace(step.Node + " " + strings.TrimPrefix(name, step.Node+"-"))
		}
	}
	kind := string(r.Type.Name())
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

// Duration says in one line how long the plan takes. If nodes that follow each other take most of that, as in an
// upgrade, it names them.
func (s Schedule) Duration() string {
	var nodes []string
	var sum time.Duration
	for _, c := range s.Critical {
		if c.Node == "" {
			continue
		}
		sum += c.End - c.Start
		if !slices.Contains(nodes, c.Node) {
			nodes = append(nodes, c.Node)
		}
	}
	line := about(s.Total) + " on AWS (predicted)"
	if len(nodes) > 1 && 2*sum > s.Total {
		line += fmt.Sprintf(", of that %s for %s one after the other", strings.TrimPrefix(about(sum), "about "),
			strings.Join(nodes, ", "))
	}
	return line
}

// about rounds a duration for people, because a prediction is not exact.
func about(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "a few seconds"
	case d < 90*time.Second:
		return fmt.Sprintf("about %d s", int(d.Round(10*time.Second).Seconds()))
	}
	return fmt.Sprintf("about %d min", int(d.Round(time.Minute).Minutes()))
}

// clock returns 1:05 for a minute and five seconds.
func clock(d time.Duration) string {
	seconds := int((d + 500*time.Millisecond) / time.Second)
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}
