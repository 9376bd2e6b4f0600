package engine

import (
	"fmt"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
)

// UnknownType is the error for a type that no table has.
func UnknownType(typ string) error {
	pkg, _, _ := strings.Cut(typ, ":")
	return fmt.Errorf("the sandbox does not know the resource type %s: add it to the table of the %s provider in "+
		"internal/sandbox", typ, pkg)
}

// UnknownFunction is the error for a function that no table has.
func UnknownFunction(tok string) error {
	return fmt.Errorf(
		"the sandbox does not know the function %s: add it to functions in internal/sandbox/aws/functions.go", tok)
}

// Missing reports the required inputs that have no value.
func Missing(in props.Map, required []string) []failure {
	var out []failure
	for _, key := range required {
		if !in.Has(key) {
			out = append(out, failure{key, fmt.Sprintf("missing required property '%s'", key)})
		}
	}
	return out
}

// Unknowns are outputs that a preview cannot know.
func Unknowns(keys []string) props.Map {
	out := props.Map{}
	for _, k := range keys {
		out[k] = props.Unknown{}
	}
	return out
}
