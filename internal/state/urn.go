package state

import (
	"regexp"
	"strings"
)

// The phases of a run, in the order of the layers. A resource belongs to the one whose component it is a child of.
const (
	PhaseInfra   = "infra"
	PhaseCluster = "cluster"
	PhaseAddons  = "add-ons"
	PhaseOther   = "other"
)

var Phases = []string{PhaseInfra, PhaseCluster, PhaseAddons, PhaseOther}

// SplitURN returns the type chain (outermost component first, never empty) and the name of a URN.
func SplitURN(urn string) (types []string, name string) {
	// urn:pulumi:<stack>::<project>::<type$type$type>::<name>; the name may itself hold "::".
	parts := strings.SplitN(urn, "::", 4)
	if len(parts) < 4 {
		return []string{""}, urn
	}
	return strings.Split(parts[2], "$"), parts[3]
}

// PhaseOf is the phase of a resource, from the components around it.
func PhaseOf(urn string) string {
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

// Readable is a resource as a person names it: its name and the last word of its type.
func Readable(urn string) string {
	types, name := SplitURN(urn)
	t := types[len(types)-1]
	return name + " (" + t[strings.LastIndex(t, ":")+1:] + ")"
}

// Counted says whether a resource is one that a person would count: not a component, a provider or the stack itself.
func Counted(typ string, custom bool) bool {
	return custom && !strings.HasPrefix(typ, "pulumi:")
}

var stepWords = regexp.MustCompile(`\bSTEP='?([\w-]+)'?\s+NODE='?([\w.-]+)'?`)

// HostStep finds which step on which host a resource is: an instance, which is named after its node, or a
// command whose text names them.
func HostStep(urn string, inputs map[string]any) (host, step string, ok bool) {
	types, name := SplitURN(urn)
	switch types[len(types)-1] {
	case "aws:ec2/instance:Instance":
		return name, "instance", true
	case "command:remote:Command":
		for _, key := range []string{"create", "update", "delete"} {
			text, _ := inputs[key].(string)
			if words := stepWords.FindStringSubmatch(text); words != nil {
				return words[2], words[1], true
			}
		}
	}
	return "", "", false
}
