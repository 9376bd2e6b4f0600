package aws

import (
	"reflect"

	"kubeadm-aws/internal/sandbox/store"
)

// Find looks objects up as a client of AWS can: by type, by tags that they must all carry, and by properties that
// they must have, such as the CIDR range of a subnet. AWS does not know URNs, so Find cannot use them. It returns
// ids, in order.
func (u Console) Find(typ string, tags map[string]string, properties map[string]any) []string {
	a := u.account
	a.Lock()
	defer a.Unlock()
	var ids []string
	for _, o := range a.All(typ) {
		if carries(o, tags) && has(o, properties) {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

func carries(o *store.Object, tags map[string]string) bool {
	all := o.Tags()
	for key, value := range tags {
		if all[key] != value {
			return false
		}
	}
	return true
}

func has(o *store.Object, properties map[string]any) bool {
	for key, value := range properties {
		if !reflect.DeepEqual(o.Inputs.At(key), value) {
			return false
		}
	}
	return true
}
