package sandbox

import (
	"reflect"
	"strings"
)

// Find looks objects up as a client of AWS can: by type, by tags that they must all carry, and by properties that they must
// have, such as the CIDR range of a subnet. AWS does not know URNs, so Find cannot use them. It returns ids, in order.
func (s *Sandbox) Find(typ string, tags map[string]string, properties map[string]any) []string {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for _, o := range a.all(typ) {
		if o.carries(tags) && o.has(properties) {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

func (o *object) carries(tags map[string]string) bool {
	all := o.tags()
	for key, value := range tags {
		if all[key] != value {
			return false
		}
	}
	return true
}

func (o *object) has(properties map[string]any) bool {
	for key, value := range properties {
		if !reflect.DeepEqual(o.Inputs.at(key), value) {
			return false
		}
	}
	return true
}

// Made is a resource that the engine made and that exists.
type Made struct{ URN, Type, ID string }

// Made lists what the engine made and still exists, in AWS and in the cluster. What controllers, users and Helm made by
// themselves is not among it.
func (s *Sandbox) Made() []Made {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Made
	for _, o := range a.where(func(o *object) bool { return o.URN != "" && !o.State.flag("recordless") && !o.State.flag("deleting") }) {
		all = append(all, Made{URN: o.URN, Type: o.Type, ID: strings.TrimPrefix(o.ID, "/")})
	}
	return all
}
