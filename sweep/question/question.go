// Package question has what the driver asks the sweep about an account: JSON on the sweep's standard input and output.
// Access and Image change something.
package question

import "time"

// The flags of the sweep that ask.
const (
	// Find reads a list of Lookup and answers with a list of ids per URN. Ids are in Pulumi's form.
	Find = "find"
	// States reads a list of instance ids and answers with Instances.
	States = "states"
	// Access reads an AccessRequest and answers with an AccessChange.
	Access = "access"
	// Image reads an ImageRequest and answers with an ImageAnswer.
	Image = "image"
)

// HolderTag begins the key of a tag of a temporary rule; the holder follows, and the value is the end of its time (RFC
// 3339). A rule may have several holders: EC2 takes a port and an address once in a group, and two runs may come from
// one address.
const HolderTag = "kubeadm-aws/access-until/"

// AccessRequest says who is let in to which ports. Without Holder only what has expired is removed.
type AccessRequest struct {
	// Cluster is the value of the tag that every rule gets, so that roles bound to the cluster may remove it.
	Cluster string `json:"cluster"`
	// Ports are the ports, by the id of the security group.
	Ports map[string]int32 `json:"ports"`
	// Holder is the person or run that the rules are for.
	Holder string `json:"holder,omitempty"`
	// Until is the end of the time that the rules are opened for. Zero closes the rules of the holder.
	Until time.Time `json:"until,omitzero"`
	// Address is the IPv4 address to let in. Empty asks a public service.
	Address string `json:"address,omitempty"`
}

// AccessChange is the answer to Access.
type AccessChange struct {
	// Address is the address that was let in; empty if none was asked for.
	Address string `json:"address,omitempty"`
	// Opened are the groups that now have a temporary rule for the address. Admitted are those whose permanent rules admit
	// it. A group that does not exist is in neither.
	Opened   []string `json:"opened,omitempty"`
	Admitted []string `json:"admitted,omitempty"`
	// Closed are the rules that were removed, each as "22 from 192.0.2.1/32".
	Closed []string `json:"closed,omitempty"`
}

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
	// Account is the number of the account that the credentials belong to. In another one every instance is unknown.
	Account string `json:"account,omitempty"`
	// Instances are by id. An id that EC2 does not know is absent.
	Instances map[string]Instance `json:"instances"`
}

// Instance is EC2's information about one instance.
type Instance struct {
	// State is pending, running, shutting-down, terminated, stopping or stopped.
	State string `json:"state"`
	// Reason is EC2's code for the last change of the state, such as Client.UserInitiatedShutdown. It may be empty.
	Reason string `json:"reason,omitempty"`
	// Launched is when the instance was started last.
	Launched time.Time `json:"launched,omitzero"`
	// FailedSince is since when a status check of EC2 fails. It is zero while all of them pass.
	FailedSince time.Time `json:"failedSince,omitzero"`
	// Admits are the address ranges that its security groups allow to reach the Kubernetes API.
	Admits []string `json:"admits,omitempty"`
}
