package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// neededValues refuses values that would break every up, or the checks and alerts after it.
func (v addonsValidator) neededValues(on map[string]Addon) {
	for _, need := range valuesNeededBy(v.c) {
		addon := on[need.addon]
		if need.path == "metrics.serviceMonitor.enabled" && !on["monitoring"].On() {
			continue
		}
		got, set := userValue(addon.Values, need.path)
		if got == nil || got == "" {
			got = need.chart
		}
		if addon.On() && set && !need.metBy(got) {
			v.fault("addons."+need.addon+".values."+need.path, got, need.why, need.instead)
		}
	}
}

// metBy reports whether a value is one that is needed.
func (n neededValue) metBy(got any) bool {
	switch want := n.want.(type) {
	case noValue:
		return false
	case oneOf:
		return slices.Contains(want, fmt.Sprint(got))
	case listWith:
		list, _ := got.([]any)
		return slices.ContainsFunc(list, func(entry any) bool {
			return slices.ContainsFunc(want, func(w any) bool { return reflect.DeepEqual(w, entry) })
		})
	case among:
		entries, isMap := got.(map[string]any)
		for key, value := range entries {
			if own, known := want[key]; !known || own != value {
				return false
			}
		}
		return isMap
	}
	return fmt.Sprint(got) == fmt.Sprint(n.want)
}

// userValue returns the value at a path, and whether the user decides it. Null at the path or above it restores the
// chart's default. The last key of a path may contain dots.
func userValue(values map[string]any, path string) (value any, set bool) {
	if at, set := values[path]; set {
		return at, true
	}
	first, rest, _ := strings.Cut(path, ".")
	at, set := values[first]
	if !set || at == nil {
		return nil, set
	}
	inner, isMap := at.(map[string]any)
	if !isMap {
		return nil, false
	}
	return userValue(inner, rest)
}
