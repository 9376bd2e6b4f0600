package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"reflect"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// awsAccount answers questions about the AWS resources of a store: who reaches whom, what a role allows.
type awsAccount struct {
	*store.Store
	// number is the account's id.
	number string
	// terminated is called when an instance ends, before it is removed. May be nil.
	terminated func(instance *store.Object)
}

// awsProvider serves the resource types of aws_table.go from the account.
type awsProvider struct {
	account *awsAccount
	backend backend.Backend
	limits  Limits
}

// defaultAccountID is the number in every ARN; see Limits.
const defaultAccountID = "123456789012"

// awsType is one row of the table: the inputs, outputs and deletion rules of a resource type.
type awsType struct {
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
	check func(c *awsCall) error
	// outputs in addition to the inputs: a template such as "arn:aws:ec2:{region}:{account}:vpc/{id}" or a func(*awsCall) any.
	outputs map[string]any
	// created and deleted are side effects in the account.
	created, deleted func(c *awsCall)
	// deletable refuses a deletion for another reason than a reference.
	deletable func(c *awsCall) error
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

// awsCall is one operation on one object. object is nil while a creation is checked.
type awsCall struct {
	*awsAccount
	*request
	object  *store.Object
	backend backend.Backend
}

func (p *awsProvider) lookup(typ string) (awsType, error) {
	t, ok := awsTypes[typ]
	if !ok {
		return awsType{}, unknownType(typ)
	}
	return t, nil
}

func (p *awsProvider) check(r *request) (checked, error) {
	t, err := p.lookup(r.typ)
	if err != nil {
		return checked{}, err
	}
	out := checked{failures: missing(r.inputs, t.required)}
	if t.autoname != "" && !r.inputs.Has(t.autoname) && !r.inputs.Has(t.autoname+"Prefix") {
		name := r.oldInputs.Str(t.autoname)
		if name == "" {
			name = fmt.Sprintf("%s-%07x", r.name, crc32.ChecksumIEEE([]byte(r.urn+r.seed))&0xfffffff)
		}
		out.defaults = props.Map{t.autoname: name}
	}
	return out, nil
}

func (p *awsProvider) diff(r *request) difference {
	t := awsTypes[r.typ]
	d := difference{changed: props.Changed(r.oldInputs, r.inputs), deleteFirst: t.deleteFirst}
	for _, path := range t.replace {
		key, _, _ := strings.Cut(path, ".")
		for _, c := range d.changed {
			if path == "*" || (c == key && !reflect.DeepEqual(r.oldInputs.At(path), r.inputs.At(path))) {
				d.replace = append(d.replace, c)
			}
		}
	}
	if r.typ == instanceType && r.inputs.Flag("userDataReplaceOnChange") {
		d.replace = append(d.replace, props.Among(d.changed, "userData", "userDataBase64")...)
	}
	if !t.untagged && !reflect.DeepEqual(r.old.StringMap("tagsAll"), allTags(r)) {
		d.changed = append(d.changed, "tagsAll")
	}
	return d
}

// allTags are the resource's tags over the provider's default tags.
func allTags(r *request) map[string]string {
	defaults := r.config.Object("defaultTags")
	if text := r.config.Str("defaultTags"); text != "" { // nested provider settings arrive as JSON
		_ = json.Unmarshal([]byte(text), &defaults)
	}
	all := defaults.StringMap("tags")
	for k, v := range r.inputs.StringMap("tags") {
		all[k] = v
	}
	return all
}

func (p *awsProvider) create(r *request) (answer, error) {
	t := awsTypes[r.typ]
	if r.preview {
		out := props.Map{}
		for key := range t.outputs {
			if !r.inputs.Has(key) {
				out[key] = props.Unknown{}
			}
		}
		if !t.untagged {
			out["tagsAll"] = allTags(r)
		}
		return answer{outputs: out}, nil
	}
	a := p.account
	a.Lock()
	defer a.Unlock()
	c := &awsCall{awsAccount: a, request: r, backend: p.backend}
	if err := p.checkAgainstAccount(t, c); err != nil {
		return answer{}, fmt.Errorf("creating %s (%s): %w", shortType(r.typ), r.name, err)
	}
	c.object = &store.Object{Type: r.typ, URN: r.urn, Inputs: r.stored, State: props.Map{}}
	c.object.ID = c.makeID(t.id)
	c.refreshOutputs(t)
	if t.created != nil {
		t.created(c)
	}
	a.Put(c.object)
	if err := c.finish(); err != nil {
		return answer{}, fmt.Errorf("creating %s (%s): %w", shortType(r.typ), r.name, err)
	}
	return answer{id: c.object.ID, outputs: c.shown(t)}, nil
}

// finish creates the object on the backend. The mark "unfinished" stays when the process is killed meanwhile; the next read
// of the object then calls finish again.
func (c *awsCall) finish() error {
	if backendCreate[c.typ] == nil || c.backend == nil {
		return nil
	}
	c.object = c.Change(c.object, func(_, state props.Map) { state["unfinished"] = true })
	if err := c.onBackend(backendCreate[c.typ]); err != nil {
		return err
	}
	c.object = c.Change(c.object, func(_, state props.Map) { delete(state, "unfinished") })
	return nil
}

// refreshOutputs computes the outputs of the object from the table.
func (c *awsCall) refreshOutputs(t awsType) {
	for _, key := range slices.Sorted(maps.Keys(t.outputs)) {
		switch v := t.outputs[key].(type) {
		case string:
			c.object.State[key] = c.expand(v)
		case func(*awsCall) any:
			c.object.State[key] = v(c)
		}
	}
	if !t.untagged {
		c.object.State["tagsAll"] = anyMap(allTags(c.request))
	}
}

func anyMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (c *awsCall) region() string {
	if region := c.config.Str("region"); region != "" {
		return region
	}
	return "us-east-1"
}

// makeID makes an id of the type's shape.
func (c *awsCall) makeID(shape string) string {
	if strings.Contains(shape, "{") {
		return c.expand(shape)
	}
	digits := 17
	if strings.HasPrefix(shape, "Z") {
		return shape + strings.ToUpper(c.NewID(c.typ, c.urn, 20))
	}
	return shape + c.NewID(c.typ, c.urn, digits)
}

// expand fills a template: {id}, {region}, {account}, {hex}, {destination} or the name of an input.
func (c *awsCall) expand(template string) string {
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
			value = c.NewID(c.typ+template, c.urn, 17)
		case "destination": // as the provider does: a route has no id of its own
			value = fmt.Sprint(crc32.ChecksumIEEE([]byte(c.inputs.Str("destinationCidrBlock") + c.inputs.Str("destinationIpv6CidrBlock"))))
		default:
			value = c.inputs.Str(key)
		}
		out = out[:start] + value + out[end+1:]
	}
}

