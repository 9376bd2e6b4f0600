package dockerhosts

import (
	"context"
	"fmt"
	"os/exec"
)

// SetAddress reserves an address of the network and associates it with a machine, or with none.
func (b *Backend) SetAddress(ctx context.Context, allocationID, machineID string) (string, error) {
	address, err := b.allocate(allocationID)
	if err != nil {
		return "", err
	}
	if machineID == "" {
		return address, b.disassociate(ctx, allocationID)
	}
	return address, b.associate(ctx, allocationID, machineID)
}

func (b *Backend) allocate(allocationID string) (string, error) {
	var address string
	err := b.store.change(func(s *state) error {
		if e, ok := s.Addresses[allocationID]; ok {
			address = e.Address
			return nil
		}
		used := map[string]bool{}
		for _, e := range s.Addresses {
			used[e.Address] = true
		}
		for last := firstElastic; last <= lastElastic; last++ {
			if a := b.network.at(last).String(); !used[a] {
				address = a
				s.Addresses[allocationID] = elastic{Address: a}
				return nil
			}
		}
		return fmt.Errorf("allocate %s: %w for elastic IPs", allocationID, errNoAddress)
	})
	return address, err
}

// ReleaseAddress returns the address to the pool. A terminated machine has no address.
func (b *Backend) ReleaseAddress(ctx context.Context, allocationID string) error {
	if e := b.store.read().Addresses[allocationID]; e.Machine != "" {
		_, found, err := b.machine(ctx, e.Machine)
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("release %s: still associated with %s", allocationID, e.Machine)
		}
	}
	return b.store.change(func(s *state) error {
		delete(s.Addresses, allocationID)
		return nil
	})
}

// associate adds the address to the interface of the machine.
func (b *Backend) associate(ctx context.Context, allocationID, machineID string) error {
	e := b.store.read().Addresses[allocationID]
	m, found, err := b.machine(ctx, machineID)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("associate %s: no instance %s", allocationID, machineID)
	}
	if e.Machine != "" && e.Machine != machineID {
		if err := b.disassociate(ctx, allocationID); err != nil {
			return err
		}
	}
	if err := putAddress(ctx, m.container, e.Address); err != nil {
		return fmt.Errorf("associate %s with %s: %w", e.Address, machineID, err)
	}
	return b.store.change(func(s *state) error {
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

// boots gives a machine that has booted again its elastic address and the records of the private zone.
func (b *Backend) boots(ctx context.Context, id string) error {
	m, found, err := b.machine(ctx, id)
	if err != nil || !found || !m.running {
		return err
	}
	s := b.store.read()
	for _, e := range s.Addresses {
		if e.Machine == id {
			if err := putAddress(ctx, m.container, e.Address); err != nil {
				return err
			}
		}
	}
	return writeZone(ctx, m.container, zoneLines(s.Records))
}

// disassociate takes the address from its machine, if that still exists.
func (b *Backend) disassociate(ctx context.Context, allocationID string) error {
	e := b.store.read().Addresses[allocationID]
	if e.Machine == "" {
		return nil
	}
	m, found, err := b.machine(ctx, e.Machine)
	if err != nil {
		return err
	}
	if found {
		script := "ip address del " + e.Address + "/32 dev eth0 2>/dev/null || true"
		if _, err := docker(ctx, "exec", m.container, "sh", "-c", script); err != nil && m.running && !isGone(err) {
			return fmt.Errorf("disassociate %s: %w", e.Address, err)
		}
	}
	return b.store.change(func(s *state) error {
		e.Machine = ""
		s.Addresses[allocationID] = e
		return nil
	})
}
