package aws

import (
	"fmt"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/store"
)

func (p *Provider) Delete(r *engine.Request) error {
	t, err := p.lookup(r.Type)
	if err != nil {
		return err
	}
	a := p.Account
	a.Lock()
	defer a.Unlock()
	found := a.Find(r.Type, r.ID)
	if found == nil { // deleting a missing object succeeds
		return nil
	}
	r.Inputs = found.Inputs
	c := &call{Account: a, Request: r, object: found, backend: p.Backend, limits: p.Limits}
	if err := c.canDelete(t); err != nil {
		return fmt.Errorf("deleting %s (%s): %w", shortType(r.Type), r.ID, err)
	}
	// The backend comes first: if it fails, the account still has the object and the next run tries again.
	if err := c.onBackend(onDelete[r.Type]); err != nil {
		return fmt.Errorf("deleting %s (%s): %w", shortType(r.Type), r.ID, err)
	}
	c.dissolve(t)
	return nil
}

// canDelete returns the error with which AWS would refuse to delete the object now, or nil.
func (c *call) canDelete(t resourceType) error {
	var users []string
	for _, user := range c.referrers(c.object, blocks) {
		users = append(users, user.Title())
	}
	if len(users) > 0 {
		return fmt.Errorf("DependencyViolation: still used by %s", strings.Join(users, ", "))
	}
	if t.deletable != nil {
		return t.deletable(c)
	}
	return nil
}

// dissolve removes the object and the objects that are deleted with it.
func (c *call) dissolve(t resourceType) {
	if t.deleted != nil {
		t.deleted(c)
	}
	for _, user := range c.referrers(c.object, follows) {
		c.Remove(user)
	}
	c.Remove(c.object)
}

// referrers returns the objects that name target in a field with the given hold.
func (c *call) referrers(target *store.Object, h hold) []*store.Object {
	return c.Where(func(o *store.Object) bool {
		if o.Type == target.Type && o.ID == target.ID {
			return false
		}
		for _, ref := range resourceTypes[o.Type].refs {
			if ref.hold != h || !slices.Contains(strings.Split(ref.to, "|"), target.Type) {
				continue
			}
			name := target.ID
			if ref.by != "" {
				name = target.Str(ref.by)
			}
			for _, named := range o.Inputs.Strings(ref.field) {
				if named == name {
					return true
				}
			}
		}
		return false
	})
}

// shortType turns aws:ec2/vpc:Vpc into ec2/vpc.
func shortType(typ string) string {
	parts := strings.Split(typ, ":")
	if len(parts) == 3 {
		return parts[1]
	}
	return typ
}
