package aws

import (
	"fmt"
	"maps"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// This file has the changes that others make in the account, outside the program. A read returns them, because the real
// provider describes the resource that exists, not the one in the state.

// ChangeInput sets a property of a resource in the console, such as "cidrIpv4" of the rule "nodes-ssh-from-admin".
// The resource is named by its type and its logical name.
func (u Console) ChangeInput(typ, name, property string, value any) error {
	a := u.account
	a.Lock()
	defer a.Unlock()
	for _, o := range a.All(typ) {
		if strings.HasSuffix(o.URN, "::"+name) {
			a.Change(o, func(inputs, state props.Map) {
				inputs[property] = value
				changed := maps.Clone(state.Object(drifted))
				if changed == nil {
					changed = props.Map{}
				}
				changed[property] = value
				state[drifted] = map[string]any(changed)
			})
			return nil
		}
	}
	return fmt.Errorf("a %s %s: %w", shortType(typ), name, ErrNotFound)
}

// drifted is the key of an object's state for the inputs that others changed. An update by the program removes it.
const drifted = "changedByOthers"

// asFound returns the inputs whose values in the account differ from those of the program.
func (c *call) asFound() props.Map {
	found := maps.Clone(c.object.State.Object(drifted))
	if c.Type == InstanceType && IsStopped(c.object) && c.object.Str("publicIp") == "" {
		if found == nil {
			found = props.Map{}
		}
		// The provider derives this input from the current public address. A change of the input replaces the instance.
		found["associatePublicIpAddress"] = false
	}
	return found
}

// AttachPolicy attaches a policy of AWS, such as "AmazonS3ReadOnlyAccess", to a role.
func (u Console) AttachPolicy(role, policy string) {
	u.account.Lock()
	defer u.account.Unlock()
	arn := "arn:aws:iam::aws:policy/" + policy
	u.account.Put(&store.Object{Type: attachmentType, ID: role + "-" + arn, State: props.Map{},
		Inputs: props.Map{"role": role, "policyArn": arn}})
}

// GuardDutyEndpoint creates what GuardDuty Runtime Monitoring adds to a VPC with instances: an endpoint with an
// interface in every subnet, and a security group.
func (u Console) GuardDutyEndpoint(vpc string) error {
	a := u.account
	a.Lock()
	defer a.Unlock()
	if a.Find(VPCType, vpc) == nil {
		return fmt.Errorf("a VPC %s: %w", vpc, ErrNotFound)
	}
	tags := map[string]any{"GuardDutyManaged": "true"}
	group := "sg-" + a.NewID(GroupType, "guardduty", 17)
	a.Put(&store.Object{Type: GroupType, ID: group, State: props.Map{}, Inputs: props.Map{
		"vpcId": vpc, "name": "GuardDutyManagedSecurityGroup-" + vpc, "tags": tags,
	}})
	return a.foreignEndpoint(vpc, "guardduty-data", props.Map{"tags": tags, "securityGroupIds": []any{group}})
}

// ForeignEndpoint creates an interface endpoint of a service, such as "ssm", in a VPC, as a person would.
func (u Console) ForeignEndpoint(vpc, service string) error {
	u.account.Lock()
	defer u.account.Unlock()
	return u.account.foreignEndpoint(vpc, service, props.Map{})
}

func (a *Account) foreignEndpoint(vpc, service string, in props.Map) error {
	var subnets []any
	for _, subnet := range a.All(SubnetType) {
		if subnet.Inputs.Str("vpcId") == vpc {
			subnets = append(subnets, subnet.ID)
		}
	}
	in["vpcId"], in["subnetIds"], in["vpcEndpointType"] = vpc, subnets, "Interface"
	in["serviceName"] = "com.amazonaws.eu-central-1." + service
	a.Put(&store.Object{Type: endpointType, ID: "vpce-" + a.NewID(endpointType, service, 17), Inputs: in,
		State: props.Map{}})
	return nil
}
