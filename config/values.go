package config

import (
	"fmt"
	"slices"
	"strings"
)

// valueKind is the type of a Helm value with a customary name, the same in every chart that the program installs.
type valueKind struct {
	what string
	fits func(v any) bool
}

var (
	wholeValue = valueKind{"a whole number", func(v any) bool { _, ok := v.(int); return ok }}
	boolValue  = valueKind{"true or false", func(v any) bool { _, ok := v.(bool); return ok }}
	textValue  = valueKind{"text in quotes", func(v any) bool { _, ok := v.(string); return ok }}
	listValue  = valueKind{"a list", func(v any) bool { _, ok := v.([]any); return ok }}
	mapValue   = valueKind{"a mapping", func(v any) bool { _, ok := v.(map[string]any); return ok }}
	sizeValue  = valueKind{`an amount such as "500m" or "2Gi"`, func(v any) bool {
		switch v := v.(type) {
		case int, float64:
			return true
		case string:
			return quantity.MatchString(v)
		}
		return false
	}}
)

// valueKinds are names that mean the same in all charts. Charts declare no types for most of their values, and Helm
// renders any value. A wrong one would fail in the cluster.
var valueKinds = map[string]valueKind{
	"replicaCount": wholeValue, "revisionHistoryLimit": wholeValue, "terminationGracePeriodSeconds": wholeValue,
	"tag": textValue, "repository": textValue, "pullPolicy": textValue, "imagePullPolicy": textValue,
	"priorityClassName": textValue, "serviceAccountName": textValue,
	"tolerations": listValue, "imagePullSecrets": listValue, "topologySpreadConstraints": listValue,
	"nodeSelector": mapValue, "affinity": mapValue, "podAnnotations": mapValue, "podLabels": mapValue,
	"resources": mapValue,
	"limits":    mapValue, "requests": mapValue, "securityContext": mapValue, "podSecurityContext": mapValue,
	"hostNetwork": boolValue,
}

// wrongValues returns one sentence for each of the user's Helm values whose type no chart can use.
func (a Addons) wrongValues() []string {
	var found []string
	for _, name := range sortedKeys(a.ByKey()) {
		walkValues("addons."+name+".values", a.ByKey()[name].Values, func(path, parent, key string, v any) {
			kind, ok := valueKinds[key]
			if parent == "limits" || parent == "requests" {
				kind, ok = sizeValue, slices.Contains([]string{"cpu", "memory", "ephemeral-storage"}, key)
			}
			// A chart renders text values as templates, so the text may be a template for a value of the right type.
			text, isText := v.(string)
			if ok && v != nil && !kind.fits(v) && !(isText && strings.Contains(text, "{{")) {
				found = append(found, fmt.Sprintf("%s should be %s", path, kind.what))
			}
		})
	}
	return found
}

// walkValues calls visit for the values below a path in order, with the name of the mapping that contains each.
func walkValues(path string, values map[string]any, visit func(path, parent, key string, v any)) {
	for _, key := range sortedKeys(values) {
		at := child(path, key)
		visit(at, last(path), key, values[key])
		if below, ok := values[key].(map[string]any); ok {
			walkValues(at, below, visit)
		}
	}
}
