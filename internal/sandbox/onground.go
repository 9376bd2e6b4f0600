package sandbox

import "fmt"

// What a ground does when the account makes or drops something. Types that are not here exist in the account only.
var (
	groundCreate = map[string]func(*awsCall) error{
		instanceType:       launch,
		eipType:            allocate,
		eipAssociationType: associate,
		recordType:         setRecord,
	}
	// Other changes in place mean nothing to a machine.
	groundUpdate = map[string]func(*awsCall) error{
		recordType: setRecord,
	}
	groundDelete = map[string]func(*awsCall) error{
		instanceType: func(c *awsCall) error { return c.ground.Terminate(c.ctx, c.object.ID) },
		eipType:      func(c *awsCall) error { return c.ground.ReleaseAddress(c.ctx, c.object.ID) },
		eipAssociationType: func(c *awsCall) error {
			return c.ground.DisassociateAddress(c.ctx, c.object.Inputs.str("allocationId"))
		},
		recordType: func(c *awsCall) error { return c.ground.DeleteRecord(c.ctx, c.object.str("fqdn")) },
	}
)

// onGround runs f without the account's lock, because machines take their time.
func (c *awsCall) onGround(f func(*awsCall) error) error {
	if f == nil || c.ground == nil {
		return nil
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	return f(c)
}

func (c *awsCall) show(state values) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.object = c.change(c.object, func(_, s values) {
		for k, v := range state {
			s[k] = v
		}
	})
}

func launch(c *awsCall) error {
	c.mu.Lock()
	machine := Machine{ID: c.object.ID, Name: c.object.tags()["Name"], UserData: userDataOf(c.inputs), Profile: c.inputs.str("iamInstanceProfile")}
	if key := c.find(keyPairType, c.inputs.str("keyName")); key != nil {
		machine.AuthorizedKey = key.str("publicKey")
	}
	for _, profile := range c.all(profileType) {
		if profile.str("name") == machine.Profile {
			machine.Role = profile.str("role")
		}
	}
	c.mu.Unlock()
	got, err := c.ground.Launch(c.ctx, machine)
	if err != nil {
		return fmt.Errorf("launch a machine: %w", err)
	}
	c.show(values{"privateIp": got.PrivateIP, "publicIp": got.PublicIP})
	return nil
}

func allocate(c *awsCall) error {
	ip, err := c.ground.AllocateAddress(c.ctx, c.object.ID)
	if err != nil {
		return fmt.Errorf("allocate an address: %w", err)
	}
	c.show(values{"publicIp": ip})
	return nil
}

func associate(c *awsCall) error {
	return c.ground.AssociateAddress(c.ctx, c.inputs.str("allocationId"), c.inputs.str("instanceId"))
}

func setRecord(c *awsCall) error {
	if c.inputs.str("type") != "A" {
		return nil
	}
	return c.ground.SetRecord(c.ctx, c.object.str("fqdn"), c.inputs.strings("records"))
}
