// Package aws is a model of AWS. For each resource type it has the inputs that AWS refuses, and the references that
// block a deletion. It also decides which machine reaches which.
package aws

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"reflect"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// Account is the AWS account whose resources are in a store. It tells which machine reaches which, and what a role
// allows.
type Account struct {
	*store.Store
	// number is the account's id.
	number string
	// Terminated is called when an instance ends, before it is removed. May be nil.
	Terminated func(instance *store.Object)
}

// NewAccount returns the account of a store. An empty number means 123456789012.
func NewAccount(s *store.Store, number string) *Account {
	return &Account{Store: s, number: cmp.Or(number, defaultAccountID)}
}

// Provider serves the resource types of table.go from the account.
type Provider struct {
	Account *Account
	Backend backend.Backend
	Limits  Limits
}

// defaultAccountID is the number in every ARN, unless Limits has another.
const defaultAccountID = "123456789012"

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
	if r.Type == InstanceType && !r.Inputs.Has(marketOptions) {
		// The provider computes the options that are absent: https://github.com/hashicorp/terraform-provider-aws/issues/38141
		d.Changed = slices.DeleteFunc(d.Changed, func(key string) bool { return key == marketOptions })
	}
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

// allTags returns the default tags of the provider and the tags of the resource, which override them.
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
	c := &call{Account: a, Request: r, backend: p.Backend, limits: p.Limits}
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
	c := &call{Account: a, Request: r, object: found, backend: p.Backend, limits: p.Limits}
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
	c := &call{Account: a, Request: r, object: found, backend: p.Backend, limits: p.Limits}
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
	asFound := c.asFound()
	if len(r.Inputs) == 0 { // an import, or a resource of another stack: the engine has no inputs of it yet
		asFound = found.Inputs
	}
	return engine.Answer{ID: r.ID, Outputs: c.shown(t), Found: asFound}, nil
}
