package props

import (
	"reflect"
	"sort"
)

// Changed lists the top-level inputs that differ. What is not known yet counts as changed.
func Changed(olds, news Map) []string {
	var keys []string
	for k, v := range news {
		if HasUnknown(v) || !reflect.DeepEqual(v, olds[k]) {
			keys = append(keys, k)
		}
	}
	for k := range olds {
		if _, still := news[k]; !still {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

func HasUnknown(v any) bool {
	switch v := v.(type) {
	case Unknown:
		return true
	case map[string]any:
		for _, e := range v {
			if HasUnknown(e) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if HasUnknown(e) {
				return true
			}
		}
	}
	return false
}

// Among returns the changed keys that force a new resource. "*" in forcing means all of them.
func Among(changed []string, forcing ...string) []string {
	var out []string
	for _, k := range changed {
		for _, f := range forcing {
			if k == f || f == "*" {
				out = append(out, k)
				break
			}
		}
	}
	return out
}
