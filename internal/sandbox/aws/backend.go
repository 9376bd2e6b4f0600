package aws

import (
	"fmt"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/props"
)

// onCreate, onUpdate and onDelete are the calls to the backend by resource type. A type without one exists in the
// account only.
var (
	onCreate = map[string]func(*call) error{
		InstanceType:       launch,
		EIPType:            allocate,
		EIPAssociationType: associate,
		recordType:         setRecord,
	}
	// Updates in place of other types do not affect a machine.
	onUpdate = map[string]func(*call) error{
		recordType: setRecord,
	}
	onDelete = map[string]func(*call) error{
		InstanceType: func(c *call) error { return c.backend.Terminate(c.Ctx, c.object.ID) },
		EIPType:      func(c *call) error { return c.backend.ReleaseAddress(c.Ctx, c.object.ID) },
		EIPAssociationType: func(c *call) error {
			_, err := c.backend.SetAddress(c.Ctx, c.object.Inputs.Str("allocationId"), "")
			return err
		},
		recordType: func(c *call) error { return c.backend.SetRecord(c.Ctx, c.object.Str("fqdn"), nil) },
	}
)

// onBackend calls f with the account unlocked, because machines take seconds to minutes to start or stop.
func (c *call) onBackend(f func(*call) error) error {
	if f == nil || c.backend == nil {
		return nil
	}
	c.Unlock()
	defer c.Lock()
	return f(c)
}

// show stores outputs that the backend has decided.
func (c *call) show(state props.Map) {
	c.Lock()
	defer c.Unlock()
	c.object = c.Change(c.object, func(_, s props.Map) {
		for k, v := range state {
			s[k] = v
		}
	})
}

func launch(c *call) error {
	c.Lock()
	machine := backend.Machine{ID: c.object.ID, Name: c.object.Tags()["Name"], UserData: userDataOf(c.Inputs),
		Profile: c.Inputs.Str("iamInstanceProfile"), Image: c.Inputs.Str("ami")}
	if key := c.Find(KeyPairType, c.Inputs.Str("keyName")); key != nil {
		machine.AuthorizedKey = key.Str("publicKey")
	}
	for _, profile := range c.All(ProfileType) {
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

func allocate(c *call) error {
	ip, err := c.backend.SetAddress(c.Ctx, c.object.ID, "")
	if err != nil {
		return fmt.Errorf("allocate an address: %w", err)
	}
	c.show(props.Map{"publicIp": ip})
	return nil
}

func associate(c *call) error {
	_, err := c.backend.SetAddress(c.Ctx, c.Inputs.Str("allocationId"), c.Inputs.Str("instanceId"))
	return err
}

func setRecord(c *call) error {
	if c.Inputs.Str("type") != "A" {
		return nil
	}
	return c.backend.SetRecord(c.Ctx, c.object.Str("fqdn"), c.Inputs.Strings("records"))
}
