package dockerhosts

import (
	"context"
	"fmt"
	"os/exec"
)

// addresses are the elastic IP addresses of the stack. Each is an address of the stack's network that a container gets
// in addition to its own.
type addresses struct{ *stack }

// SetAddress reserves an address of the network and associates it with a machine, or with none.
func (a addresses) SetAddress(ctx context.Context, allocationID, machineID string) (string, error) {
	address, err := a.allocate(allocationID)
	if err != nil {
		return "", err
	}
	if machineID == "" {
		return address, a.disassociate(ctx, allocationID)
	}
	return address, a.associate(ctx, allocationID, machineID)
}

func (a addresses) allocate(allocationID string) (string, error) {
	var address string
	err := a.store.change(func(s *state) error {
		if e, ok := s.Addresses[allocationID]; ok {
			address = e.Address
			return nil
		}
		used := map[string]bool{}
		for _, e := range s.Addresses {
			used[e.Address] = true
		}
		for last := firstElastic; last <= lastElastic; last++ {
			if free := a.network.at(last).String(); !used[free] {
				address = free
				s.Addresses[allocationID] = elastic{Address: free}
				return nil
			}
		}
		return fmt.Errorf("allocate %s: %w for elastic IPs", allocationID, errNoAddress)
	})
	return address, err
}

// ReleaseAddress returns the address to the pool. A terminated machine has no address.
func (a addresses) ReleaseAddress(ctx context.Context, allocationID string) error {
	if e := a.store.read().Addresses[allocationID]; e.Machine != "" {
		_, found, err := a.machine(ctx, e.Machine)
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("release %s: still associated with %s", allocationID, e.Machine)
		}
	}
	return a.store.change(func(s *state) error {
		delete(s.Addresses, allocationID)
		return nil
	})
}

// associate adds the address to the interface of the machine.
func (a addresses) associate(ctx context.Context, allocationID, machineID string) error {
	e := a.store.read().Addresses[allocationID]
	m, found, err := a.machine(ctx, machineID)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("associate %s: no instance %s", allocationID, machineID)
	}
	if e.Machine != "" && e.Machine != machineID {
		if err := a.disassociate(ctx, allocationID); err != nil {
			return err
		}
	}
	if err := putAddress(ctx, m.container, e.Address); err != nil {
		return fmt.Errorf("associate %s with %s: %w", e.Address, machineID, err)
	}
	return a.store.change(func(s *state) error {
		e.Machine = machineID
		s.Addresses[allocationID] = e
		return nil
	})
}

func putAddress(ctx context.Context, container, address string) error {
	if _, err := docker(ctx, "exec", container, "ip", "address", "replace", address+"/32", "dev", "eth0"); err != nil {
		return err
	}
	// This machine may still have the hardware address of the container that had it before.
	_, err := run(exec.CommandContext(ctx, "ip", "neigh", "flush", "to", address))
	return err
}

// disassociate takes the address from its machine, if that still exists.
func (a addresses) disassociate(ctx context.Context, allocationID string) error {
	e := a.store.read().Addresses[allocationID]
	if e.Machine == "" {
		return nil
	}
	m, found, err := a.machine(ctx, e.Machine)
	if err != nil {
		return err
	}
	if found {
		script := "ip address del " + e.Address + "/32 dev eth0 2>/dev/null || true"
		if _, err := docker(ctx, "exec", m.container, "sh", "-c", script); err != nil && m.running && !isGone(err) {
			return fmt.Errorf("disassociate %s: %w", e.Address, err)
		}
	}
	return a.store.change(func(s *state) error {
		e.Machine = ""
		s.Addresses[allocationID] = e
		return nil
	})
}
