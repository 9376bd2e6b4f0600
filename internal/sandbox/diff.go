package sandbox

import (
	"reflect"
	"sort"
)

// changedKeys lists the top-level inputs that differ. What is not known yet counts as changed.
func changedKeys(olds, news values) []string {
	var keys []string
	for k, v := range news {
		if containsUnknown(v) || !reflect.DeepEqual(v, olds[k]) {
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

func containsUnknown(v any) bool {
	switch v := v.(type) {
	case unknown:
		return true
	case map[string]any:
		for _, e := range v {
			if containsUnknown(e) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if containsUnknown(e) {
				return true
			}
		}
	}
	return false
}

// replaceWhen splits changed keys by whether they force a new resource; "*" means all of them.
func replaceWhen(changed []string, forcing ...string) []string {
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
