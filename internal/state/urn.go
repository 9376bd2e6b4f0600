package state

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"kubeadm-aws/cluster/stepline"
)

// The phases of a run. A resource belongs to the phase whose component it is a child of.
const (
	PhaseInfra   = "infra"
	PhaseCluster = "cluster"
	PhaseAddons  = "add-ons"
	PhaseOther   = "other"
)

// Phases are the phases in the order of the layers.
var Phases = []string{PhaseInfra, PhaseCluster, PhaseAddons, PhaseOther}

// SplitURN returns the type chain (outermost component first, never empty) and the name of a URN.
func SplitURN(urn URN) (types []string, name string) {
	// urn:pulumi:<stack>::<project>::<type$type$type>::<name>; the name may itself contain "::".
	parts := strings.SplitN(string(urn), "::", 4)
	if len(parts) < 4 {
		return []string{""}, string(urn)
	}
	return strings.Split(parts[2], "$"), parts[3]
}

// PhaseOf returns the phase of a resource, from its parent components.
func PhaseOf(urn URN) string {
	types, _ := SplitURN(urn)
	for _, t := range types {
		layer, ours := strings.CutPrefix(t, "kubeadm-aws:")
		if !ours {
			continue
		}
		switch layer, _, _ := strings.Cut(layer, ":"); layer {
		case "infra":
			return PhaseInfra
		case "cluster":
			return PhaseCluster
		case "addons":
			return PhaseAddons
		}
	}
	if strings.HasPrefix(types[len(types)-1], "aws:") {
		return PhaseInfra
	}
	return PhaseOther
}

// Readable names a resource for a person: its name and the last word of its type, such as "worker-1 (Instance)".
func Readable(urn URN) string {
	types, name := SplitURN(urn)
	t := types[len(types)-1]
	return name + " (" + t[strings.LastIndex(t, ":")+1:] + ")"
}

// IsCounted reports whether a person would count a resource: not a component, a provider or the stack itself.
func IsCounted(typ tokens.Type, custom bool) bool {
	return custom && !strings.HasPrefix(string(typ), "pulumi:")
}

// HostStep returns the step and the host of a resource: an instance, which is named after its node, or a command
// whose text contains both. ok is false for any other resource.
func HostStep(urn URN, inputs map[string]any) (host, step string, ok bool) {
	types, name := SplitURN(urn)
	switch types[len(types)-1] {
	case "aws:ec2/instance:Instance":
		return name, "instance", true
	case "command:remote:Command":
		for _, key := range []string{"create", "update", "delete"} {
			text, _ := inputs[key].(string)
			if line, err := stepline.Parse(text); err == nil && line.Node != "" {
				return line.Node, line.Name, true
			}
		}
	}
	return "", "", false
}