// checkAgainstAccount returns the error that AWS would return for the inputs.
func (p *awsProvider) checkAgainstAccount(t awsType, c *awsCall) error {
	for _, ref := range t.refs {
		for _, name := range c.inputs.Strings(ref.field) {
			if name != "" && c.target(ref, name) == nil {
				return fmt.Errorf("%s: the %s %q does not exist", ref.field, shortType(ref.to), name)
			}
		}
	}
	if len(t.unique) > 0 {
		for _, other := range c.All(c.typ) {
			if c.object != nil && other.ID == c.object.ID {
				continue
			}
			same := true
			for _, field := range t.unique {
				same = same && reflect.DeepEqual(other.Inputs.At(field), c.stored.At(field))
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
func (c *awsCall) target(r ref, name string) *store.Object {
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

func (p *awsProvider) update(r *request) (answer, error) {
	t := awsTypes[r.typ]
	if r.preview {
		out := props.Map{}
		for k := range t.outputs {
			if v, ok := r.old[k]; ok && !r.inputs.Has(k) {
				out[k] = v
			}
		}
		if !t.untagged {
			out["tagsAll"] = allTags(r)
		}
		return answer{outputs: out}, nil
	}
	a := p.account
	a.Lock()
	defer a.Unlock()
	found := a.Find(r.typ, r.id)
	if found == nil {
		return answer{}, fmt.Errorf("updating %s (%s): NotFound: it no longer exists", shortType(r.typ), r.id)
	}
	c := &awsCall{awsAccount: a, request: r, object: found, backend: p.backend}
	if err := p.checkAgainstAccount(t, c); err != nil {
		return answer{}, fmt.Errorf("updating %s (%s): %w", shortType(r.typ), r.id, err)
	}
	c.object = a.Change(found, func(_, state props.Map) {
		delete(state, drifted) // the update has put the program's inputs back
		if !t.untagged {
			state["tagsAll"] = anyMap(allTags(r))
		}
	})
	c.object.Inputs = r.stored
	a.Put(c.object)
	if err := c.onBackend(backendUpdate[r.typ]); err != nil {
		return answer{}, fmt.Errorf("updating %s (%s): %w", shortType(r.typ), r.id, err)
	}
	return answer{outputs: c.shown(t)}, nil
}

func (p *awsProvider) read(r *request) (answer, error) {
	t, err := p.lookup(r.typ)
	if err != nil {
		return answer{}, err
	}
	a := p.account
	a.Lock()
	defer a.Unlock()
	found := a.Find(r.typ, r.id)
	if found == nil {
		return answer{}, nil
	}
	c := &awsCall{awsAccount: a, request: r, object: found, backend: p.backend}
	if found.State.Flag("unfinished") {
		if err := c.finish(); err != nil {
			return answer{}, fmt.Errorf("reading %s (%s): %w", shortType(r.typ), r.id, err)
		}
	}
	if c.backend != nil && r.typ == instanceType {
		there, err := c.runs()
		if err != nil {
			return answer{}, err
		}
		if !there { // the machine was removed from outside: remove it and its dependants from the account
			c.dissolve(t)
			return answer{}, nil
		}
	}
	return answer{id: r.id, outputs: c.shown(t), found: c.asFound()}, nil
}

// runs asks the backend for the machine, without the account's lock.
func (c *awsCall) runs() (bool, error) {
	c.Unlock()
	defer c.Lock()
	_, there, err := c.backend.Find(c.ctx, c.id)
	return there, err
}

// shown returns the outputs of the object that are not inputs.
func (c *awsCall) shown(t awsType) props.Map {
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
