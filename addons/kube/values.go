package kube

import (
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Values is a tree of Helm values or of an object's fields. Inner nodes are Values, map[string]any or lists; leaves
// are strings, booleans, numbers or a pulumi.Input.
type Values map[string]any

// Merge returns v with over merged into it, as Helm merges two values files: maps are merged key by key, everything
// else, including lists, is replaced. A null stays in the result: a release passes it to Helm, which then removes the
// chart's own default. Merge changes neither argument.
func (v Values) Merge(over map[string]any) Values {
	merged := maps.Clone(v)
	if merged == nil {
		merged = Values{}
	}
	for key, value := range over {
		below, isTree := Tree(merged[key])
		above, alsoTree := Tree(value)
		if isTree && alsoTree {
			merged[key] = below.Merge(above)
			continue
		}
		merged[key] = value
	}
	return merged
}

// splitNulls separates the keys whose value is null from the others, because the Go SDK drops nulls from inputs.
func (v Values) splitNulls() (others, nulls Values) {
	others, nulls = Values{}, Values{}
	for key, value := range v {
		if value == nil {
			nulls[key] = nil
			continue
		}
		below, isTree := Tree(value)
		if !isTree {
			others[key] = value
			continue
		}
		var belowNulls Values
		others[key], belowNulls = below.splitNulls()
		if len(belowNulls) > 0 {
			nulls[key] = belowNulls
		}
	}
	return others, nulls
}

// Inputs converts the tree to the engine's inputs.
func (v Values) Inputs() pulumi.Map {
	inputs := pulumi.Map{}
	for key, value := range v {
		inputs[key] = input(value)
	}
	return inputs
}

func input(value any) pulumi.Input {
	if node, ok := Tree(value); ok {
		return node.Inputs()
	}
	switch value := value.(type) {
	case pulumi.Input:
		return value
	case []any:
		return list(value)
	case []Values:
		return list(value)
	case []string:
		return list(value)
	}
	return pulumi.Any(value)
}

func list[T any](items []T) pulumi.Array {
	inputs := make(pulumi.Array, 0, len(items))
	for _, item := range items {
		inputs = append(inputs, input(item))
	}
	return inputs
}

// Tree returns a value as Values if it is a map of one of the types that trees consist of.
func Tree(value any) (Values, bool) {
	switch value := value.(type) {
	case Values:
		return value, true
	case map[string]any:
		return value, true
	case map[string]string:
		node := Values{}
		for k, v := range value {
			node[k] = v
		}
		return node, true
	}
	return nil, false
}
