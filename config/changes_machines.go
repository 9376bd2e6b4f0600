package config

import (
	"fmt"
	"slices"
	"strings"
)

// refuseMachines refuses changes of machines that AWS does not carry out, or that would stop several workers at once.
func (c comparison) refuseMachines(made Made) []FieldError {
	return slices.Concat(c.spotToOnDemand(made), c.resizedWorkers(made))
}

// replaces reports whether the settings of a node other than its type and its market replace its machine, and whether
// the machine that runs is known at all.
func (c comparison) replaces(n Node, made Made) (yes, known bool) {
	generation, known := made["nodes["+n.Name+"].machineGeneration"].(string)
	zone, placed := made["nodes["+n.Name+"].availabilityZone"].(string)
	image, _ := made["nodes["+n.Name+"].ami"].(string)
	yes = known && generation != c.Image.MachineGeneration(n) || placed && zone != c.AvailabilityZone(n.Zone) ||
		n.Role == Worker && image != "" && c.Image.AMI != "" && image != c.Image.AMI
	return yes, known
}

// spotToOnDemand refuses to turn the machine of a spot node into an on-demand one in place. The provider does not see
// that its market options were removed, and the spot instance would go on.
func (c comparison) spotToOnDemand(made Made) []FieldError {
	var faults []FieldError
	for _, n := range c.Nodes {
		replaces, known := c.replaces(n, made)
		if made["nodes["+n.Name+"].spot"] != true || n.Spot || replaces || !known {
			continue
		}
		faults = addFault(faults, FieldError{Key: Namespace + ":" + n.Key("spot"), Value: quote(n.Spot),
			Reason: "is true on the running stack: AWS does not make a spot instance an on-demand one, only another machine can " +
				"be one",
			Example: fmt.Sprintf("with it another %s, such as %q: the node is drained and replaced", n.Key("generation"),
				anotherGeneration(n, "on-demand"))})
	}
	return faults
}

// resizedWorkers refuses another type for several workers at once. AWS stops a machine to change its type: they would
// all stop together, with their pods. Workers that are replaced are drained one after the other.
func (c comparison) resizedWorkers(made Made) []FieldError {
	var faults []FieldError
	resized := 0
	for _, n := range c.Nodes {
		old, is := made["nodes["+n.Name+"].instanceType"].(string)
		replaces, _ := c.replaces(n, made)
		spot := n.Spot || made["nodes["+n.Name+"].spot"] == true
		// Another role is refused by a rule of its own.
		worker := n.Role == Worker && made["nodes["+n.Name+"].role"] != ControlPlane
		if !worker || !is || old == n.InstanceType || replaces || spot {
			continue
		}
		resized++
		faults = addFault(faults, FieldError{Key: Namespace + ":" + n.Key("instanceType"), Value: quote(n.InstanceType),
			Reason: fmt.Sprintf("is %q on the running stack: AWS stops a machine to change its type, and several workers would "+
				"stop in the same up, with their pods", old),
			Example: fmt.Sprintf("with it another %s, such as %q: the workers are drained and replaced in turn; or one "+
				"worker in each up", n.Key("generation"), anotherGeneration(n, n.InstanceType))})
	}
	if resized < 2 {
		return nil
	}
	return faults
}

// anotherGeneration returns a value for the generation of a node that differs from its present one.
func anotherGeneration(n Node, suffix string) string {
	return strings.TrimPrefix(n.Generation+"-"+suffix, "-")
}

// addFault adds a fault that is not among faults: the nodes of one entry in the settings have the same ones.
func addFault(faults []FieldError, fault FieldError) []FieldError {
	if slices.Contains(faults, fault) {
		return faults
	}
	return append(faults, fault)
}
