// Package aws is a model of AWS: its resource types, what they refuse, what keeps them from deletion, and who reaches whom.
package aws

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"reflect"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// Account answers questions about the AWS resources of a store: who reaches whom, what a role allows.
type Account struct {
	*store.Store
	// number is the account's id.
	number string
	// Terminated is called when an instance ends, before it is removed. May be nil.
	Terminated func(instance *store.Object)
}

// NewAccount is the account of a store. An empty number is 123456789012.
func NewAccount(s *store.Store, number string) *Account {
	return &Account{Store: s, number: cmp.Or(number, defaultAccountID)}
}

// Provider serves the resource types of aws_table.go from the account.
type Provider struct {
	Account *Account
	Backend backend.Backend
	Limits  Limits
}

// defaultAccountID is the number in every ARN; see Limits.
const defaultAccountID = "123456789012"

// resourceType is one row of the table: the inputs, outputs and deletion rules of a resource type.
type resourceType struct {
	// id is the prefix of a generated id such as "vpc-", or a template of an id made from properties: "{role}:{name}".
	id string
	// required inputs; a missing one is refused before anything is planned.
	required []string
	// refs are the inputs that name other resources.
	refs []ref
	// unique are inputs that, taken together, no two objects of the type may share.
	unique []string
	// autoname is the input that gets a random name when the program gives none.
	autoname string
	// replace are the inputs whose change needs a new resource, as dotted paths; "*" is all of them.
	replace []string
	// deleteFirst makes such a replacement delete the old one before it makes the new one.
	deleteFirst bool
	// check returns the error that AWS would return at creation and update, beyond references and uniqueness. May be nil.
	check func(c *call) error
	// outputs in addition to the inputs: a template such as "arn:aws:ec2:{region}:{account}:vpc/{id}" or a func(*awsCall) any.
	outputs map[string]any
	// created and deleted are side effects in the account.
	created, deleted func(c *call)
	// deletable refuses a deletion for another reason than a reference.
	deletable func(c *call) error
	// untagged types have no tagsAll.
	untagged bool
}

// hold is the effect of a reference on the deletion of its target.
type hold int

const (
	// blocks: the target cannot be deleted (DependencyViolation).
	blocks hold = iota
	// follows: the referring object goes away with the target.
	follows
	// loose: the target may go; the referring object stays.
	loose
)

// ref says that an input, a text or a list of texts, names objects of a type.
type ref struct {
	field string
	// to is the type, or several separated by "|".
	to string
	// by is the property of the target that is named; empty is its id.
	by   string
	hold hold
}

// call is one operation on one object. object is nil while a creation is checked.
type call struct {
	*Account
	*engine.Request
	object  *store.Object
	backend backend.Backend
}

func (p *Provider) lookup(typ string) (resourceType, error) {
	t, ok := resourceTypes[typ]
	if !ok {
		return resourceType{}, engine.UnknownType(typ)
	}
	return t, nil
}

func (p *Provider) Check(r *engine.Request) (engine.Checked, error) {
	t, err := p.lookup(r.Type)
	if err != nil {
		return engine.Checked{}, err
	}
	out := engine.Checked{Failures: engine.Missing(r.Inputs, t.required)}
	if t.autoname != "" && !r.Inputs.Has(t.autoname) && !r.Inputs.Has(t.autoname+"Prefix") {
		name := r.OldInputs.Str(t.autoname)
		if name == "" {
			name = fmt.Sprintf("%s-%07x", r.Name, crc32.ChecksumIEEE([]byte(r.URN+r.Seed))&0xfffffff)
		}
		out.Defaults = props.Map{t.autoname: name}
	}
	return out, nil
}

func (p *Provider) Diff(r *engine.Request) engine.Difference {
	t := resourceTypes[r.Type]
	d := engine.Difference{Changed: props.Changed(r.OldInputs, r.Inputs), DeleteFirst: t.deleteFirst}
	for _, path := range t.replace {
		key, _, _ := strings.Cut(path, ".")
		for _, c := range d.Changed {
			if path == "*" || (c == key && !reflect.DeepEqual(r.OldInputs.At(path), r.Inputs.At(path))) {
				d.Replace = append(d.Replace, c)
			}
		}
	}
	if r.Type == InstanceType && r.Inputs.Flag("userDataReplaceOnChange") {
		d.Replace = append(d.Replace, props.Among(d.Changed, "userData", "userDataBase64")...)
	}
	if !t.untagged && !reflect.DeepEqual(r.Old.StringMap("tagsAll"), allTags(r)) {
		d.Changed = append(d.Changed, "tagsAll")
	}
	return d
}

// allTags are the resource's tags over the provider's default tags.
func allTags(r *engine.Request) map[string]string {
	defaults := r.Config.Object("defaultTags")
	if text := r.Config.Str("defaultTags"); text != "" { // nested provider settings arrive as JSON
		_ = json.Unmarshal([]byte(text), &defaults)
	}
	all := defaults.StringMap("tags")
	for k, v := range r.Inputs.StringMap("tags") {
		all[k] = v
	}
	return all
}

