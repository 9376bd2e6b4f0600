package main

import (
	"context"
	"slices"
	"time"
)

// criticalPath walks back from the operation that ended last, each time to the dependency that ended last: the chain that
// decided how long the run took. Times are seconds since begun.
func criticalPath(d deployment, spans map[string]span, begun time.Time) []pathStep {
	needs := map[string][]string{}
	for _, r := range d.Resources {
		all := append([]string{}, r.Dependencies...)
		for _, deps := range r.PropertyDependencies {
			all = append(all, deps...)
		}
		if r.Parent != "" {
			all = append(all, r.Parent)
		}
		needs[r.URN] = append(needs[r.URN], all...)
	}
	children := map[string][]string{}
	for _, r := range d.Resources {
		if r.Parent != "" {
			children[r.Parent] = append(children[r.Parent], r.URN)
		}
	}
	real := map[string]bool{}
	for _, r := range d.Resources {
		if counted(r.Type, r.Custom) {
			real[r.URN] = true
		}
	}
	latest := func(urns []string, before time.Time) (string, bool) {
		best, found := "", false
		for _, urn := range urns {
			s, ran := spans[urn]
			if !ran || !real[urn] || s.end.After(before) {
				continue
			}
			if !found || s.end.After(spans[best].end) {
				best, found = urn, true
			}
		}
		return best, found
	}
	// A dependency on a component is one on all that is in it.
	expand := func(urns []string) []string {
		var all []string
		seen := map[string]bool{}
		for len(urns) > 0 {
			urn := urns[0]
			urns = urns[1:]
			if seen[urn] {
				continue
			}
			seen[urn] = true
			all = append(all, urn)
			if !real[urn] {
				urns = append(urns, children[urn]...)
			}
		}
		return all
	}
	var everything []string
	last := begun
	for urn, s := range spans {
		everything = append(everything, urn)
		if real[urn] && s.end.After(last) {
			last = s.end
		}
	}
	slices.Sort(everything)
	var path []pathStep
	urn, ok := latest(everything, last)
	for ok {
		s := spans[urn]
		path = append(path, pathStep{Resource: readable(urn), Start: s.start.Sub(begun).Seconds(), End: s.end.Sub(begun).Seconds()})
		direct := needs[urn]
		if len(path) > len(spans) {
			break
		}
		// The parent's other children are not dependencies; only what is named is.
		var named []string
		for _, need := range direct {
			if real[need] || !isAncestor(d, need, urn) {
				named = append(named, need)
			}
		}
		urn, ok = latest(expand(named), s.start)
	}
	slices.Reverse(path)
	return path
}

// isAncestor reports whether ancestor is the parent of urn, or the parent of its parent, and so on.
func isAncestor(d deployment, ancestor, urn string) bool {
	parents := map[string]string{}
	for _, r := range d.Resources {
		parents[r.URN] = r.Parent
	}
	for p := parents[urn]; p != ""; p = parents[p] {
		if p == ancestor {
			return true
		}
	}
	return false
}

// timeline reports where the time went. In the simulated sandbox nothing takes the time it would on AWS, so there the
// prediction is what counts.
func (s *session) timeline(ctx context.Context, p *place, w *watcher) error {
	if len(w.spans) == 0 {
		return nil
	}
	text, err := p.export(ctx)
	if err != nil {
		return err
	}
	if s.op.cloud == cloudSandbox {
		return s.predict(text)
	}
	d, err := parseDeployment(text)
	if err != nil {
		return err
	}
	path := criticalPath(d, w.spans, w.begun)
	if len(path) == 0 {
		return nil
	}
	s.log.emit(event{Kind: kindTimeline, Message: "where the time went", Seconds: path[len(path)-1].End, Path: path})
	return nil
}
