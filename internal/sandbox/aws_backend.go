package sandbox

import (
	"fmt"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/props"
)

// backendCreate, backendUpdate and backendDelete are the calls to the backend by resource type. A type that is missing
// exists in the account only.
var (
	backendCreate = map[string]func(*awsCall) error{
		instanceType:       launch,
		eipType:            allocate,
		eipAssociationType: associate,
		recordType:         setRecord,
	}
	// Updates in place of other types do not affect a machine.
	backendUpdate = map[string]func(*awsCall) error{
		recordType: setRecord,
	}
	backendDelete = map[string]func(*awsCall) error{
		instanceType: func(c *awsCall) error { return c.backend.Terminate(c.Ctx, c.object.ID) },
		eipType:      func(c *awsCall) error { return c.backend.ReleaseAddress(c.Ctx, c.object.ID) },
		eipAssociationType: func(c *awsCall) error {
			return c.backend.DisassociateAddress(c.Ctx, c.object.Inputs.Str("allocationId"))
		},
		recordType: func(c *awsCall) error { return c.backend.DeleteRecord(c.Ctx, c.object.Str("fqdn")) },
	}
)

// onBackend calls f with the account unlocked, because machines take seconds to minutes to start or stop.
func (c *awsCall) onBackend(f func(*awsCall) error) error {
	if f == nil || c.backend == nil {
		return nil
	}
	c.Unlock()
	defer c.Lock()
	return f(c)
}

func (c *awsCall) show(state props.Map) {
	c.Lock()
	defer c.Unlock()
	c.object = c.Change(c.object, func(_, s props.Map) {
		for k, v := range state {
			s[k] = v
		}
	})
}

func launch(c *awsCall) error {
	c.Lock()
	machine := backend.Machine{ID: c.object.ID, Name: c.object.Tags()["Name"], UserData: userDataOf(c.Inputs), Profile: c.Inputs.Str("iamInstanceProfile")}
	if key := c.Find(keyPairType, c.Inputs.Str("keyName")); key != nil {
		machine.AuthorizedKey = key.Str("publicKey")
	}
	for _, profile := range c.All(profileType) {
		if profile.Str("name") == machine.Profile {
			machine.Role = profile.Str("role")
		}
	}
	c.Unlock()
	got, err := c.backend.Launch(c.Ctx, machine)
	if err != nil {
		return fmt.Errorf("launch a machine: %w", err)
	}
	c.show(props.Map{"privateIp": got.PrivateIP, "publicIp": got.PublicIP})
	return nil
}

func allocate(c *awsCall) error {
	ip, err := c.backend.AllocateAddress(c.Ctx, c.object.ID)
	if err != nil {
		return fmt.Errorf("allocate an address: %w", err)
	}
	c.show(props.Map{"publicIp": ip})
	return nil
}

func associate(c *awsCall) error {
	return c.backend.AssociateAddress(c.Ctx, c.Inputs.Str("allocationId"), c.Inputs.Str("instanceId"))
}

func setRecord(c *awsCall) error {
	if c.Inputs.Str("type") != "A" {
		return nil
	}
	return c.backend.SetRecord(c.Ctx, c.object.Str("fqdn"), c.Inputs.Strings("records"))
}