func (p *Provider) Create(r *engine.Request) (engine.Answer, error) {
	t := resourceTypes[r.Type]
	if r.Preview {
		out := props.Map{}
		for key := range t.outputs {
			if !r.Inputs.Has(key) {
				out[key] = props.Unknown{}
			}
		}
		if !t.untagged {
			out["tagsAll"] = allTags(r)
		}
		return engine.Answer{Outputs: out}, nil
	}
	a := p.Account
	a.Lock()
	defer a.Unlock()
	c := &call{Account: a, Request: r, backend: p.Backend}
	if err := p.checkAgainstAccount(t, c); err != nil {
		return engine.Answer{}, fmt.Errorf("creating %s (%s): %w", shortType(r.Type), r.Name, err)
	}
	c.object = &store.Object{Type: r.Type, URN: r.URN, Inputs: r.Stored, State: props.Map{}}
	c.object.ID = c.makeID(t.id)
	c.refreshOutputs(t)
	if t.created != nil {
		t.created(c)
	}
	a.Put(c.object)
	if err := c.finish(); err != nil {
		return engine.Answer{}, fmt.Errorf("creating %s (%s): %w", shortType(r.Type), r.Name, err)
	}
	return engine.Answer{ID: c.object.ID, Outputs: c.shown(t)}, nil
}

// finish creates the object on the backend. The mark "unfinished" stays when the process is killed meanwhile; the next read
// of the object then calls finish again.
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

// makeID makes an id of the type's shape.
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

// expand fills a template: {id}, {region}, {account}, {hex}, {destination} or the name of an input.
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
		case "hex":
			value = c.NewID(c.Type+template, c.URN, 17)
		case "destination": // as the provider does: a route has no id of its own
			value = fmt.Sprint(crc32.ChecksumIEEE([]byte(c.Inputs.Str("destinationCidrBlock") + c.Inputs.Str("destinationIpv6CidrBlock"))))
		default:
			value = c.Inputs.Str(key)
		}
		out = out[:start] + value + out[end+1:]
	}
}

// checkAgainstAccount returns the error that AWS would return for the inputs.
func (p *Provider) checkAgainstAccount(t resourceType, c *call) error {
	for _, ref := range t.refs {
		for _, name := range c.Inputs.Strings(ref.field) {
			if name != "" && c.target(ref, name) == nil {
				return fmt.Errorf("%s: the %s %q does not exist", ref.field, shortType(ref.to), name)
			}
		}
	}
	if len(t.unique) > 0 {
		for _, other := range c.All(c.Type) {
			if c.object != nil && other.ID == c.object.ID {
				continue
			}
			same := true
			for _, field := range t.unique {
				same = same && reflect.DeepEqual(other.Inputs.At(field), c.Stored.At(field))
			}
			if same {
				return fmt.Errorf("EntityAlreadyExists: %s has the same %s", other.Title(), strings.Join(t.unique, " and "))
			}
		}
	}
	if t.check != nil {
		return t.check(c)
	}
	return nil
}

// target finds what a reference names.
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

func (p *Provider) Update(r *engine.Request) (engine.Answer, error) {
	t := resourceTypes[r.Type]
	if r.Preview {
		out := props.Map{}
		for k := range t.outputs {
			if v, ok := r.Old[k]; ok && !r.Inputs.Has(k) {
				out[k] = v
			}
		}
		if !t.untagged {
			out["tagsAll"] = allTags(r)
		}
		return engine.Answer{Outputs: out}, nil
	}
	a := p.Account
	a.Lock()
	defer a.Unlock()
	found := a.Find(r.Type, r.ID)
	if found == nil {
		return engine.Answer{}, fmt.Errorf("updating %s (%s): NotFound: it no longer exists", shortType(r.Type), r.ID)
	}
	c := &call{Account: a, Request: r, object: found, backend: p.Backend}
	if err := p.checkAgainstAccount(t, c); err != nil {
		return engine.Answer{}, fmt.Errorf("updating %s (%s): %w", shortType(r.Type), r.ID, err)
	}
	c.object = a.Change(found, func(_, state props.Map) {
		delete(state, drifted) // the update has put the program's inputs back
		if !t.untagged {
			state["tagsAll"] = anyMap(allTags(r))
		}
	})
	c.object.Inputs = r.Stored
	a.Put(c.object)
	if err := c.onBackend(onUpdate[r.Type]); err != nil {
		return engine.Answer{}, fmt.Errorf("updating %s (%s): %w", shortType(r.Type), r.ID, err)
	}
	return engine.Answer{Outputs: c.shown(t)}, nil
}

func (p *Provider) Read(r *engine.Request) (engine.Answer, error) {
	t, err := p.lookup(r.Type)
	if err != nil {
		return engine.Answer{}, err
	}
	a := p.Account
	a.Lock()
	defer a.Unlock()
	found := a.Find(r.Type, r.ID)
	if found == nil {
		return engine.Answer{}, nil
	}
	c := &call{Account: a, Request: r, object: found, backend: p.Backend}
	if found.State.Flag("unfinished") {
		if err := c.finish(); err != nil {
			return engine.Answer{}, fmt.Errorf("reading %s (%s): %w", shortType(r.Type), r.ID, err)
		}
	}
	if c.backend != nil && r.Type == InstanceType {
		there, err := c.runs()
		if err != nil {
			return engine.Answer{}, err
		}
		if !there { // the machine was removed from outside: remove it and its dependants from the account
			c.dissolve(t)
			return engine.Answer{}, nil
		}
	}
	return engine.Answer{ID: r.ID, Outputs: c.shown(t), Found: c.asFound()}, nil
}

// runs asks the backend for the machine, without the account's lock.
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
