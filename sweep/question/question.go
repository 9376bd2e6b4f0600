// Package question has what the driver asks the sweep about an account: JSON on the sweep's standard input and output.
// Neither question changes anything.
package question

// The flags of the sweep that ask.
const (
	// Find reads a list of Lookup and answers with a list of ids per URN. Ids are in Pulumi's form.
	Find = "find"
	// States reads a list of instance ids and answers with Instances.
	States = "states"
)

// Lookup describes a resource that an interrupted run was creating: the tags that it was created with, and the
// properties, in Pulumi's names, that distinguish it from others of its type.
type Lookup struct {
	URN        string            `json:"urn"`
	Type       string            `json:"type"`
	Tags       map[string]string `json:"tags,omitempty"`
	Properties map[string]any    `json:"properties,omitempty"`
}

// Instances is the answer to States.
type Instances struct {
	// Address is the source address of requests from this machine. It is empty if it cannot be determined.
	Address string `json:"address,omitempty"`
	// Instances are by id. An id that EC2 does not know is absent.
	Instances map[string]Instance `json:"instances"`
}

// Instance is EC2's information about one instance.
type Instance struct {
	// State is pending, running, shutting-down, terminated, stopping or stopped.
	State string `json:"state"`
	// Admits are the address ranges that its security groups allow to reach the Kubernetes API.
	Admits []string `json:"admits,omitempty"`
}
