package aws

import (
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// call is one operation on one object. object is nil while a creation is checked.
type call struct {
	*Account
	*engine.Request
	object  *store.Object
	backend backend.Backend
	limits  Limits
}

// finish creates the object on the backend. If the process is killed meanwhile, the mark "unfinished" stays, and the
// next read of the object calls finish again.
func (c *call) finish() error {
	if onCreate[c.Type] == nil || c.backend == nil {
		return nil
	}
	c.object = c.Change(c.object, func(_, state props.Map) { state["unfinished"] = true })
	if err := c.onBackend(onCreate[c.Type]); err != nil {
		return err
	}
	c.object = c.Change(c.object, func(_, state props.Map) { delete(state, "unfinished") })
	return nil
}

// refreshOutputs computes the outputs of the object from the table.
func (c *call) refreshOutputs(t resourceType) {
	for _, key := range slices.Sorted(maps.Keys(t.outputs)) {
		switch v := t.outputs[key].(type) {
		case string:
			c.object.State[key] = c.expand(v)
		case func(*call) any:
			c.object.State[key] = v(c)
		}
	}
	if !t.untagged {
		c.object.State["tagsAll"] = anyMap(allTags(c.Request))
	}
}

func anyMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (c *call) region() string {
	if region := c.Config.Str("region"); region != "" {
		return region
	}
	return "us-east-1"
}

// makeID returns a new id. The shape is a prefix or a template, as in resourceType.id.
func (c *call) makeID(shape string) string {
	if strings.Contains(shape, "{") {
		return c.expand(shape)
	}
	digits := 17
	if strings.HasPrefix(shape, "Z") {
		return shape + strings.ToUpper(c.NewID(c.Type, c.URN, 20))
	}
	return shape + c.NewID(c.Type, c.URN, digits)
}

// expand fills a template: {id}, {region}, {account}, {hex}, {destination}, {issuer} or the name of an input.
func (c *call) expand(template string) string {
	out := template
	for {
		start := strings.IndexByte(out, '{')
		if start < 0 {
			return out
		}
		end := start + strings.IndexByte(out[start:], '}')
		var value string
		switch key := out[start+1 : end]; key {
		case "id":
			value = c.object.ID
		case "region":
			value = c.region()
		case "account":
			value = c.number
		case "issuer":
			value = strings.TrimPrefix(c.Inputs.Str("url"), "https://")
		case "hex":
			value = c.NewID(c.Type+template, c.URN, 17)
		case "destination": // AWS gives a route no id; the provider makes one in this way
			value = fmt.Sprint(crc32.ChecksumIEEE([]byte(c.Inputs.Str("destinationCidrBlock") +
				c.Inputs.Str("destinationIpv6CidrBlock"))))
		default:
			value = c.Inputs.Str(key)
		}
		out = out[:start] + value + out[end+1:]
	}
}

// target returns the object that a reference names, or nil.
func (c *call) target(r ref, name string) *store.Object {
	for _, typ := range strings.Split(r.to, "|") {
		if r.by == "" {
			if o := c.Find(typ, name); o != nil {
				return o
			}
			continue
		}
		for _, o := range c.All(typ) {
			if o.Str(r.by) == name {
				return o
			}
		}
	}
	return nil
}

// runs reports whether the backend has the machine. The account is unlocked meanwhile.
func (c *call) runs() (bool, error) {
	c.Unlock()
	defer c.Lock()
	_, there, err := c.backend.Find(c.Ctx, c.ID)
	return there, err
}

// shown returns the outputs of the object that are not inputs.
func (c *call) shown(t resourceType) props.Map {
	out := props.Map{}
	for key := range t.outputs {
		if v := c.object.State[key]; v != nil {
			out[key] = v
		}
	}
	if !t.untagged {
		out["tagsAll"] = anyMap(c.object.Tags())
	}
	return out
}
